"""The keys of a training stage in an option file that only latent diffusion has."""

from dataclasses import dataclass, fields
from typing import Annotated, Literal

from diffir.errors import ConfigError
from diffir.field_ranges import Within, check_fields

ElementLoss = Literal["l1", "l2"]
_OF_STAGE = {
    "kl_weight": "autoencoder",
    "codebook_weight": "autoencoder",
    "lpips_weight": "autoencoder",
    "gan_start": "autoencoder",
    "restart_codes": "autoencoder",
    "diffusion_loss": "denoiser",
    "condition_dropout": "denoiser",
    "encoded_patches": "denoiser",
}


@dataclass(frozen=True)
class LatentTraining:
    """Losses of the stages ``autoencoder`` and ``denoiser``; each key is for one of them."""

    kl_weight: Annotated[float, Within(0)] = 1e-6
    """Weight of the KL divergence, summed over a latent, beside the L1 distance, summed over an image (``kl``)."""
    codebook_weight: Annotated[float, Within(0)] = 1.0
    """Weight of the distance between latents and codes (``vq``)."""
    lpips_weight: Annotated[float, Within(0)] = 1.0
    """Weight of LPIPS with SqueezeNet, whose weights are part of the package."""
    gan_start: Annotated[int, Within(0)] = 0
    """First step in which the section ``gan`` acts on the autoencoder; the discriminator learns from 1,000 steps
    earlier."""
    restart_codes: Annotated[int, Within(0)] = 0
    """Steps without use after which a code is replaced by a latent vector of the batch (``vq``); 0: never."""
    diffusion_loss: ElementLoss = "l2"
    """Distance between what the denoiser predicts and its target."""
    condition_dropout: Annotated[float, Within(0, 1)] = 0.0
    """Share of the samples that are trained without condition, which the option ``guidance`` needs."""
    encoded_patches: Annotated[int, Within(0)] = 0
    """Number of different patches that the autoencoder encodes once, before the first step; their latents are kept on
    disk. 0: every batch is encoded in its step."""

    def __post_init__(self) -> None:
        check_fields(self)

    def check_stage(self, stage: str) -> None:
        """Refuse keys that have no effect in this stage."""
        for item in fields(self):
            if _OF_STAGE[item.name] != stage and getattr(self, item.name) != item.default:
                raise ConfigError(f"{item.name} is a key of the stage {_OF_STAGE[item.name]}, not of {stage}")
