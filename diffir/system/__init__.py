"""The contract between shared machinery and the systems: everything that one may know of the other.

Shared machinery (training loop, evaluation, batches, video, inference, weights) receives objects of these types and
knows nothing else of a system; ``diffir/api.py`` alone turns a name into one.
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
