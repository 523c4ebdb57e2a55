"""What ``diffir eval`` will measure: benchmarks, who takes part, metrics, and where scores are kept.

Values only; ``eval_plan`` makes them of the flags, ``eval_refusals`` says what cannot be.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from diffir.baselines.baseline_table import BASELINES
from diffir.evaluation import Degradation, Holes, NoReference, RecipeDegradation
from diffir.evaluation.benchmark import Benchmark
from diffir.evaluation.contestant import Contestant
from diffir.inference.restorer import Restorer
from diffir.systems.diffir.prior_study import reseeded

HOLE_METRICS = ("psnr", "ssim", "lpips", "psnr_hole", "ssim_hole")
USUAL_METRICS = ("psnr", "ssim")


@dataclass(frozen=True)
class Entrant:
    """One name behind ``-n``."""

    name: str
    at: Callable[[Degradation], list[Contestant]]
    """What it is under a degradation: a baseline may be told sigma, a network stands there once for each prior."""
    scale: int
    has_mask: bool
    restorer: Restorer | None = None

    @property
    def is_baseline(self) -> bool:
        return self.name in BASELINES


@dataclass(frozen=True)
class EvalPlan:
    """All that will be measured."""

    benchmarks: tuple[Benchmark, ...]
    entrants: tuple[Entrant, ...]
    metrics: tuple[str, ...]
    """Empty: what is usual for each degradation."""
    cache: Path | None
    device: str

    def contestants(self, degradation: Degradation) -> list[Contestant]:
        """The rows of a table."""
        return [contestant for entrant in self.entrants for contestant in entrant.at(degradation)]

    def metrics_for(self, benchmark: Benchmark) -> tuple[str, ...]:
        """Those asked for, else the usual ones."""
        if self.metrics:
            return self.metrics
        if isinstance(benchmark.degradation, NoReference):
            return ("niqe",)
        return HOLE_METRICS if cuts_holes(benchmark.degradation) else USUAL_METRICS

    def restorers_of_noises(self, noises: int) -> dict[str, list[Restorer]]:
        """Name of each network -> itself with ``noises`` seeds; empty where one is enough."""
        networks = [entrant.restorer for entrant in self.entrants if entrant.restorer is not None]
        if noises < 2:
            return {}
        return {one.name: [reseeded(one, one.seed + number) for number in range(noises)] for one in networks}


def cuts_holes(degradation: Degradation) -> bool:
    """Whether inputs lack pixels under a mask."""
    return isinstance(degradation, Holes) or (isinstance(degradation, RecipeDegradation) and degradation.cuts_holes)
