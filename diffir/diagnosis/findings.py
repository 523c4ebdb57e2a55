"""``diagnose``: figures of a photo, and what they say is wrong with it.

In: pixels, and the quality of the file if it is a JPEG. Out: a ``Diagnosis``. The thresholds were set on the training
photos of ``datasets/lists/permissive_train.txt``, undamaged and under the shipped recipes, so that of 164 undamaged
photos few are called damaged; ``tools/measure_diagnosis.py`` measures that.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from diffir.diagnosis.blocks import blockiness
from diffir.diagnosis.noise import coarse_noise_level, noise_level
from diffir.diagnosis.sharpness import edge_width
from diffir.diagnosis.tones import colour_cast, shadow_and_light, tones_of, veil
from diffir.diagnosis.views import Views

Fault = Literal["noise", "strong noise", "JPEG", "soft", "dark", "backlit", "hazy", "faded"]

# Noise, in 1/255. Noise is finer than texture: at half size it is weaker, and texture is stronger.
_NOISE, _LARGEST_COARSE_SHARE = 2.7, 0.95
_STRONG_NOISE = 12.0
# JPEG takes the finest part of noise, so what is left is coarse, and it lies under blocks.
_COARSE_NOISE, _LEAST_COARSE_SHARE, _BLOCKS_OVER_NOISE = 3.0, 1.3, 0.035
# JPEG: quality of the tables, and excess of the steps on the grid over the others.
_QUALITY = 80
_BLOCKINESS = 0.09
# Softness: sigma in pixels. The lens and the sensor of a camera leave edges of 0.4 to 0.8 in its own pixels.
_EDGE_WIDTH = 0.95
# Tones, on the 8-bit scale.
_DARK_WHITE = 130.0
_BACKLIT = ((40.0, 110.0), (50.0, 170.0))  # largest shadow and least light: deeper shadows need less light
_HAZY_BLACK, _HAZY_VEIL = 20.0, 80.0
_FADED_BLACK, _FADED_BLUE, _FADED_YELLOW = 25.0, 230.0, 30.0


@dataclass(frozen=True)
class Figures:
    """What the estimators measure."""

    width: int
    height: int
    noise: float
    """Standard deviation of the noise in brightness, in 1/255."""
    coarse_noise: float
    """The same at half size."""
    blockiness: float
    """Excess of steps on the grid of JPEG; 0 for none."""
    jpeg_quality: int | None
    """1 to 100 by the tables of the file; None if it is no JPEG."""
    edge_width: float | None
    """Sigma of the sharpest edges in pixels; None if there are too few edges."""
    white: float
    """Brightness that a hundredth of the pixels exceeds, 0 to 255."""
    shadow: float
    """Brightness below which a quarter of the photo lies, detail smoothed away, 0 to 255."""
    light: float
    """Brightness above which a tenth of the photo lies, detail smoothed away, 0 to 255."""
    black: float
    """Value that all but a hundredth of the pixels exceed in every channel, 0 to 255."""
    yellowing: float
    """How far white is redder than it is blue, in 1/255."""
    white_blue: float
    """Value that a hundredth of the pixels exceeds in blue, 0 to 255."""
    veil: float
    """Median of the dark channel, 0 to 255."""
    colour_cast: float
    """Stops between the strongest and the weakest colour of the light. It is no finding, since coloured subjects look
    the same."""


@dataclass(frozen=True)
class Finding:
    """One thing that seems wrong with a photo."""

    name: Fault
    text: str
    """What was found, with its figure."""


@dataclass(frozen=True)
class Diagnosis:
    """The figures of a photo and what they say; without findings the photo seems undamaged."""

    figures: Figures
    findings: tuple[Finding, ...]

    @property
    def faults(self) -> frozenset[Fault]:
        """The names of the findings."""
        return frozenset(finding.name for finding in self.findings)


def diagnose(pixels: np.ndarray, jpeg_quality: int | None = None) -> Diagnosis:
    """Look for damage in a photo.

    Args:
        pixels: H x W x C, RGB or grey: uint8, uint16 or float with white at 1. Large photos are looked at in windows.
        jpeg_quality: of the file, as ``diffir.image_io.jpeg_quality`` reads it; None if it is no JPEG.
    """
    figures = _figures(Views.of(pixels), jpeg_quality)
    found = (*_noise(figures), *_jpeg(figures), *_softness(figures), *_tones(figures))
    return Diagnosis(figures, found)


def _figures(views: Views, jpeg_quality: int | None) -> Figures:
    tones = tones_of(views.whole)
    shadow, light = shadow_and_light(views.whole)
    return Figures(
        width=views.width,
        height=views.height,
        noise=noise_level(views.luma),
        coarse_noise=coarse_noise_level(views.luma),
        blockiness=blockiness(views.luma),
        jpeg_quality=jpeg_quality,
        edge_width=edge_width(views.luma),
        white=tones.white,
        shadow=shadow,
        light=light,
        black=tones.black,
        yellowing=tones.white_red - tones.white_blue,
        white_blue=tones.white_blue,
        veil=veil(views.whole),
        colour_cast=colour_cast(views.whole),
    )


def _noise(figures: Figures) -> list[Finding]:
    fine, coarse = figures.noise, figures.coarse_noise
    if fine > _NOISE and coarse < _LARGEST_COARSE_SHARE * fine:
        found = [Finding("noise", f"noise (sigma {fine:.0f} of 255 in brightness)")]
        return [*found, Finding("strong noise", "which is strong")] if fine > _STRONG_NOISE else found
    if coarse > max(_COARSE_NOISE, _LEAST_COARSE_SHARE * fine) and figures.blockiness > _BLOCKS_OVER_NOISE:
        return [Finding("noise", f"noise under JPEG (about sigma {2 * coarse:.0f} of 255 before it)")]
    return []


def _jpeg(figures: Figures) -> list[Finding]:
    quality = figures.jpeg_quality
    if quality is not None and quality < _QUALITY:
        return [Finding("JPEG", f"JPEG of quality {quality}")]
    if figures.blockiness > _BLOCKINESS:
        return [Finding("JPEG", f"blocks of JPEG (blockiness {figures.blockiness:.2f})")]
    return []


def _softness(figures: Figures) -> list[Finding]:
    width = figures.edge_width
    if width is None or width < _EDGE_WIDTH:
        return []
    return [Finding("soft", f"softness (edges as after a blur of sigma {width:.1f} pixels)")]


def _tones(figures: Figures) -> list[Finding]:
    if figures.white < _DARK_WHITE:
        return [Finding("dark", f"darkness (99 of 100 pixels are below {figures.white:.0f} of 255)")]
    if any(figures.shadow < shadow and figures.light > light for shadow, light in _BACKLIT):
        shares = f"a quarter of the photo is below {figures.shadow:.0f} of 255, a tenth above {figures.light:.0f}"
        return [Finding("backlit", f"a subject in shadow ({shares})")]
    # Fading comes first, since it lifts the dark channel, too, and haze is seldom yellow.
    is_pale = figures.black > _FADED_BLACK and figures.white_blue < _FADED_BLUE
    if is_pale and figures.yellowing > _FADED_YELLOW:
        return [Finding("faded", f"fading (black at {figures.black:.0f}, white {figures.yellowing:.0f} too yellow)")]
    if figures.black > _HAZY_BLACK and figures.veil > _HAZY_VEIL:
        return [Finding("hazy", f"haze (half of the photo has no value below {figures.veil:.0f} of 255)")]
    return []
