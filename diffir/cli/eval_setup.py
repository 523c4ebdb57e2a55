"""The plan of ``diffir eval``: benchmarks, methods, metrics, and the folder of cached scores.

This module has only the types. ``eval_plan`` makes them from the flags, ``eval_refusals`` refuses wrong use.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from diffir.baselines.baseline_table import BASELINES
from diffir.evaluation import Degradation, Holes, NoReference, RecipeDegradation
from diffir.evaluation.benchmark import Benchmark
from diffir.evaluation.contestant import Contestant
from diffir.inference.restorer import Restorer

HOLE_METRICS = ("psnr", "ssim", "lpips", "psnr_hole", "ssim_hole")
USUAL_METRICS = ("psnr", "ssim")


@dataclass(frozen=True)
class Entrant:
    """One name after ``-n``: a method that becomes one or more rows of a table."""

    name: str
    at: Callable[[Degradation], list[Contestant]]
    """Rows under a degradation: a baseline may use the known sigma, a network has a row for each kind of prior."""
    scale: int
    has_mask: bool
    restorer: Restorer | None = None

    @property
    def is_baseline(self) -> bool:
        return self.name in BASELINES


@dataclass(frozen=True)
class EvalPlan:
    """Everything that will be measured."""

    benchmarks: tuple[Benchmark, ...]
    entrants: tuple[Entrant, ...]
    metrics: tuple[str, ...]
    """Names of metrics; empty for the usual ones of each degradation."""
    cache: Path | None
    device: str

    def contestants(self, degradation: Degradation) -> list[Contestant]:
        """The rows of the table of one degradation."""
        return [contestant for entrant in self.entrants for contestant in entrant.at(degradation)]

    def metrics_for(self, benchmark: Benchmark) -> tuple[str, ...]:
        """Metrics that were requested, else the usual ones for the degradation of the benchmark."""
        if self.metrics:
            return self.metrics
        if isinstance(benchmark.degradation, NoReference):
            return ("niqe",)
        return HOLE_METRICS if cuts_holes(benchmark.degradation) else USUAL_METRICS

    def restorers_of_noises(self, noises: int) -> dict[str, list[Restorer]]:
        """Name of each network -> copies with different seeds, ``noises`` of them; empty if ``noises`` is 1."""
        networks = [entrant.restorer for entrant in self.entrants if entrant.restorer is not None]
        if noises < 2:
            return {}
        return {one.name: [one.with_seed(one.options.seed + number) for number in range(noises)] for one in networks}


def cuts_holes(degradation: Degradation) -> bool:
    """True if the degradation removes pixels under a mask."""
    return isinstance(degradation, Holes) or (isinstance(degradation, RecipeDegradation) and degradation.cuts_holes)
