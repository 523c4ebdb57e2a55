"""Method x degradation x images -> scores: the one eye of validation, ``diffir eval``, ``diffir score`` and reports."""

from diffir.evaluation.degradation import (
    AsGiven,
    BicubicDownscale,
    Degradation,
    GaussianNoise,
    Holes,
    JpegCompression,
    NoReference,
    RecipeDegradation,
)
from diffir.evaluation.sample import Sample
from diffir.evaluation.scoring import Evaluation, ImageScores, evaluate

__all__ = [
    "AsGiven",
    "BicubicDownscale",
    "Degradation",
    "Evaluation",
    "GaussianNoise",
    "Holes",
    "ImageScores",
    "JpegCompression",
    "NoReference",
    "RecipeDegradation",
    "Sample",
    "evaluate",
]
