"""The contract between the shared machinery and the systems (restoration methods) that it runs.

Shared machinery is the training loop, evaluation, batches, video, inference and weights. It receives objects of these
types and depends on nothing else of a system; only ``diffir/api.py`` turns the name of a system into an object.
"""

from diffir.system.facts import Facts, HoleFill, NetworkRow, Released, ReleasedRow
from diffir.system.restoring import Engine, OnProgress, Precision, Region, Session, Write, without_prior
from diffir.system.system import NoOptions, System
from diffir.system.training import (
    FEWEST_STEPS,
    Budget,
    BuildStage,
    FinetuneRequest,
    Learner,
    Losses,
    Noise,
    Phase,
    RestoreImage,
    Stage,
    StageStart,
)

__all__ = [
    "FEWEST_STEPS",
    "Budget",
    "BuildStage",
    "Engine",
    "Facts",
    "FinetuneRequest",
    "HoleFill",
    "Learner",
    "Losses",
    "NetworkRow",
    "NoOptions",
    "Noise",
    "OnProgress",
    "Phase",
    "Precision",
    "Region",
    "Released",
    "ReleasedRow",
    "RestoreImage",
    "Session",
    "Stage",
    "StageStart",
    "System",
    "Write",
    "without_prior",
]
