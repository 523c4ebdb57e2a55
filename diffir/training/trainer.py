"""The loop: one stage, from its first step or from where it was stopped, to weights that can be used.

In: a stage (what learns, which losses), loaders, settings. Out: the trained network (moving average, if one is kept).
The loop knows order, not content: batch -> losses -> step -> log, validate, save. Everything
random is a function of seed and step, so a killed run resumes bit for bit on the same machine with as many threads.
"""

from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from diffir.archs import DiffIR
from diffir.config import LoggerConfig, TrainConfig, ValConfig
from diffir.data.clean_images import Pair
from diffir.errors import TrainingError
from diffir.seeds import generator_for
from diffir.training.checkpoint import Checkpoints
from diffir.training.log import Meter, RunLog
from diffir.training.optim import build_optimizer, learning_rate
from diffir.training.stages import Losses, Phase, Stage

Validate = Callable[[DiffIR, int], dict[str, float]]
"""Network and step -> scores; the trainer logs them."""


@dataclass(frozen=True)
class Pace:
    """How often the loop does more than learn, in steps."""

    log: int
    save: int
    validate: int

    @classmethod
    def of(cls, logger: LoggerConfig, val: ValConfig) -> "Pace":
        return cls(logger.print_freq, logger.save_checkpoint_freq, val.val_freq)


class Trainer:
    """State and loop of one stage."""

    def __init__(self, stage: Stage, config: TrainConfig, *, device: torch.device, seed: int) -> None:
        self.stage = stage
        self.config = config
        self.device = device
        self.seed = seed
        self.step = 0
        memory_format = torch.channels_last if config.channels_last else torch.contiguous_format
        stage.to(device, memory_format)
        self.network = stage.network
        self.ema = deepcopy(self.network).requires_grad_(False).eval() if config.ema_decay else None
        self._begin(stage.phases[0])

    def run(
        self, batches: Iterable[Pair], log: RunLog, checkpoints: Checkpoints, validate: Validate, pace: Pace
    ) -> None:
        """Train from ``self.step`` to the end; ``batches`` starts at that step."""
        meter = Meter()
        for batch in batches:
            lq, gt = (images.to(self.device, non_blocking=True) for images in batch)
            losses, norm = self._learn(lq, gt)
            self.step += 1
            meter.add({**losses.terms, "grad_norm": norm}, images=len(gt))
            log.advance()

            log_now, validate_now, save_now = (self._is_due(every) for every in (pace.log, pace.validate, pace.save))
            if log_now or validate_now or save_now:
                self._check_finite(losses, norm)
            if log_now:
                log.record(self.step, "train", {**meter.read(), "lr": self._lr})
            if validate_now:
                scores = validate(self.published, self.step)
                if scores:  # a run without validation photos has none
                    log.record(self.step, "validation", scores)
                meter.reset()
            if save_now:
                checkpoints.save(self.stage.number, self.step, self.state_dict())

    @property
    def published(self) -> DiffIR:
        """The network that is validated and published: the moving average, if one is kept."""
        return self.ema if self.ema is not None else self.network

    def state_dict(self) -> dict[str, Any]:
        """Everything the next steps depend on; the names ``params`` and ``params_ema`` are BasicSR's."""
        return {
            "params": self.network.state_dict(),
            "params_ema": self.ema.state_dict() if self.ema is not None else {},
            "phase": self.phase.name,
            "optimizer": self.optimizer.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from ``state_dict()`` of a run with the same settings."""
        try:
            self.network.load_state_dict(state["params"])
            if self.ema is not None:
                self.ema.load_state_dict(state["params_ema"])
            self._begin(next(phase for phase in self.stage.phases if phase.name == state["phase"]))
            self.optimizer.load_state_dict(state["optimizer"])
        except (RuntimeError, StopIteration, KeyError, ValueError) as error:
            reason = str(error).splitlines()[0] if str(error) else "its phase is not in these options"
            raise TrainingError(f"the training state does not fit these options: {reason}") from error
        self.step = int(state["step"])

    def _is_due(self, every: int) -> bool:
        """Whether this step is one of every so many; the last step always is."""
        return self.step == self.config.total_iter or (every > 0 and self.step % every == 0)

    def _begin(self, phase: Phase) -> None:
        self.phase = phase
        self.optimizer = build_optimizer(phase.parameters, self.config.optim_g)

    def _learn(self, lq: Tensor, gt: Tensor) -> tuple[Losses, Tensor]:
        """One optimiser step on a batch; returns the losses and the norm of the gradient before clipping."""
        if self.step >= self.phase.stop:
            self._begin(next(phase for phase in self.stage.phases if phase.start <= self.step < phase.stop))
        self._lr = learning_rate(
            self.config, self.phase.lr, self.step - self.phase.start, self.phase.stop - self.phase.start
        )
        for group in self.optimizer.param_groups:
            group["lr"] = self._lr

        generator = generator_for(self.device, self.seed, self.stage.number, self.step)
        if self.config.channels_last:
            lq, gt = (images.to(memory_format=torch.channels_last) for images in (lq, gt))
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.precision == "bf16"):
            losses = self.stage.losses(lq, gt, self.phase, generator)
        self.optimizer.zero_grad(set_to_none=True)
        losses.total.backward()
        norm = nn.utils.clip_grad_norm_(self.phase.parameters, self.config.grad_clip or float("inf"))
        self.optimizer.step()
        self._update_ema()
        return losses, norm

    @torch.no_grad()
    def _update_ema(self) -> None:
        if self.ema is None:
            return
        # A young average forgets faster, or a short run would publish little more than its random start.
        decay = min(self.config.ema_decay, (1 + self.step) / (10 + self.step))
        average = get_ema_multi_avg_fn(decay)
        average(list(self.ema.parameters()), list(self.network.parameters()), self.step)

    def _check_finite(self, losses: Losses, norm: Tensor) -> None:
        """Before anything is kept: a state with NaN in it could never be resumed."""
        scalars = [losses.total, norm, *(parameter.sum() for parameter in self.network.parameters())]
        if not torch.isfinite(torch.stack([scalar.detach().float() for scalar in scalars])).all():
            raise TrainingError(
                f"stage {self.stage.number}: loss, gradient or weights are not finite at step {self.step}; lower "
                "train.optim_g.lr or set train.grad_clip, then go on from the last state with --auto_resume"
            )
