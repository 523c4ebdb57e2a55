"""The table of networks of latent diffusion: the released ones, and small ones of our own for CPUs.

The released rows have the settings of the option files that the authors published with "High-Resolution Image
Synthesis with Latent Diffusion Models" (CVPR 2022). A row of an autoencoder alone trains and loads the first stage.
"""

from dataclasses import dataclass, replace

from diffir.errors import UsageError
from diffir.metrics.protocol import Protocol
from diffir.near_names import meant
from diffir.systems.latent.settings import (
    AutoencoderSettings,
    DenoiserSettings,
    DiffusionSettings,
    LatentSettings,
)

_RGB = Protocol()
_Y_X4 = Protocol(crop_border=4, test_y_channel=True)


@dataclass(frozen=True)
class Row:
    """One row of the table."""

    name: str
    summary: str
    """One line of description for ``diffir models``."""
    settings: LatentSettings
    protocol: Protocol = _RGB
    official: bool = True
    """True if the authors released weights for these settings."""


# Released autoencoders (LDM, table 8): the number after f is the downsampling factor.
_KL_F4 = AutoencoderSettings()
_KL_F8 = replace(_KL_F4, multipliers=(1, 2, 4, 4), z_channels=4, latent_channels=4)
_KL_F16 = replace(_KL_F4, multipliers=(1, 1, 2, 2, 4), z_channels=16, latent_channels=16, attention_factors=(16,))
_VQ_F4 = replace(_KL_F4, regulariser="vq")
_VQ_F4_NOATTN = replace(_VQ_F4, mid_attention=False)
_VQ_F8 = replace(_VQ_F4, multipliers=(1, 2, 2, 4), z_channels=4, latent_channels=4, codes=16384, attention_factors=(8,))
_VQ_F8_N256 = replace(_VQ_F8, codes=256)
_VQ_F16 = replace(_VQ_F8, multipliers=(1, 1, 2, 2, 4), z_channels=8, latent_channels=8, attention_factors=(16,))

# Released restoration networks.
_BSR_SR = LatentSettings(_VQ_F4, DenoiserSettings(), DiffusionSettings(), ("image",), scale=4)
_INPAINTING_BIG = LatentSettings(
    _VQ_F4_NOATTN,
    DenoiserSettings(256, (1, 2, 3, 4), 2, (8, 4, 2), heads=8, updown_blocks=True),
    DiffusionSettings(linear_end=0.0205),
    ("latent", "mask"),
    scale=1,
)
_SEMANTIC = LatentSettings(
    _VQ_F4,
    DenoiserSettings(128, (1, 4, 8), 2, (32, 16, 8), heads=8),
    DiffusionSettings(linear_end=0.0205),
    ("labels",),
    scale=1,
    labels=182,
)

# Small networks of our own. Pixels are unshuffled first and the best linear code of patches runs beside the networks,
# so that an autoencoder starts at 30 dB instead of 10; the difference from the enlarged input is diffused, as v, in few
# trailing steps: docs/latent-diffusion.md has the measurements behind each of these choices.
_KL_F4_SMALL = AutoencoderSettings("kl", 64, (1, 2), 1, 8, 8, mid_attention=False, unshuffle=2, linear_code=True)
_VQ_F4_SMALL = replace(_KL_F4_SMALL, regulariser="vq", codes=4096, z_channels=4, latent_channels=4, counts_use=True)
_SMALL_UNET = DenoiserSettings(64, (1, 2, 2), 1, (4,), head_channels=32)
_RESIDUAL = DiffusionSettings(prediction="v", spacing="trailing", steps=4, residual=True)
_SR_SMALL = LatentSettings(_KL_F4_SMALL, _SMALL_UNET, _RESIDUAL, ("image", "latent"), scale=4, clean_input=True)
_REALSR_SMALL = replace(_SR_SMALL, clean_input=False)  # noise and JPEG artefacts must not come back
_INPAINT_SMALL = LatentSettings(
    _KL_F4_SMALL,
    _SMALL_UNET,
    replace(_RESIDUAL, temperature=0.8),
    ("latent", "mask_pixels"),
    scale=1,
    hole_fill="membrane",
)
_TINY = LatentSettings(
    AutoencoderSettings("kl", 8, (1, 2), 1, 4, 4, mid_attention=False, unshuffle=2, linear_code=True),
    DenoiserSettings(8, (1, 2), 1, (2,), heads=2),
    _RESIDUAL,
    ("image", "latent"),
    scale=4,
    clean_input=True,
)


def _first_stage(name: str, autoencoder: AutoencoderSettings, summary: str, *, official: bool = True) -> Row:
    """A row that describes an autoencoder; its denoiser has the settings of the small ones."""
    settings = LatentSettings(autoencoder, _SMALL_UNET, _RESIDUAL, ("latent",), scale=1)
    return Row(name, summary, settings, official=official)


ROWS: dict[str, Row] = {
    row.name: row
    for row in (
        _first_stage("kl-f4", _KL_F4, "released autoencoder, KL, latents of 1/4 of the sides"),
        _first_stage("kl-f8", _KL_F8, "released autoencoder, KL, latents of 1/8 of the sides"),
        _first_stage("kl-f16", _KL_F16, "released autoencoder, KL, latents of 1/16 of the sides"),
        _first_stage("vq-f4", _VQ_F4, "released autoencoder, codebook of 8192, 1/4 of the sides"),
        _first_stage("vq-f4-noattn", _VQ_F4_NOATTN, "the same without attention"),
        _first_stage("vq-f8", _VQ_F8, "released autoencoder, codebook of 16384, 1/8 of the sides"),
        _first_stage("vq-f8-n256", _VQ_F8_N256, "released autoencoder, codebook of 256, 1/8 of the sides"),
        _first_stage("vq-f16", _VQ_F16, "released autoencoder, codebook of 16384, 1/16 of the sides"),
        Row("bsr_sr", "latent diffusion, real-world super-resolution x4", _BSR_SR, _Y_X4),
        Row("inpainting_big", "latent diffusion, inpainting of large holes", _INPAINTING_BIG),
        Row("semantic_synthesis256", "latent diffusion, photos from label maps", _SEMANTIC),
        _first_stage("kl_f4_small", _KL_F4_SMALL, "autoencoder, KL, for CPUs", official=False),
        _first_stage("vq_f4_small", _VQ_F4_SMALL, "autoencoder, codebook of 4096, for CPUs", official=False),
        Row("ldm_sr_x4_small", "latent diffusion, super-resolution x4, for CPUs", _SR_SMALL, _Y_X4, official=False),
        Row(
            "ldm_realsr_x4_small",
            "latent diffusion, small noisy or compressed pictures x4, for CPUs",
            _REALSR_SMALL,
            _Y_X4,
            official=False,
        ),
        Row("ldm_inpaint_small", "latent diffusion, inpainting, for CPUs", _INPAINT_SMALL, official=False),
        Row("ldm_tiny", "a toy for tests and first steps", _TINY, _Y_X4, official=False),
    )
}


def get_row(name: str) -> Row:
    """The row of the table with this name.

    Raises:
        UsageError: there is no such row; the message suggests the nearest name, or lists all.
    """
    if name not in ROWS:
        raise UsageError(f"unknown task {name!r}; {meant(name, ROWS)}")
    return ROWS[name]
