"""Method x condition x images -> scores: the one eye of validation, ``diffir eval``, ``diffir score`` and reports."""

from diffir.evaluation.conditions import (
    AsGiven,
    BicubicDownscale,
    Condition,
    GaussianNoise,
    Holes,
    JpegCompression,
    NoReference,
    RecipeDamage,
)
from diffir.evaluation.sample import Sample
from diffir.evaluation.scoring import Evaluation, ImageScores, evaluate

__all__ = [
    "AsGiven",
    "BicubicDownscale",
    "Condition",
    "Evaluation",
    "GaussianNoise",
    "Holes",
    "ImageScores",
    "JpegCompression",
    "NoReference",
    "RecipeDamage",
    "Sample",
    "evaluate",
]
