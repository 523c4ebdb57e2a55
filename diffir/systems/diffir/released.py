"""Read released DiffIR checkpoints: infer the settings of the network from names and shapes, and rename the tensors.

In: the tensors of a stage-1 or stage-2 file (``checkpoint_file.read_checkpoint``). Out: stage, settings and the tensors
under our names. Networks of any width and depth are accepted, not only those of the task table. A file holds second
copies of some tensors (``diffusion.condition``, ``diffusion.model``) and constants of the schedule; they are compared
with the first copies and with the settings, and then dropped.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from diffir.errors import ConfigError, WeightsError
from diffir.systems.diffir.diffusion import Schedule
from diffir.systems.diffir.released_keys import translate_key
from diffir.systems.diffir.settings import LEVELS, ArchSettings, Stage
from diffir.systems.diffir.tasks import TASKS

_LEVEL_NAMES = ("encoder_level1", "encoder_level2", "encoder_level3", "latent")
_SECOND_COPIES = {"diffusion.condition.": "condition.", "diffusion.model.": "denoise."}
_CHECKED_CONSTANTS = (
    "betas",
    "alphas_cumprod",
    "posterior_mean_coef1",
    "posterior_mean_coef2",
    "sqrt_alphas_cumprod",
    "sqrt_one_minus_alphas_cumprod",
)
_UNUSED_CONSTANTS = (  # they follow from the betas and are used neither in training nor in inference
    "alphas_cumprod_prev",
    "log_one_minus_alphas_cumprod",
    "sqrt_recip_alphas_cumprod",
    "sqrt_recipm1_alphas_cumprod",
    "posterior_variance",
    "posterior_log_variance_clipped",
)
_CONSTANT_TOLERANCE = 1e-5  # relative; the rounding errors of upstream's float32 arithmetic are about 1e-7


@dataclass(frozen=True)
class OfficialNetwork:
    """The network and the weights in a released checkpoint."""

    stage: Stage
    settings: ArchSettings
    state: dict[str, Tensor]
    """State dict with the parameter names of ``diffir.systems.diffir.DiffIR``."""
    tasks: tuple[str, ...]
    """Rows of the task table with this network; sr_x4 and realsr_x4, for example, have the same one."""


def read_official(state: Mapping[str, Tensor], source: str) -> OfficialNetwork:
    """Read settings and weights from a released checkpoint; ``source`` is named in messages.

    Raises:
        WeightsError: it holds another network, tensors are missing or have unexpected shapes, or copies or constants
            disagree.
    """
    # Infer the settings.
    _refuse_files_without_card(state, source)
    stage: Stage = 2 if any(name.startswith(("condition.", "diffusion.condition.")) for name in state) else 1
    reader = _Reader(_without_second_copies(state, source), stage, source)
    try:
        settings = reader.settings()
    except ConfigError as error:
        raise WeightsError(f"{source} holds no network that diffir can build: {error}") from error

    # Rename the tensors; the constants of the schedule follow from the settings.
    constants = {f"diffusion.{name}" for name in _CHECKED_CONSTANTS + _UNUSED_CONSTANTS}
    ours = {
        translate_key(name, settings.cpen_blocks): tensor
        for name, tensor in reader.state.items()
        if name not in constants
    }
    return OfficialNetwork(stage, settings, ours, matching_tasks(settings, stage))


def matching_tasks(settings: ArchSettings, stage: Stage) -> tuple[str, ...]:
    """Rows of the task table that describe this network; stage-1 files do not determine the denoiser's settings."""

    def seen(arch: ArchSettings) -> ArchSettings:
        unseen = ArchSettings()
        if stage == 2:
            return arch
        return replace(
            arch,
            denoiser_blocks=unseen.denoiser_blocks,
            num_timesteps=unseen.num_timesteps,
            linear_start=unseen.linear_start,
            linear_end=unseen.linear_end,
        )

    return tuple(name for name, task in TASKS.items() if seen(task.arch) == seen(settings))


def _refuse_files_without_card(state: Mapping[str, Tensor], source: str) -> None:
    if any(name.startswith("dirformer.") for name in state):
        raise WeightsError(f"{source} is a diffir file without its card: use the published .safetensors of that run")


def _without_second_copies(state: Mapping[str, Tensor], source: str) -> dict[str, Tensor]:
    """Keep one copy of each tensor, under the first of its two names, whichever of them the file has."""
    single: dict[str, Tensor] = {}
    for name, tensor in state.items():
        prefix = next((prefix for prefix in _SECOND_COPIES if name.startswith(prefix)), None)
        first = _SECOND_COPIES[prefix] + name.removeprefix(prefix) if prefix else name
        if first in single and not torch.equal(single[first], tensor):
            raise WeightsError(f"{source} contradicts itself: {first} and its copy under diffusion. differ")
        single[first] = tensor
    return single


