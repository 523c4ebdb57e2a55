"""The training loop of one stage, from its first step or from a saved state.

In: a stage (networks, losses, phases), batches, options. Out: the trained network, or its moving average if one is
kept. The loop decides the order only: batches -> losses -> gradients, averaged over processes -> optimiser steps ->
log, validate, save. All random numbers are a function of seed and step, so a killed run resumes bit for bit on the same
machine with the same number of threads.
"""

from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from diffir.config import LoggerConfig, TrainConfig, ValConfig
from diffir.errors import TrainingError
from diffir.files import write_atomically
from diffir.seeds import generator_for
from diffir.system import Batch, Learner, Noise, Phase, Stage
from diffir.training.checkpoint import Checkpoints
from diffir.training.early_stopping import EarlyStopping
from diffir.training.log import Meter, RunLog
from diffir.training.optim import build_optimizer, learning_rate
from diffir.training.processes import Processes
from diffir.training.random_state import random_state, restore_random_state

Validate = Callable[[nn.Module, int], dict[str, float]]
"""Takes network and step, and returns scores; the first one decides. Only the first process calls it."""
ALONE = Processes()


@dataclass(frozen=True)
class Intervals:
    """Steps between logs, checkpoints and validations."""

    log: int
    save: int
    validate: int

    @classmethod
    def from_config(cls, logger: LoggerConfig, val: ValConfig) -> "Intervals":
        """Take the intervals from the options of a run."""
        return cls(logger.print_freq, logger.save_checkpoint_freq, val.val_freq)


