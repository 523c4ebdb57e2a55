"""The loop: one stage, from its first step or from where it was stopped, to weights that can be used.

In: a stage (what learns, which losses), batches, settings. Out: the trained network (moving average, if one is kept).
The loop knows order, not content: batches -> losses -> gradients, averaged over processes -> steps -> log, validate,
save. Everything random is a function of seed and step, so a killed run resumes bit for bit on the same machine with as
many threads.
"""

from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from diffir.config import LoggerConfig, TrainConfig, ValConfig
from diffir.data.samples import Pair
from diffir.errors import TrainingError
from diffir.files import write_atomically
from diffir.seeds import generator_for
from diffir.system import Learner, Noise, Phase, Stage
from diffir.training.checkpoint import Checkpoints
from diffir.training.guard import Guard, Verdict
from diffir.training.log import Meter, RunLog
from diffir.training.optim import build_optimizer, learning_rate
from diffir.training.processes import Processes
from diffir.training.random_state import random_state, restore_random_state

Validate = Callable[[nn.Module, int], dict[str, float]]
"""Network and step -> scores, the deciding one first; the trainer logs them. Called on the first process alone."""
ALONE = Processes()


@dataclass(frozen=True)
class Intervals:
    """Steps between logs, checkpoints and validations."""

    log: int
    save: int
    validate: int

    @classmethod
    def of(cls, logger: LoggerConfig, val: ValConfig) -> "Intervals":
        return cls(logger.print_freq, logger.save_checkpoint_freq, val.val_freq)


