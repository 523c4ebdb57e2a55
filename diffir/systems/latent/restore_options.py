"""The options for restoring that only latent diffusion has; the command line turns the fields into flags."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from diffir.field_ranges import Above, Within, check_fields

Sampler = Literal["auto", "ddim", "dpm"]
ColourFix = Literal["none", "mean", "wavelet"]
Consistency = Literal["auto", "on", "off"]


@dataclass(frozen=True)
class LatentOptions:
    """Options for restoring by latent diffusion, in addition to ``RestoreOptions``."""

    steps: Annotated[int | None, Within(1, 1000)] = field(
        default=None,
        metadata={"help": "number of sampling steps; more take longer; default: 4 for our networks, 50 for others"},
    )
    sampler: Sampler = field(
        default="auto",
        metadata={
            "help": "ddim, or DPM-Solver++ of second order (dpm), which needs fewer steps; auto: dpm, or ddim with eta"
        },
    )
    eta: Annotated[float, Within(0, 1)] = field(
        default=0.0, metadata={"help": "noise that ddim adds in every step: 0 none, 1 as much as DDPM"}
    )
    temperature: Annotated[float | None, Within(0, 2)] = field(
        default=None,
        metadata={
            "help": "factor on the noise that sampling starts from: lower is smoother and more faithful, higher draws "
            "more detail; default: 0.8 for ldm_inpaint, 1 for others"
        },
    )
    guidance: Annotated[float, Within(0, 100)] = field(
        default=1.0,
        metadata={"help": "strength of the condition; above 1 for networks trained with condition_dropout"},
    )
    consistency: Consistency = field(
        default="auto",
        metadata={
            "help": "correct an enlarged photo until it fits the input when shrunk; auto: on where inputs are clean"
        },
    )
    color_fix: ColourFix = field(
        default="none",
        metadata={"help": "take the mean colour, or the low frequencies (wavelet), of each window from the input"},
    )
    window: Annotated[int, Above(0)] = field(
        default=64,
        metadata={"help": "side of the windows in which large photos are sampled, in positions of the latent"},
    )

    def __post_init__(self) -> None:
        check_fields(self)
