"""The protocol of a step, the steps that contain other steps, and the table of all steps by name.

A step takes one image (1, C, H, W) float, RGB, around [0, 1], and its ``Draw``; it returns the degraded image. It is a
frozen dataclass whose fields are the keys that a recipe may set (see ``assembly``).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Protocol, runtime_checkable

from torch import Tensor

from diffir.degradations.backlight import Backlight
from diffir.degradations.blur import Blur, SincBlur
from diffir.degradations.camera_noise import CameraNoise
from diffir.degradations.compression import JPEG, WebP
from diffir.degradations.draw import Draw
from diffir.degradations.haze import Haze
from diffir.degradations.levels import Clip, GroundTruth, Quantize
from diffir.degradations.low_light import LowLight
from diffir.degradations.masks import Boxes, Half, Lines, MaskFolder, Outpaint
from diffir.degradations.noise import GaussianNoise, PoissonNoise
from diffir.degradations.old_photo import Fading, Stains
from diffir.degradations.optical_blur import DefocusBlur, MotionBlur
from diffir.degradations.rain import Rain
from diffir.degradations.resample import Decimate, MatlabBicubic, Resize, ResizeBack
from diffir.degradations.shapes.strokes import Strokes
from diffir.degradations.sharpen import USMSharpen
from diffir.degradations.snow import Snow
from diffir.degradations.surface_damage import Dust, Folds, Scratches
from diffir.errors import ConfigError
from diffir.field_ranges import Weights, Within, check_fields


@runtime_checkable
class Step(Protocol):
    """One degradation, whose strength is drawn for each image."""

    def __call__(self, image: Tensor, draw: Draw) -> Tensor:
        """Degrade one image (1, C, H, W); its size and its number of channels may change."""


@dataclass(frozen=True)
class AllOf:
    """Applies all steps in their order; with ``prob``, all of them or none."""

    steps: tuple[Step, ...]

    def __call__(self, image: Tensor, draw: Draw) -> Tensor:
        return apply_steps(self.steps, image, draw)


@dataclass(frozen=True)
class Shuffled:
    """Applies all steps, in an order drawn for each image."""

    steps: tuple[Step, ...]
    in_order: tuple[int, ...] = ()
    """Numbers of steps, from 1, that always follow each other in this order, with any other steps between them."""

    def __post_init__(self) -> None:
        if len(set(self.in_order)) < len(self.in_order) or set(self.in_order) - set(range(1, len(self.steps) + 1)):
            raise ConfigError(
                f"in_order must be different numbers of steps, from 1 to {len(self.steps)}, got {list(self.in_order)}"
            )

    def __call__(self, image: Tensor, draw: Draw) -> Tensor:
        drawn = draw.shuffled(range(1, len(self.steps) + 1))
        # The places that were drawn for the listed steps are given to them in their order.
        listed = iter(self.in_order)
        order = [next(listed) if number in self.in_order else number for number in drawn]
        return apply_steps([self.steps[number - 1] for number in order], image, draw)


@dataclass(frozen=True)
class OneOf:
    """Applies one of the steps, drawn evenly or by ``weights``."""

    steps: tuple[Step, ...]
    weights: Annotated[tuple[float, ...], Weights()] = ()

    def __post_init__(self) -> None:
        if not self.weights:  # no weights: all steps are equally likely
            return
        if len(self.weights) != len(self.steps):
            raise ConfigError(f"weights must be {len(self.steps)} numbers, one for each step, got {len(self.weights)}")
        check_fields(self)

    def __call__(self, image: Tensor, draw: Draw) -> Tensor:
        return draw.choose(self.steps, self.weights)(image, draw)


@dataclass(frozen=True)
class Sometimes:
    """Applies a step with the probability ``prob``; a recipe writes it as the key ``prob`` of the step."""

    step: Step
    prob: Annotated[float, Within(0, 1)]

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, image: Tensor, draw: Draw) -> Tensor:
        return self.step(image, draw) if draw.happens(self.prob) else image


def apply_steps(steps: Sequence[Step], image: Tensor, draw: Draw) -> Tensor:
    """Apply steps to one image (1, C, H, W), one after the other."""
    for step in steps:
        image = step(image, draw)
    return image


GROUPS: dict[str, type] = {"all_of": AllOf, "one_of": OneOf, "shuffled": Shuffled}
STEPS: dict[str, type] = {
    "blur": Blur,
    "sinc_blur": SincBlur,
    "motion_blur": MotionBlur,
    "defocus_blur": DefocusBlur,
    "gaussian_noise": GaussianNoise,
    "poisson_noise": PoissonNoise,
    "camera_noise": CameraNoise,
    "resize": Resize,
    "resize_back": ResizeBack,
    "decimate": Decimate,
    "matlab_bicubic": MatlabBicubic,
    "jpeg": JPEG,
    "webp": WebP,
    "clip": Clip,
    "quantize": Quantize,
    "ground_truth": GroundTruth,
    "usm_sharpen": USMSharpen,
    "rain": Rain,
    "snow": Snow,
    "haze": Haze,
    "low_light": LowLight,
    "backlight": Backlight,
    "fading": Fading,
    "stains": Stains,
    "scratches": Scratches,
    "dust": Dust,
    "folds": Folds,
    "strokes": Strokes,
    "boxes": Boxes,
    "half": Half,
    "outpaint": Outpaint,
    "lines": Lines,
    "mask_folder": MaskFolder,
}
