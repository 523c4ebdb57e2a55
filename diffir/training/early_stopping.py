"""Early stopping: decides from validation scores when a run goes back to its best weights and when a stage ends.

In: the score of each validation. Out: "better", "stale" or "collapsed"; the trainer acts on it. Fine-tuning collapses
when the learning rate is too high for the weights it starts from. Validation shows that at once, while the loss on
degraded patches shows it late.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

from diffir.config import TrainConfig

SLOWER = 0.5  # factor of the learning rate after a collapse; a choice of taste


@dataclass
class EarlyStopping:
    """The best score of a stage, and how many validations have passed since.

    Attributes:
        margin: a score this far below the best is a collapse; 0 never counts a score as a collapse.
        patience: validations in a row without a better score after which the stage ends; 0 never ends it.
        stale: validations since the best score.
        lr_scale: factor of the learning rate, halved by every collapse.
    """

    margin: float
    patience: int
    higher_is_better: bool = True
    best: float | None = None
    best_step: int = 0
    stale: int = 0
    lr_scale: float = 1.0

    @classmethod
    def from_config(cls, config: TrainConfig, *, higher_is_better: bool) -> "EarlyStopping":
        """Take margin and patience from the options of a stage."""
        return cls(config.collapse_margin, config.patience, higher_is_better)

    def update(self, score: float, step: int) -> Literal["better", "stale", "collapsed"]:
        """Compare a validation score with the best one so far, and remember it."""
        # A best score that is not a number would never be surpassed.
        first = self.best is None or not math.isfinite(self.best)
        gain = math.inf if first else (score - self.best) * (1 if self.higher_is_better else -1)  # type: ignore[operator]
        if gain > 0 and math.isfinite(score):
            self.best, self.best_step, self.stale = score, step, 0
            return "better"
        self.stale += 1
        if self.margin and not first and not gain >= -self.margin:  # a score that is not a number is a collapse, too
            self.lr_scale *= SLOWER
            return "collapsed"
        return "stale"

    @property
    def is_exhausted(self) -> bool:
        """True if the stage should end because ``patience`` validations have passed without a better score."""
        return self.patience > 0 and self.stale >= self.patience

    def state_dict(self) -> dict[str, Any]:
        """Plain values for a training state."""
        return asdict(self)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from ``state_dict()``; margin and patience stay those of the options."""
        for name in ("best", "best_step", "stale", "lr_scale"):
            setattr(self, name, state[name])