class Trainer:
    """State and loop of one stage."""

    def __init__(
        self,
        stage: Stage,
        config: TrainConfig,
        guard: Guard,
        *,
        number: int,
        device: torch.device,
        seed: int,
        processes: Processes = ALONE,
    ) -> None:
        """
        Args:
            number: place of the stage in its system, from 1; seeds and file names hold it.
        """
        self.stage = stage
        self.number = number
        self.config = config
        self.guard = guard
        self.device = device
        self.seed = seed
        self.processes = processes
        self.step = 0
        self.skipped = 0
        self.is_stopped = False
        self.scores: dict[str, float] = {}
        """Of the weights that would be published now."""
        self._skipped_in_a_row = 0
        self._best: dict[str, Tensor] = {}
        self._best_scores: dict[str, float] = {}
        self.network = stage.network
        self._memory_format = torch.channels_last if config.channels_last else torch.contiguous_format
        for module in (self.network, *stage.extra_modules()):
            module.to(device)
            module.to(memory_format=self._memory_format)  # type: ignore[call-overload]
            processes.equalise(module)
        self.ema = deepcopy(self.network).requires_grad_(False).eval() if config.ema_decay else None
        stage.keep_activations(not config.checkpoint_activations)
        if config.compile:
            for module in self.network.children():
                module.compile()
        self._begin(stage.phases[0])

    def run(
        self, batches: Iterable[Pair], log: RunLog, checkpoints: Checkpoints, validate: Validate, every: Intervals
    ) -> None:
        """Train from ``self.step`` to the end; ``batches`` starts at that step, ``accum_iter`` of them a step."""
        meter, arriving = Meter(), iter(batches)
        if self.step == 0:
            self._validate(validate, log)
            meter.reset()
        while self.step < self.config.total_iter and not self.is_stopped:
            parts = [self._on_device(next(arriving)) for _ in range(self.config.accum_iter)]
            terms = self._learn(parts, log.folder)
            self.step += 1
            meter.add(terms, images=sum(len(part.gt) for part in parts) * self.processes.size)
            log.advance()

            if self._is_due(every.log):
                log.record(self.step, "train", {**meter.read(), "lr": self._lr, "skipped": self.skipped})
            if self._is_due(every.validate):
                self._validate(validate, log)
                meter.reset()
            if self._is_due(every.save) and self.processes.is_first:
                checkpoints.save(self.number, self.step, self.state_dict())

    @property
    def current(self) -> nn.Module:
        """The network that is validated: the moving average, if one is kept."""
        return self.ema if self.ema is not None else self.network

    @property
    def published(self) -> dict[str, Tensor]:
        """The weights that the stage ends with."""
        return self._best if self.config.publish == "best" and self._best else self.current.state_dict()

    def state_dict(self) -> dict[str, Any]:
        """Everything the next steps depend on; the names ``params`` and ``params_ema`` are BasicSR's."""
        discriminator = self.stage.discriminator
        return {
            "params": self.network.state_dict(),
            "params_ema": self.ema.state_dict() if self.ema is not None else {},
            "params_d": discriminator.state_dict() if discriminator is not None else {},
            "params_best": self._best,
            "phase": self.phase.name,
            "optimizers": {learner.name: optimizer.state_dict() for learner, optimizer in self._optimizers},
            "guard": self.guard.state_dict(),
            "skipped": [self.skipped, self._skipped_in_a_row],
            "is_stopped": self.is_stopped,
            "scores": [self.scores, self._best_scores],
            "processes": self.processes.size,
            "random": random_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from ``state_dict()`` of a run with the same settings."""
        if state["processes"] != self.processes.size:
            raise TrainingError(
                f"this stage was begun by {state['processes']} processes and would go on with {self.processes.size}: "
                "its samples and its batch would be others; start as many"
            )
        discriminator = self.stage.discriminator
        try:
            self.network.load_state_dict(state["params"])
            if self.ema is not None:
                self.ema.load_state_dict(state["params_ema"])
            if discriminator is not None:
                discriminator.load_state_dict(state["params_d"])
            self._begin(next(phase for phase in self.stage.phases if phase.name == state["phase"]))
            for learner, optimizer in self._optimizers:
                optimizer.load_state_dict(state["optimizers"][learner.name])
        except (RuntimeError, StopIteration, KeyError, ValueError) as error:
            reason = str(error).splitlines()[0] if str(error) else "its phase is not in these options"
            raise TrainingError(f"the training state does not fit these options: {reason}") from error
        self._best = {name: tensor.to(self.device) for name, tensor in state["params_best"].items()}
        self.guard.load_state_dict(state["guard"])
        self.skipped, self._skipped_in_a_row = state["skipped"]
        self.is_stopped, (self.scores, self._best_scores) = state["is_stopped"], state["scores"]
        self.step = int(state["step"])
        restore_random_state(state["random"])

    def _is_due(self, every: int) -> bool:
        """Whether this step is one of every so many; the last step always is."""
        return self.step == self.config.total_iter or self.is_stopped or (every > 0 and self.step % every == 0)

    def _on_device(self, batch: Pair) -> Pair:
        moved = (images.to(self.device, non_blocking=True) for images in batch)
        return Pair(*(images.contiguous(memory_format=self._memory_format) for images in moved))

    def _begin(self, phase: Phase) -> None:
        self.phase = phase
        learning = {id(parameter) for learner in phase.learners for parameter in learner.parameters}
        for parameter in self.network.parameters():  # what rests costs no gradient
            parameter.requires_grad_(id(parameter) in learning)
        self._optimizers = [(learner, build_optimizer(learner.parameters, learner.optim)) for learner in phase.learners]

    def _learn(self, parts: list[Pair], folder: Path) -> dict[str, Tensor]:
        """One step of every optimiser on the batches of one step; returns what is worth logging."""
        if self.step >= self.phase.stop:
            self._begin(next(phase for phase in self.stage.phases if phase.start <= self.step < phase.stop))
        for learner, optimizer in self._optimizers:
            self._set_rate(learner, optimizer)
            optimizer.zero_grad(set_to_none=True)
        terms: dict[str, Tensor] = {}
        for part, noise in zip(parts, self._noise(parts), strict=True):
            for name, term in self._backward(part, noise, 1 / len(parts)).items():
                terms[name] = terms.get(name, torch.zeros_like(term)) + term.detach() / len(parts)

        norms = [self._finished_gradient(learner) for learner, _ in self._optimizers]
        terms |= {
            _named("grad_norm", learner): norm for (learner, _), norm in zip(self._optimizers, norms, strict=True)
        }
        if not torch.isfinite(torch.stack(norms)).all():
            self._skip(parts, folder)
            return {}
        self._skipped_in_a_row = 0
        for _, optimizer in self._optimizers:
            optimizer.step()
        self._update_ema()
        return terms

    def _set_rate(self, learner: Learner, optimizer: torch.optim.Optimizer) -> None:
        start, stop = self.phase.start, self.phase.stop
        rate = learning_rate(
            learner.scheduler, learner.optim.lr, self.step - start, stop - start, warmup=self.config.warmup_iter
        )
        for group in optimizer.param_groups:
            group["lr"] = rate * self.guard.lr_scale
        if learner.name == "g":
            self._lr = rate * self.guard.lr_scale

    def _noise(self, parts: list[Pair]) -> Iterator[Noise]:
        """The stage's random numbers for each batch; every process draws those of all and keeps its own."""
        generator = generator_for(self.seed, self.number, self.step)
        for part in parts:
            drawn = [self.stage.draw_noise(part.lq, generator) for _ in range(self.processes.size)]
            yield tuple(numbers.to(self.device) for numbers in drawn[self.processes.rank])

    def _backward(self, part: Pair, noise: Noise, share: float) -> dict[str, Tensor]:
        """Add the gradients of one batch; losses are computed one after the other, as the stage yields them."""
        terms: dict[str, Tensor] = {}
        arriving = self.stage.losses(part.lq, part.gt, self.phase, noise)
        for _ in self._optimizers:
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.precision == "bf16"):
                losses = next(arriving)
            (losses.total * share).backward()
            terms |= losses.terms
        return terms

    def _finished_gradient(self, learner: Learner) -> Tensor:
        """Average over processes and clip; returns the norm before clipping."""
        self.processes.average(parameter.grad for parameter in learner.parameters if parameter.grad is not None)
        if self.config.grad_clip:
            return nn.utils.clip_grad_norm_(learner.parameters, self.config.grad_clip)
        return nn.utils.get_total_norm([p.grad for p in learner.parameters if p.grad is not None])

    def _skip(self, parts: list[Pair], folder: Path) -> None:
        """Count a step whose gradient is not finite; after too many in a row, keep the batch and stop."""
        self.skipped += 1
        self._skipped_in_a_row += 1
        if self._skipped_in_a_row <= self.config.max_nonfinite:
            return
        path = folder / f"nonfinite_stage{self.number}_{self.step:08d}_{self.processes.rank}.pt"
        with write_atomically(path) as file:
            torch.save([{"lq": part.lq.cpu(), "gt": part.gt.cpu()} for part in parts], file)
        raise TrainingError(
            f"stage {self.number}: the gradient was not finite {self._skipped_in_a_row} times in a row, last at "
            f"step {self.step} (its batch is in {path}); lower train.optim_g.lr or set train.grad_clip, then go on "
            "from the last state with --auto_resume"
        )

    @torch.no_grad()
    def _update_ema(self) -> None:
        if self.ema is None:
            return
        # A young average forgets faster, or a short run would publish little more than its random start.
        decay = min(self.config.ema_decay, (1 + self.step) / (10 + self.step))
        get_ema_multi_avg_fn(decay)(list(self.ema.parameters()), list(self.network.parameters()), self.step)

    def _validate(self, validate: Validate, log: RunLog) -> None:
        """Score the network, and do what the guard says of the first score."""
        verdict: Verdict | None = None
        if self.processes.is_first:
            scores = validate(self.current, self.step)
            if scores:  # a run without validation photos has none
                verdict = self.guard.judge(next(iter(scores.values())), self.step)
                log.record(self.step, "validation", {**scores, "verdict": verdict})
                if verdict == "better" or (verdict == "stale" and self.config.publish == "last"):
                    self.scores = scores
                if verdict == "better":
                    self._best_scores = scores
                elif verdict == "collapsed":
                    self.scores = self._best_scores
        verdict, state = self.processes.share((verdict, self.guard.state_dict()))
        self.guard.load_state_dict(state)
        if verdict == "better" and (self.config.publish == "best" or self.guard.margin):
            self._best = {name: tensor.detach().clone() for name, tensor in self.current.state_dict().items()}
        elif verdict == "collapsed":
            self.network.load_state_dict(self._best)
            if self.ema is not None:
                self.ema.load_state_dict(self._best)
            self._begin(self.phase)
        self.is_stopped = self.guard.is_exhausted


def _named(term: str, learner: Learner) -> str:
    return term if learner.name == "g" else f"{term}_{learner.name}"
