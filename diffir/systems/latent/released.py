"""Read the checkpoints that the authors of latent diffusion released, and files that their code writes (Lightning).

In: tensors by name (``checkpoint_file.read_checkpoint``). Out: part, settings and the tensors under our names. The
averaged weights of the denoiser are taken if they are complete. Constants of the noise schedule and second copies of
tensors are compared and dropped; losses are ignored. Source: the layouts of the files of Rombach et al., CVPR 2022.
"""

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from diffir.errors import ConfigError, WeightsError
from diffir.system import Released
from diffir.systems.latent.rows import ROWS
from diffir.systems.latent.schedule import Schedule
from diffir.systems.latent.settings import AutoencoderSettings, DiffusionSettings, LatentSettings
from diffir.systems.latent.settings_from_shapes import Shapes, Structure, autoencoder_settings, denoiser_settings

State = dict[str, Tensor]

DENOISER, FIRST_STAGE, CONDITION = "model.diffusion_model.", "first_stage_model.", "cond_stage_model."
AVERAGE = "model_ema."
LABEL_MAPPER = "channel_mapper.weight"
_NOT_RESTORING = ("loss.", "model_ema.")  # parts of an autoencoder that only its training needs
_CONSTANTS = (  # of the noise schedule; those that are not compared follow from these
    "betas",
    "alphas_cumprod",
    "sqrt_alphas_cumprod",
    "sqrt_one_minus_alphas_cumprod",
)
_LIKE_BETAS = (*_CONSTANTS, "alphas_cumprod_prev", "log_one_minus_alphas_cumprod", "posterior_variance")
_TOLERANCE = 1e-5  # relative; the released code computes in float64 and stores float32


def read_lightning(state: Mapping[str, Tensor], source: str) -> Released | None:
    """Read a whole network or an autoencoder; None if the names are not those of the released code.

    Raises:
        WeightsError: tensors are missing or contradict each other, or diffir has no such network.
    """
    _refuse_what_no_network_is(state, source)
    if any(name.startswith(f"{DENOISER}input_blocks.") for name in state):
        return _read_whole(state, source)
    prefix = _prefix_of_autoencoder(state)
    return None if prefix is None else _read_autoencoder(state, prefix, source)


def released_autoencoder(settings: AutoencoderSettings, state: State, notes: str = "") -> Released:
    """An autoencoder alone as the contents of a checkpoint, with the row that describes it."""
    row = next((row for row in ROWS.values() if row.settings.autoencoder == settings), None)
    # Its card has settings of a whole network; those of the denoiser are of no consequence.
    whole = row.settings if row else replace(ROWS["vq-f4"].settings, autoencoder=settings)
    return Released("autoencoder", whole.to_dict(), state, row.name if row else None, notes)


def released_network(settings: LatentSettings, state: State, notes: str = "") -> Released:
    """A whole network as the contents of a checkpoint, with the row that describes it."""
    row = next((row for row in ROWS.values() if row.settings == settings), None)
    return Released("denoiser", settings.to_dict(), state, row.name if row else None, notes)


def _read_autoencoder(state: Mapping[str, Tensor], prefix: str, source: str) -> Released:
    raw = _autoencoder_tensors(state, prefix)
    settings = autoencoder_settings(Shapes(raw, prefix, source))
    return released_autoencoder(settings, *_averaged(raw, state, ""))


def _read_whole(state: Mapping[str, Tensor], source: str) -> Released:
    # Read the three networks in the file.
    first_stage = _autoencoder_tensors(state, FIRST_STAGE)
    raw = _inside(state, DENOISER)
    autoencoder = autoencoder_settings(Shapes(first_stage, FIRST_STAGE, source))
    shapes = Shapes(raw, DENOISER, source)
    denoiser = denoiser_settings(shapes)
    labels = _label_mapper(state, first_stage, source)

    # Find the row; no tensor tells the number of attention heads, nor what the condition means.
    extra = shapes.of("input_blocks.0.0.weight", 4)[1] - autoencoder.latent_channels
    row = Structure(autoencoder, denoiser, extra, 0 if labels is None else labels.shape[1]).row(knows_heads=False)
    if row is None:
        raise shapes.error(
            f"no row of the table has its denoiser ({denoiser.channels} channels times "
            f"{list(denoiser.multipliers)}, {extra} channels of condition), and the file does not tell the number of "
            "attention heads; a folder in diffusers' layout does"
        )
    settings = replace(row.settings, diffusion=_diffusion(state, row.settings.diffusion, source))

    averaged, notes = _averaged(raw, state, "diffusion_model.")
    ours = {f"denoiser.{name}": tensor for name, tensor in averaged.items()}
    ours |= {f"autoencoder.{name}": tensor for name, tensor in first_stage.items()}
    ours |= {} if labels is None else {f"labels.{LABEL_MAPPER}": labels}
    ours["latent_scale"] = torch.full((autoencoder.latent_channels,), _scale(state, autoencoder, source))
    return released_network(settings, ours, notes)


def _refuse_what_no_network_is(state: Mapping[str, Tensor], source: str) -> None:
    unreal = next((name for name, tensor in state.items() if tensor.is_complex()), None)
    if unreal is not None:
        raise WeightsError(f"{source}: {unreal} is of complex numbers, which no network has")
    if any(name.startswith(("down_blocks.", "encoder.down_blocks.")) for name in state):
        raise WeightsError(
            f"{source} is one file of a folder in diffusers' layout, whose settings lie beside it: give the folder "
            "that holds unet, vqvae and scheduler"
        )


