"""What the scores of validation mean for a run: better, no better, collapsed; and when to stop.

In: the score of each validation. Out: a verdict; the trainer acts on it. Fine-tuning collapses when the rate is too
high for the weights it starts from, which the loss on damaged patches shows late and validation shows at once.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

from diffir.config import TrainConfig

Verdict = Literal["better", "stale", "collapsed"]
SLOWER = 0.5  # what a collapse multiplies the learning rate by; a choice of taste


@dataclass
class Guard:
    """Memory of the scores of a stage.

    ``margin`` is how far a score may fall below the best before it is a collapse (0: any fall is forgiven),
    ``patience`` how many validations in a row may pass without a better score before the stage ends (0: never).
    """

    margin: float
    patience: int
    higher_is_better: bool = True
    best: float | None = None
    best_step: int = 0
    stale: int = 0
    lr_scale: float = 1.0

    @classmethod
    def of(cls, config: TrainConfig, *, higher_is_better: bool) -> "Guard":
        """As the options say."""
        return cls(config.collapse_margin, config.patience, higher_is_better)

    def judge(self, score: float, step: int) -> Verdict:
        """What a score means; remembers it."""
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
        """Whether so many validations have passed without a better one that the stage should end."""
        return self.patience > 0 and self.stale >= self.patience

    def state_dict(self) -> dict[str, Any]:
        """Plain values for a training state."""
        return asdict(self)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from ``state_dict()``; what the options say stays."""
        for name in ("best", "best_step", "stale", "lr_scale"):
            setattr(self, name, state[name])
