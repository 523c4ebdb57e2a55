"""Keys of a stage's section in an option file that only DiffIR has."""

from dataclasses import dataclass

from diffir.config import SchedulerConfig
from diffir.errors import ConfigError


@dataclass(frozen=True)
class DiffIRTraining:
    """Keys of a stage's section that only DiffIR has."""

    prior_weight: float = 1.0
    """Stage 2: weight of the L1 between estimated and oracle prior."""
    encoder_iter: int = 0
    """First steps, in which only the networks that make the prior learn; DIRformer is frozen."""
    encoder_lr: float | None = None
    """Learning rate of those steps; optim_g.lr when not given."""
    encoder_scheduler: SchedulerConfig | None = None
    """Learning-rate schedule of those steps, from their first to their last; scheduler when not given."""

    def __post_init__(self) -> None:
        if min(self.encoder_iter, self.prior_weight) < 0:
            raise ConfigError("encoder_iter and prior_weight must be 0 or more")
