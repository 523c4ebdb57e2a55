"""The single scoring path: training validation, ``diffir eval``, ``diffir score`` and reports all use it."""

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
