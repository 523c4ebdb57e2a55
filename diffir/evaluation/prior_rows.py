"""Words for the rows of a prior study: the kinds of priors that may guide a network, and how results spread.

The study itself belongs to the system that has priors; tables and reports need the words alone.
"""

from dataclasses import dataclass
from typing import Literal, get_args

PriorKind = Literal["diffusion", "oracle", "stage1", "condition", "one-step", "mean", "other", "random", "zero"]
PRIOR_KINDS: tuple[PriorKind, ...] = get_args(PriorKind)
MEANINGS: dict[PriorKind, str] = {
    "diffusion": "what stage 2 estimates from the damaged image",
    "oracle": "what stage 1 finds with the clean image in sight",
    "stage1": "the whole stage-1 network, with its own oracle prior",
    "condition": "CPEN's view of the damaged image, no diffusion step",
    "one-step": "the denoiser's first guess, from the start noise",
    "mean": "the mean of what stage 2 estimates of the set's other images",
    "other": "what stage 2 estimates of the set's next image",
    "random": "the start noise itself, standard normal",
    "zero": "zeros",
}
NEED_TEACHER: tuple[PriorKind, ...] = ("oracle", "stage1")


@dataclass(frozen=True)
class Spread:
    """How far results differ over start noises: standard deviations, averaged over the images."""

    noises: int
    psnr: float
    """PSNR of the result, in dB."""
    pixel: float
    """A pixel of the result, in 1/255."""
    prior: float
    """A number of the prior, divided by how much it varies from image to image; not finite for a single image."""

    def __str__(self) -> str:
        return (
            f"over {self.noises} start noises: PSNR varies by {self.psnr:.4f} dB, a pixel by {self.pixel:.4f} / 255, "
            f"the prior {self.prior:.2f} times as much as from image to image"
        )
