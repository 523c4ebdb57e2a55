"""Networks: torch and einops only; no files, devices or logs."""

from diffir.archs.diffir import DiffIR
from diffir.archs.settings import ArchSettings, Stage

__all__ = ["ArchSettings", "DiffIR", "Stage"]
