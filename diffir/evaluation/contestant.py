"""A contestant: a method that is measured, with everything needed to repeat or to reuse the measurement.

In: a baseline, or a restorer with a network of any system. Out: a ``Contestant`` with a name for tables, a function
from sample to restored image, and the settings that its scores depend on. Knows no data sets and no metrics.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from diffir.baselines.baseline_table import BASELINES, Method, get_baseline
from diffir.errors import UsageError
from diffir.evaluation.sample import Sample
from diffir.evaluation.scoring import Restore
from diffir.inference.multiply_adds import SIDE
from diffir.inference.restorer import Restorer
from diffir.weights.fingerprint import fingerprint

Kind = Literal["network", "baseline"]
_NOT_MEASURED = ("strength", "seamless", "mask_grow")
"""Options that say nothing of a contestant: it restores fully, with plain edges and the mask of the benchmark."""
_TURNS = 8  # flips and rotations of the self-ensemble
Prepare = Callable[[Iterable[Sample]], None]
"""A function that receives all samples of a set before the first one is restored."""


@dataclass(frozen=True, eq=False)
class Contestant:
    """A method as one row of a result table."""

    name: str
    kind: Kind
    summary: str
    scale: int
    has_mask: bool
    restore: Restore
    device: str = "cpu"
    round_output: bool = True
    """True if results are rounded to 8 bit before they are scored; False for the untouched input."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """The settings that its results depend on, in plain types, such as weights, precision and prior."""
    module: nn.Module | None = None
    count_multiply_adds: Callable[[int], int] | None = None
    """Counts the multiply-adds for one input of so many pixels a side; None for a baseline."""
    prepare: Prepare | None = None

    @cached_property
    def parameters(self) -> int | None:
        """Number of learnt parameters; None for a baseline."""
        return None if self.module is None else sum(parameter.numel() for parameter in self.module.parameters())

    @cached_property
    def multiply_adds(self) -> int | None:
        """Multiply-adds of one input of 256 x 256 pixels; None for a baseline."""
        if self.count_multiply_adds is None:
            return None
        return self.count_multiply_adds(SIDE) * (_TURNS if self.settings.get("tta") else 1)


def baseline(name: str, sigma: float | None) -> Contestant:
    """Make the contestant of a baseline; ``sigma`` is the noise level in 1/255, or None if it is not known."""
    row, method = BASELINES[name], get_baseline(name, sigma)
    knowledge = ", given the true sigma" if sigma is not None else ", sigma estimated from each image"
    return Contestant(
        name,
        "baseline",
        row.summary + (knowledge if row.takes_sigma else ""),
        method.scale,
        method.has_mask,
        _restore_by(method),
        round_output=row.round_output,
        settings={"baseline": name, "sigma": sigma if row.takes_sigma else None},
    )


def network(restorer: Restorer, weights: Path) -> Contestant:
    """Make the contestant of a network of one of diffir's systems."""
    used, engine = restorer.in_use(), restorer.engine
    facts = f"task {restorer.task}, " if restorer.task else ""
    facts += f"{restorer.device}, {used['precision']}, {engine.description}"
    facts += ", self-ensemble" if restorer.options.tta else ""
    facts += f", {engine.seed_meaning} {restorer.options.seed}" if engine.seed_meaning else ""
    options = {name: value for name, value in used.items() if name not in _NOT_MEASURED}
    settings = {"weights": weights.name, "fingerprint": fingerprint(weights), "task": restorer.task, **options}
    return Contestant(
        restorer.name,
        "network",
        f"network; {facts}",
        restorer.scale,
        restorer.has_mask,
        _restore_by(restorer),
        device=str(restorer.device),
        settings=settings,
        module=engine.network,
        count_multiply_adds=engine.multiply_adds,
    )


def chain(restorer: Restorer, weights: Sequence[Path]) -> Contestant:
    """Make the contestant of several networks that restore one after the other; ``weights`` has a file for each."""
    members = [network(member, path) for member, path in zip(restorer.members, weights, strict=True)]

    def multiply_adds(side: int) -> int:
        total = 0
        for member in members:
            assert member.count_multiply_adds is not None
            total, side = total + member.count_multiply_adds(side), side * member.scale
        return total

    options = {name: value for name, value in restorer.in_use().items() if name not in _NOT_MEASURED}
    joined = {
        name: "+".join(str(member.settings[name]) for member in members) for name in ("weights", "fingerprint", "task")
    }
    return Contestant(
        restorer.name,
        "network",
        "; then ".join(f"{member.name}: {member.summary}" for member in members),
        restorer.scale,
        restorer.has_mask,
        _restore_by(restorer),
        device=str(restorer.device),
        settings=joined | options,
        module=nn.ModuleList([member.engine.network for member in restorer.members]),
        count_multiply_adds=multiply_adds,
    )


def _restore_by(method: Method) -> Restore:
    def restore(sample: Sample) -> np.ndarray:
        # A mask goes only to methods that fill holes; the others refuse one.
        if method.has_mask and sample.mask is None:
            raise UsageError(f"{method.name} fills holes: choose inputs with holes, such as --mask thin")
        with torch.inference_mode():
            return method.restore(sample.lq, sample.mask) if method.has_mask else method.restore(sample.lq)

    return restore