class Trainer:
    """Training state and training loop of one stage."""

    def __init__(
        self,
        stage: Stage,
        config: TrainConfig,
        early_stopping: EarlyStopping,
        *,
        number: int,
        device: torch.device,
        seed: int,
        processes: Processes = ALONE,
    ) -> None:
        """
        Args:
            number: place of the stage in its system, counted from 1; seeds and file names depend on it.
        """
        self.stage = stage
        self.number = number
        self.config = config
        self.early_stopping = early_stopping
        self.device = device
        self.seed = seed
        self.processes = processes
        self.step = 0
        self.skipped = 0
        self.is_stopped = False
        self.scores: dict[str, float] = {}
        """Validation scores of the weights that would be published now."""
        self._optimizers: list[tuple[Learner, torch.optim.Optimizer]] = []
        self._skipped_in_a_row = 0
        self._best: dict[str, Tensor] = {}
        self._best_scores: dict[str, float] = {}

        # Move all networks to the device, with the same weights on every process.
        self.network = stage.network
        self._memory_format = torch.channels_last if config.channels_last else torch.contiguous_format
        for module in (self.network, *stage.extra_modules()):
            module.to(device)
            module.to(memory_format=self._memory_format)  # type: ignore[call-overload]
            processes.broadcast(module)

        # Keep a moving average of the weights, and apply the options that change how networks are run.
        self.ema = deepcopy(self.network).requires_grad_(False).eval() if config.ema_decay else None
        stage.keep_activations(not config.checkpoint_activations)
        if config.compile:
            for module in self.network.children():
                module.compile()
        self._begin(stage.phases[0])

    def run(
        self, batches: Iterable[Batch], log: RunLog, checkpoints: Checkpoints, validate: Validate, every: Intervals
    ) -> None:
        """Train from ``self.step`` to the end; ``batches`` starts at that step, ``accum_iter`` per step."""
        meter, arriving = Meter(), iter(batches)
        if self.step == 0:
            self._validate(validate, log)
            meter.reset()

        # One turn is one optimiser step.
        while self.step < self.config.total_iter and not self.is_stopped:
            parts = [self._on_device(next(arriving)) for _ in range(self.config.accum_iter)]
            terms = self._learn(parts, log.folder)
            self.step += 1
            meter.add(terms, images=sum(len(part.gt) for part in parts) * self.processes.size)
            log.advance()

            # Log, validate and save when it is time; validation does not count as training time.
            if self._is_due(every.log):
                log.record(self.step, "train", {**meter.read(), "lr": self._lr, "skipped": self.skipped})
            if self._is_due(every.validate):
                self._validate(validate, log)
                meter.reset()
            if self._is_due(every.save) and self.processes.is_first:
                checkpoints.save(self.number, self.step, self.state_dict())

    @property
    def current(self) -> nn.Module:
        """The network that is validated: the moving average if one is kept."""
        return self.ema if self.ema is not None else self.network

    @property
    def published(self) -> dict[str, Tensor]:
        """The weights that the stage publishes."""
        return self._best if self.config.publish == "best" and self._best else self.current.state_dict()

    def state_dict(self) -> dict[str, Any]:
        """Return everything that the next steps depend on; the keys ``params`` and ``params_ema`` are BasicSR's."""
        discriminator = self.stage.discriminator
        return {
            "params": self.network.state_dict(),
            "params_ema": self.ema.state_dict() if self.ema is not None else {},
            "params_d": discriminator.state_dict() if discriminator is not None else {},
            "params_best": self._best,
            "phase": self.phase.name,
            "optimizers": {learner.name: optimizer.state_dict() for learner, optimizer in self._optimizers},
            "guard": self.early_stopping.state_dict(),  # the key of earlier versions, so that their runs resume
            "skipped": [self.skipped, self._skipped_in_a_row],
            "is_stopped": self.is_stopped,
            "scores": [self.scores, self._best_scores],
            "processes": self.processes.size,
            "random": random_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from ``state_dict()`` of a run with the same options."""
        if state["processes"] != self.processes.size:
            raise TrainingError(
                f"this stage was started with {state['processes']} processes and cannot continue with "
                f"{self.processes.size}: its samples and batches would change; start as many as before"
            )

        # Load networks and optimisers; the optimisers are those of the saved phase.
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

        # Load scores, counters and random generators.
        self._best = {name: tensor.to(self.device) for name, tensor in state["params_best"].items()}
        self.early_stopping.load_state_dict(state["guard"])
        self.skipped, self._skipped_in_a_row = state["skipped"]
        self.is_stopped, (self.scores, self._best_scores) = state["is_stopped"], state["scores"]
        self.step = int(state["step"])
        restore_random_state(state["random"])

    def _is_due(self, every: int) -> bool:
        """True at every ``every``-th step and at the last step; 0 means the last step only."""
        return self.step == self.config.total_iter or self.is_stopped or (every > 0 and self.step % every == 0)

    def _on_device(self, batch: Batch) -> Batch:
        moved = (images.to(self.device, non_blocking=True) for images in batch)
        return type(batch)(*(images.contiguous(memory_format=self._memory_format) for images in moved))

    def _begin(self, phase: Phase, *, anew: bool = True) -> None:
        """Start a phase. Its learners get new optimisers; with ``anew`` False, those that go on keep theirs."""
        kept = {} if anew else {id(learner): optimizer for learner, optimizer in self._optimizers}
        self.phase = phase
        trained = {id(parameter) for learner in phase.learners for parameter in learner.parameters}
        for parameter in self.network.parameters():  # no gradients are computed for frozen parameters
            parameter.requires_grad_(id(parameter) in trained)
        self._optimizers = [
            (learner, kept.get(id(learner)) or build_optimizer(learner.parameters, learner.optim))
            for learner in phase.learners
        ]

    def _learn(self, parts: list[Batch], folder: Path) -> dict[str, Tensor]:
        """Do one step of every optimiser with the batches of one step; return the values for the log."""
        # Start the next phase if this one is over, and set the learning rates.
        if self.step >= self.phase.stop:
            following = next(phase for phase in self.stage.phases if phase.start <= self.step < phase.stop)
            self._begin(following, anew=False)
        for learner, optimizer in self._optimizers:
            self._set_learning_rate(learner, optimizer)
            optimizer.zero_grad(set_to_none=True)

        # Sum the gradients of all batches.
        terms: dict[str, Tensor] = {}
        for part, noise in zip(parts, self._noise(parts), strict=True):
            for name, term in self._backward(part, noise, 1 / len(parts)).items():
                terms[name] = terms.get(name, torch.zeros_like(term)) + term.detach() / len(parts)

        # Average the gradients over processes, and skip the step if one of them is not finite.
        norms = [self._finished_gradient(learner) for learner, _ in self._optimizers]
        terms |= {
            _named("grad_norm", learner): norm for (learner, _), norm in zip(self._optimizers, norms, strict=True)
        }
        if not torch.isfinite(torch.stack(norms)).all():
            self._skip(parts, folder)
            return {}
        self._skipped_in_a_row = 0

        # Update the weights.
        for _, optimizer in self._optimizers:
            optimizer.step()
        self._update_ema()
        return terms

    def _set_learning_rate(self, learner: Learner, optimizer: torch.optim.Optimizer) -> None:
        # The schedule of a learner spans all phases that it takes part in.
        phases = [phase for phase in self.stage.phases if any(other is learner for other in phase.learners)]
        start, stop = phases[0].start, phases[-1].stop
        rate = learning_rate(
            learner.scheduler, learner.optim.lr, self.step - start, stop - start, warmup=self.config.warmup_iter
        )
        for group in optimizer.param_groups:
            group["lr"] = rate * self.early_stopping.lr_scale
        if learner.name == "g":
            self._lr = rate * self.early_stopping.lr_scale

    def _noise(self, parts: list[Batch]) -> Iterator[Noise]:
        """Draw the stage's random numbers for each batch; every process draws those of all and keeps its own."""
        generator = generator_for(self.seed, self.number, self.step)
        for part in parts:
            drawn = [self.stage.draw_noise(part.lq, generator) for _ in range(self.processes.size)]
            yield tuple(numbers.to(self.device) for numbers in drawn[self.processes.rank])

    def _backward(self, part: Batch, noise: Noise, share: float) -> dict[str, Tensor]:
        """Add the gradients of one batch, weighted by ``share``; the stage yields one loss for each optimiser."""
        terms: dict[str, Tensor] = {}
        arriving = self.stage.losses(part, self.phase, noise)
        for _ in self._optimizers:
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.precision == "bf16"):
                losses = next(arriving)
            (losses.total * share).backward()
            terms |= losses.terms
        return terms

    def _finished_gradient(self, learner: Learner) -> Tensor:
        """Average a learner's gradient over processes and clip it; return its L2 norm before clipping."""
        self.processes.average(parameter.grad for parameter in learner.parameters if parameter.grad is not None)
        if self.config.grad_clip:
            return nn.utils.clip_grad_norm_(learner.parameters, self.config.grad_clip)
        return nn.utils.get_total_norm([p.grad for p in learner.parameters if p.grad is not None])

    def _skip(self, parts: list[Batch], folder: Path) -> None:
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
            f"step {self.step} (its batch is in {path}); lower train.optim_g.lr or set train.grad_clip, then continue "
            "from the last state with --auto_resume"
        )

    @torch.no_grad()
    def _update_ema(self) -> None:
        if self.ema is None:
            return
        # The average forgets faster at first; otherwise a short run would publish little more than its random weights.
        decay = min(self.config.ema_decay, (1 + self.step) / (10 + self.step))
        get_ema_multi_avg_fn(decay)(list(self.ema.parameters()), list(self.network.parameters()), self.step)
        for ours, theirs in zip(self.ema.buffers(), self.network.buffers(), strict=True):
            ours.copy_(theirs)

    def _validate(self, validate: Validate, log: RunLog) -> None:
        """Score the network, and keep or restore the best weights according to the first score."""
        # Validate on the first process.
        outcome: Literal["better", "stale", "collapsed"] | None = None
        if self.processes.is_first:
            scores = validate(self.current, self.step)
            if scores:  # a run without validation photos has none
                outcome = self.early_stopping.update(next(iter(scores.values())), self.step)
                log.record(self.step, "validation", {**scores, "verdict": outcome})
                if outcome == "better" or (outcome == "stale" and self.config.publish == "last"):
                    self.scores = scores
                if outcome == "better":
                    self._best_scores = scores
                elif outcome == "collapsed":
                    self.scores = self._best_scores

        # Keep the best weights on every process, or return to them after a collapse.
        outcome, state = self.processes.share((outcome, self.early_stopping.state_dict()))
        self.early_stopping.load_state_dict(state)
        if outcome == "better" and (self.config.publish == "best" or self.early_stopping.margin):
            self._best = {name: tensor.detach().clone() for name, tensor in self.current.state_dict().items()}
        elif outcome == "collapsed":
            self.network.load_state_dict(self._best)
            if self.ema is not None:
                self.ema.load_state_dict(self._best)
            self._begin(self.phase)
        self.is_stopped = self.early_stopping.is_exhausted


def _named(term: str, learner: Learner) -> str:
    return term if learner.name == "g" else f"{term}_{learner.name}"