class _Reader:
    """Infers one setting after another from names and shapes in upstream's layout."""

    def __init__(self, state: dict[str, Tensor], stage: Stage, source: str) -> None:
        self.state = state
        self.source = source
        self.stage: Stage = stage
        self.cpen = "E" if stage == 1 else "condition"

    def settings(self) -> ArchSettings:
        # Depth and width of the levels.
        dim = self._shape("G.patch_embed.proj.weight", 4)[0]
        num_blocks = tuple(self._count(rf"G\.{level}\.(\d+)\.") for level in _LEVEL_NAMES)
        first_blocks = [f"G.{level}.0." for level in _LEVEL_NAMES]
        hidden = [self._shape(f"{block}ffn.project_out.weight", 4)[1] for block in first_blocks]
        return ArchSettings(
            **self._image(),
            **self._diffusion(),
            dim=dim,
            num_blocks=num_blocks,
            num_refinement_blocks=self._count(r"G\.refinement\.(\d+)\."),
            heads=tuple(self._shape(f"{block}attn.temperature", 3)[0] for block in first_blocks),
            ffn_expansion=_expansion([dim * 2**level for level in range(LEVELS)], hidden, self.source),
            norm="with_bias" if "G.encoder_level1.0.norm1.body.bias" in self.state else "bias_free",
            cpen_blocks=self._count(rf"{self.cpen}\.E\.(\d+)\.body\.", start=2),
            prior_width=self._shape(f"{self.cpen}.mlp.2.weight", 2)[0],
        )

    def _image(self) -> dict[str, Any]:
        """Infer channels, unshuffle, upsample and skip: only one choice fits both first convolutions."""
        # Read what the shapes state directly.
        has_tail = "G.tail.1.weight" in self.state
        out_channels = self._shape("G.tail.1.weight" if has_tail else "G.output.weight", 4)[0]
        upsample = 2 ** self._count(r"G\.tail\.0\.(\d+)\.", step=2) if has_tail else 1
        embedded = self._shape("G.patch_embed.proj.weight", 4)[1]
        seen_by_cpen = self._shape(f"{self.cpen}.E.0.weight", 4)[1]

        # Try both with and without a mask.
        for in_channels in (out_channels, out_channels + 1):
            unshuffle = math.isqrt(embedded // in_channels)
            if unshuffle == 0 or in_channels * unshuffle**2 != embedded or upsample % unshuffle:
                continue
            # Upstream adds enlarged lq after an enlarging tail, lq itself without one, and nothing for inpainting.
            skip = "nearest" if has_tail else "identity" if in_channels == out_channels else "none"
            found: dict[str, Any] = {
                "in_channels": in_channels,
                "out_channels": out_channels,
                "unshuffle": unshuffle,
                "upsample": upsample,
                "global_skip": skip,
            }
            if ArchSettings(**found).cpen_channels(self.stage) == seen_by_cpen:
                return found
        raise self._error(f"no image explains {embedded} input channels of G and {seen_by_cpen} of {self.cpen}")

    def _diffusion(self) -> dict[str, Any]:
        """Infer the depth of the denoiser and the schedule; a stage-1 file holds neither, so the defaults apply."""
        if self.stage == 1:
            return {}
        found: dict[str, Any] = {"denoiser_blocks": self._count(r"denoise\.resmlp\.(\d+)\.resmlp\.", start=2)}
        if "diffusion.betas" not in self.state:
            return found

        # Read the schedule from the betas.
        (num_timesteps,), betas = self._shape("diffusion.betas", 1), self.state["diffusion.betas"]
        if not betas.is_floating_point() or not ((betas.float() > 0) & (betas.float() < 1)).all():
            raise self._error("diffusion.betas does not hold numbers between 0 and 1")
        start, end = (_shortest_decimal(betas[at]) for at in (0, -1))
        schedule = Schedule.linear_in_sqrt(num_timesteps, start, end)

        # Compare all constants with those of that schedule.
        for name in _CHECKED_CONSTANTS:
            stored = self.state.get(f"diffusion.{name}", torch.tensor(getattr(schedule, name)))
            expected = torch.tensor(getattr(schedule, name))
            is_real = stored.is_floating_point()
            # Files may be in half precision.
            tolerance = max(_CONSTANT_TOLERANCE, 2 * torch.finfo(stored.dtype).eps if is_real else 0.0)
            if (
                not is_real
                or stored.shape != expected.shape
                or not torch.allclose(stored.float(), expected, tolerance, tolerance)
            ):
                raise self._error(f"diffusion.{name} does not belong to a schedule linear in sqrt(beta)")
        return found | {"num_timesteps": num_timesteps, "linear_start": start, "linear_end": end}

    def _shape(self, name: str, sides: int) -> tuple[int, ...]:
        if name not in self.state:
            raise self._error(f"{name} is missing")
        shape = tuple(self.state[name].shape)
        if len(shape) != sides or 0 in shape:
            raise self._error(f"{name} has the unexpected shape {shape}")
        return shape

    def _count(self, pattern: str, *, start: int = 0, step: int = 1) -> int:
        """Count the members of a Sequential from the indices in its parameter names."""
        matches = (re.match(pattern, name) for name in self.state)
        positions = sorted({int(match[1]) for match in matches if match})
        if positions != list(range(start, start + step * len(positions), step)):
            raise self._error(f"{pattern.split('(')[0].replace(chr(92), '')}* has a gap: positions {positions}")
        return len(positions)

    def _error(self, what: str) -> WeightsError:
        return WeightsError(f"{self.source} is not a DiffIR checkpoint that diffir understands: {what}")


def _shortest_decimal(number: Tensor) -> float:
    """The shortest decimal that rounds to this number: 0.1, not 0.10000000149."""
    number = number if number.dtype.itemsize < 4 else number.float()
    candidates = (float(f"{number.item():.{digits}g}") for digits in range(1, 10))
    return next((c for c in candidates if torch.tensor(c, dtype=number.dtype) == number), number.item())


def _expansion(widths: list[int], hidden: list[int], source: str) -> float:
    """The shortest decimal e with int(width * e) == hidden at every level: 2.66, not 2.65625."""
    low = max(h / width for h, width in zip(hidden, widths, strict=True))
    for digits in range(8):
        expansion = math.ceil(round(low * 10**digits, 6)) / 10**digits
        if [int(width * expansion) for width in widths] == hidden:
            return expansion
    raise WeightsError(f"{source} is not a DiffIR checkpoint: hidden widths {hidden} do not follow from {widths}")
