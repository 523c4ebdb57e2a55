"""The keys of a training stage in an option file that only DiffIR has."""

from dataclasses import dataclass, fields
from typing import Annotated, Literal

from diffir.config import SchedulerConfig
from diffir.field_ranges import Above, Within, check_fields


@dataclass(frozen=True)
class DiffIRTraining:
    """Weight of the prior loss, and the options of the first phase, in which DIRformer is frozen."""

    prior_weight: Annotated[float, Within(0)] = 1.0
    """Weight of the L1 loss between the estimated and the oracle prior in stage 2."""
    encoder_iter: Annotated[int, Within(0)] = 0
    """Number of first steps in which only the networks that compute the prior are trained and DIRformer is frozen."""
    encoder_lr: Annotated[float | None, Above(0)] = None
    """Learning rate of these steps; ``optim_g.lr`` if not given."""
    encoder_scheduler: SchedulerConfig | None = None
    """Learning-rate schedule of these steps, counted from the first of them; ``scheduler`` if not given."""
    engine: Literal["auto", "torch"] = "auto"
    """What computes the blocks in training: ``auto`` takes the compiled kernels on a CPU that has them, else torch."""

    def __post_init__(self) -> None:
        check_fields(self)


def options_of_the_prior(own: DiffIRTraining) -> list[str]:
    """The options that a network without a prior has no use for and that differ from their defaults."""
    return [one.name for one in fields(own) if one.name != "engine" and getattr(own, one.name) != one.default]