def _prefix_of_autoencoder(state: Mapping[str, Tensor]) -> str | None:
    """The beginning of an autoencoder's names, which may be empty; None if the file holds no autoencoder."""
    ending = "encoder.conv_in.weight"
    found = [name.removesuffix(ending) for name in state if name.endswith(ending)]
    found = [prefix for prefix in found if f"{prefix}post_quant_conv.weight" in state]
    return FIRST_STAGE if FIRST_STAGE in found else min(found, default=None)


def _autoencoder_tensors(state: Mapping[str, Tensor], prefix: str) -> State:
    return {name: t for name, t in _inside(state, prefix).items() if not name.startswith(_NOT_RESTORING)}


def _inside(state: Mapping[str, Tensor], prefix: str) -> State:
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}


def _averaged(raw: State, state: Mapping[str, Tensor], prefix: str) -> tuple[State, str]:
    """The averaged copies of tensors if the file has all of them, otherwise the tensors, and a note for the card.

    Args:
        prefix: beginning of the names inside of the module that was averaged; their dots are left out.
    """
    names = {name: AVERAGE + (prefix + name).replace(".", "") for name in raw}
    missing = [average for average in names.values() if average not in state]
    updates = state.get(f"{AVERAGE}num_updates")
    if updates is not None and updates.numel() == 1 and int(updates) == 0:
        return raw, "weights as trained, since their average was never updated"
    if missing:
        reason = "no average" if len(missing) == len(names) else f"an average that lacks {min(missing)}"
        return raw, f"weights as trained, since the file holds {reason}"
    return {name: state[average] for name, average in names.items()}, "averaged weights"


def _label_mapper(state: Mapping[str, Tensor], first_stage: State, source: str) -> Tensor | None:
    """The 1 x 1 convolution of label maps, if the network reads label maps.

    Raises:
        WeightsError: the file holds another encoder of conditions, or a copy of the autoencoder that differs.
    """
    condition = _autoencoder_tensors(state, CONDITION)
    if set(condition) == {LABEL_MAPPER} and condition[LABEL_MAPPER].ndim == 4:
        return condition[LABEL_MAPPER]
    foreign = next((name for name in condition if name not in first_stage), None)
    if foreign is not None:
        raise WeightsError(f"{source} has a condition that diffir does not know: it holds {CONDITION}{foreign}")
    # Inpainting networks hold the autoencoder twice.
    for name, tensor in condition.items():
        if not torch.equal(tensor.double(), first_stage[name].double()):
            raise WeightsError(f"{source} contradicts itself: {FIRST_STAGE}{name} and {CONDITION}{name} differ")
    return None


def _diffusion(state: Mapping[str, Tensor], usual: DiffusionSettings, source: str) -> DiffusionSettings:
    """The noise schedule of the file, and the other settings of ``usual``; a file without betas has those of the row.

    Raises:
        WeightsError: constants contradict each other, or belong to another kind of schedule.
    """
    settings = usual
    if "betas" in state:
        betas = state["betas"]
        if betas.ndim != 1 or len(betas) == 0 or not betas.double().isfinite().all():
            raise WeightsError(f"{source}: betas are not a row of numbers")
        try:
            start, end = _shortest_decimal(betas[0]), _shortest_decimal(betas[-1])
            settings = replace(usual, timesteps=len(betas), linear_start=start, linear_end=end)
        except ConfigError as error:
            raise WeightsError(f"{source}: its betas belong to no schedule that diffir knows ({error})") from error
    for name in _LIKE_BETAS:
        if name in state and state[name].shape != (settings.timesteps,):
            raise WeightsError(f"{source}: {name} is not a row of {settings.timesteps:,} numbers")

    # Compare the constants with those of the schedule.
    schedule = Schedule(settings)
    alphas = np.array(schedule.alphas)
    for name, expected in zip(_CONSTANTS, (schedule.betas, alphas, alphas**0.5, (1 - alphas) ** 0.5), strict=True):
        stored = state.get(name)
        if stored is None:
            continue
        tolerance = max(_TOLERANCE, 2 * torch.finfo(stored.dtype).eps) if stored.is_floating_point() else 0.0
        if not np.allclose(stored.double().numpy(), expected, tolerance, tolerance / 10):
            raise WeightsError(f"{source}: {name} does not belong to a schedule that is linear in sqrt(beta)")
    return settings


def _shortest_decimal(number: Tensor) -> float:
    """The shortest decimal that rounds to this number: 0.0015, not 0.001500000013038516."""
    number = number if number.dtype in (torch.float16, torch.bfloat16) else number.float()
    candidates = (float(f"{number.item():.{digits}g}") for digits in range(1, 10))
    return next((c for c in candidates if torch.tensor(c, dtype=number.dtype) == number), number.item())


def _scale(state: Mapping[str, Tensor], autoencoder: AutoencoderSettings, source: str) -> float:
    """The factor of the latents; 1 for codebooks if the file has none.

    Raises:
        WeightsError: the file has no factor but needs one, or it is no positive number.
    """
    if "scale_factor" not in state:
        if autoencoder.regulariser == "kl":
            raise WeightsError(f"{source} lacks scale_factor, by which the latents of its autoencoder are multiplied")
        return 1.0
    stored = state["scale_factor"]
    if stored.numel() != 1 or not 0 < float(stored) < math.inf:
        raise WeightsError(f"{source}: scale_factor is not one positive number")
    return float(stored)
