"""The contract between the shared machinery and the systems (restoration methods) that it runs.

Shared machinery is the training loop, evaluation, batches, video, inference and weights. It receives objects of these
types and depends on nothing else of a system; only ``diffir/api.py`` turns the name of a system into an object.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from diffir.system.facts import Facts, HoleFill, NetworkRow, Released, ReleasedRow
from diffir.system.restoring import Engine, OnProgress, Precision, Region, Session, Write, without_prior
from diffir.system.system import NoOptions, System

if TYPE_CHECKING:
    from diffir.system.training import (
        FEWEST_STEPS,
        Batch,
        Budget,
        BuildStage,
        EncodedPair,
        EncodingStage,
        FinetuneRequest,
        Learner,
        Losses,
        Noise,
        Pair,
        Phase,
        RestoreImage,
        Stage,
        StageStart,
        ThumbnailPair,
    )

__all__ = [
    "FEWEST_STEPS",
    "Batch",
    "Budget",
    "BuildStage",
    "EncodedPair",
    "EncodingStage",
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
    "Pair",
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
    "ThumbnailPair",
    "Write",
    "without_prior",
]


def __getattr__(name: str) -> Any:
    """Import the types of training on their first use (PEP 562): restoring needs none of them."""
    if name not in __all__:
        raise AttributeError(f"module 'diffir.system' has no attribute {name!r}")
    return getattr(import_module("diffir.system.training"), name)
