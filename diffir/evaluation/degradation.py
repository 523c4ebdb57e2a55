"""The degradations of a benchmark: how each makes the low-quality input from the clean image.

In: an image as its file holds it. Out: a ``Sample``. Each degradation also names the protocol that its published tables
use: RGB for denoising and JPEG, luma without a border of ``scale`` pixels for super-resolution, luma for grey JPEG. If
inputs come with the set, the card of the set names the protocol.
"""

from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal
from typing import Protocol as Interface

import cv2
import numpy as np

from diffir.data.mask_set import MaskSet
from diffir.degradations.benchmark_noise import add_benchmark_noise
from diffir.degradations.masks import MaskFolder
from diffir.degradations.recipes import Recipe, cut_to_multiple, degrade_pair, load_recipe, seed_for_photo
from diffir.degradations.resize import imresize
from diffir.errors import ConfigError, UsageError
from diffir.evaluation.sample import Sample
from diffir.metrics.protocol import Protocol, luma
from diffir.pixels import as_rgb, to_kind

LowResolution = Literal["rgb8", "y_float"]
MASK_RECIPES = {"thin": "inpaint_thin", "medium": "inpaint_medium", "wide": "inpaint_wide"}
_MISSING_FROM = 0.5  # masks of recipes hold 0 (known) and 1 (missing)
_MOST_DRAWS = 100  # attempts if a recipe leaves an image unchanged
_NEXT_DRAW = 1_000_003  # added to the seed for the next attempt; far from the seeds that people choose


class Degradation(Interface):
    """One way to make the samples of a benchmark."""

    kind: ClassVar[str]

    @property
    def label(self) -> str:
        """Short and unique, such as "sigma 25"; tables and published rows use it."""
        ...

    @property
    def scale(self) -> int:
        """Side of the ground truth divided by the side of the input."""
        ...

    @property
    def protocol(self) -> Protocol | None:
        """The protocol of its published tables; None if the card of the set decides."""
        ...

    def __call__(self, name: str, image: np.ndarray, given: np.ndarray | None = None) -> Sample:
        """Make the sample of an image (H x W x C, uint8); ``given`` is the input that came with it, if any."""
        ...

    def facts(self) -> dict[str, Any]:
        """Kind, settings and description in plain types, for the JSON."""
        ...


@dataclass(frozen=True)
class _FromClean:
    """The parts that degradations of clean images have in common."""

    kind: ClassVar[str] = ""

    @property
    def scale(self) -> int:
        return 1

    @property
    def protocol(self) -> Protocol | None:
        return Protocol()

    def facts(self) -> dict[str, Any]:
        return {"kind": self.kind, **asdict(self), "description": str(self)}


@dataclass(frozen=True)
class GaussianNoise(_FromClean):
    """Gaussian noise as published denoising tables use it."""

    kind: ClassVar[str] = "noise"
    sigma: float
    """Standard deviation of the noise, in 1/255."""

    @property
    def label(self) -> str:
        return f"sigma {self.sigma:g}"

    def __call__(self, name: str, image: np.ndarray, given: np.ndarray | None = None) -> Sample:
        gt = as_rgb(image)
        return Sample(name, add_benchmark_noise(gt, self.sigma), gt)

    def __str__(self) -> str:
        return (
            f"Gaussian noise of sigma {self.sigma:g}/255 added in float (RandomState(0) anew for each image), "
            "neither clipped nor rounded"
        )


@dataclass(frozen=True)
class BicubicDownscale(_FromClean):
    """Downscaling by MATLAB's bicubic imresize, after the ground truth was cut to a multiple of the scale.

    ``rgb8``: 8-bit RGB to 8-bit RGB, equal to the published low-resolution files bit for bit; the input of networks.
    ``y_float``: luma by rgb2ycbcr, rounded, then downscaled in float and not rounded: the protocol behind the
    published bicubic rows (Dong et al., SRCNN, 2014). A grey file counts as luma, as it does there.
    """

    kind: ClassVar[str] = "bicubic"
    factor: int
    low_resolution: LowResolution = "rgb8"

    @property
    def label(self) -> str:
        return f"bicubic x{self.factor}"

    @property
    def scale(self) -> int:
        return self.factor

    @property
    def protocol(self) -> Protocol | None:
        convention: Literal["basicsr", "matlab"] = "matlab" if self.low_resolution == "y_float" else "basicsr"
        return Protocol(crop_border=self.factor, test_y_channel=True, convention=convention)

    def __call__(self, name: str, image: np.ndarray, given: np.ndarray | None = None) -> Sample:
        # Without a cut, the sides of input and ground truth would not differ by exactly the scale.
        gt = cut_to_multiple(image, self.factor)
        if self.low_resolution == "rgb8":
            gt = as_rgb(gt)
            return Sample(name, imresize(gt, 1 / self.factor), gt)
        if gt.shape[2] == 3:
            gt = luma(gt, rounded=True).astype(np.uint8)
        return Sample(name, imresize(gt / np.float32(255), 1 / self.factor), gt)

    def __str__(self) -> str:
        made = {"rgb8": "8-bit RGB, rounded", "y_float": "luma of rgb2ycbcr, float, not rounded (SRCNN protocol)"}
        return f"shrunk x{self.factor} by MATLAB bicubic imresize: {made[self.low_resolution]}"


@dataclass(frozen=True)
class JpegCompression(_FromClean):
    """JPEG compression by OpenCV's libjpeg; with ``grey`` only the luma of rgb2ycbcr is compressed and compared."""

    kind: ClassVar[str] = "jpeg"
    quality: int
    """JPEG quality from 1 to 100."""
    grey: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.quality <= 100:
            raise UsageError(f"a JPEG quality is a whole number from 1 to 100, got {self.quality}")

    @property
    def label(self) -> str:
        return f"JPEG {self.quality}" + (", grey" if self.grey else "")

    @property
    def protocol(self) -> Protocol | None:
        return Protocol(test_y_channel=True, convention="matlab") if self.grey else Protocol()

    def __call__(self, name: str, image: np.ndarray, given: np.ndarray | None = None) -> Sample:
        gt = as_rgb(image)
        # A grey file is its own luma.
        if self.grey:
            gt = image if image.shape[2] == 1 else luma(image, rounded=True).astype(np.uint8)
        # OpenCV expects BGR, hence the reversed channels on both sides.
        _, code = cv2.imencode(".jpg", np.ascontiguousarray(gt[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, self.quality])
        decoded = cv2.imdecode(code, cv2.IMREAD_GRAYSCALE if self.grey else cv2.IMREAD_COLOR)
        assert decoded is not None  # the bytes were encoded two lines above
        return Sample(name, np.ascontiguousarray(decoded.reshape(gt.shape)[..., ::-1]), gt)

    def __str__(self) -> str:
        saved = "luma of rgb2ycbcr, rounded" if self.grey else "RGB, colour at half resolution (4:2:0)"
        return f"saved as JPEG of quality {self.quality} by OpenCV's libjpeg: {saved}"


@dataclass(frozen=True)
class RecipeDegradation(_FromClean):
    """A degradation recipe with a random draw for each image, seeded by the image's name as in ``diffir degrade``.

    If a recipe leaves an image unchanged, the draw is repeated: an infinite PSNR would make the mean infinite.
    """

    kind: ClassVar[str] = "recipe"
    recipe: str
    """Name of a recipe that ships, or path of a recipe file."""
    seed: int = 0

    @cached_property
    def _loaded(self) -> Recipe:
        return load_recipe(self.recipe)

    @cached_property
    def _steps(self) -> list[str]:
        """Steps in words. A hash names the masks that a step reads, so that other masks give another cache key."""
        folders = [step for step in self._loaded.steps if isinstance(step, MaskFolder)]
        read = [f"masks {MaskSet(step.folder).sha256}" for step in folders]
        return [*map(str, self._loaded.steps), *read]

    @property
    def label(self) -> str:
        masks = {recipe: f"mask {name}" for name, recipe in MASK_RECIPES.items()}
        name = masks.get(self._loaded.name, f"recipe {self._loaded.name}")
        return name + (f", seed {self.seed}" if self.seed else "")

    @property
    def scale(self) -> int:
        return self._loaded.scale

    @property
    def protocol(self) -> Protocol | None:
        return Protocol(crop_border=self.scale, test_y_channel=True) if self.scale > 1 else Protocol()

    @property
    def cuts_holes(self) -> bool:
        """True if the recipe makes a mask of missing pixels."""
        return self._loaded.channels == 4

    def __call__(self, name: str, image: np.ndarray, given: np.ndarray | None = None) -> Sample:
        clean = as_rgb(cut_to_multiple(image, self.scale))
        # Repeat the draw with another seed while the recipe leaves the image unchanged.
        for number in range(_MOST_DRAWS):
            lq, gt = degrade_pair(clean, self._loaded, seed_for_photo(name, self.seed + _NEXT_DRAW * number))
            if lq.shape != gt.shape or not np.array_equal(to_kind(lq, np.uint8), gt):
                break
        # A fourth channel is the mask of missing pixels.
        if lq.shape[2] == 3:
            return Sample(name, lq, gt)
        return Sample(name, lq[..., :3], gt, lq[..., 3] > _MISSING_FROM)

    def facts(self) -> dict[str, Any]:
        name = self._loaded.name  # not the path of the file, which means nothing on another machine
        return {**super().facts(), "recipe": name, "steps": self._steps}

    def __str__(self) -> str:
        return (
            f"recipe {self._loaded.name}: {self._loaded.summary} (seed {self.seed} and the image's name; an image that "
            "is left as it is, is drawn again)"
        )


@dataclass(frozen=True)
class Holes(_FromClean):
    """Holes read from a folder of masks, which are assigned to images by name; a mask is resized to its image."""

    kind: ClassVar[str] = "mask"
    folder: str
    white_is_missing: bool = True

    @cached_property
    def _masks(self) -> MaskSet:
        return MaskSet(self.folder, white_is_missing=self.white_is_missing)

    @property
    def label(self) -> str:
        return f"mask {Path(self.folder).name}"

    def __call__(self, name: str, image: np.ndarray, given: np.ndarray | None = None) -> Sample:
        gt = as_rgb(image)
        mask = self._masks.by_name(name, *gt.shape[:2])
        return Sample(name, gt * ~mask[..., None], gt, mask)

    def facts(self) -> dict[str, Any]:
        return {**super().facts(), "folder": Path(self.folder).name, "masks_sha256": self._masks.sha256}

    def __str__(self) -> str:
        # Label and description name the folder without its path, which differs between machines.
        white = "missing" if self.white_is_missing else "kept"
        return f"holes of the masks {Path(self.folder).name} (white is {white}), chosen by the image's name"


@dataclass(frozen=True)
class AsGiven:
    """No degradation: the inputs came with the set."""

    kind: ClassVar[str] = "given"
    label: ClassVar[str] = "as given"
    protocol: ClassVar[Protocol | None] = None
    scale: int = 1

    def __call__(self, name: str, image: np.ndarray, given: np.ndarray | None = None) -> Sample:
        assert given is not None
        # One file of a pair may be stored as grey.
        if image.shape[2] != given.shape[2]:
            image, given = as_rgb(image), as_rgb(given)
        sides = tuple(self.scale * side for side in given.shape[:2])
        if image.shape[:2] != sides:
            raise ConfigError(f"{name}: input and ground truth do not differ by a scale of {self.scale}")
        return Sample(name, given, image)

    def facts(self) -> dict[str, Any]:
        return {"kind": self.kind, "description": str(self)}

    def __str__(self) -> str:
        return "inputs of the set"


@dataclass(frozen=True)
class NoReference:
    """No degradation: photos whose ground truth is not known."""

    kind: ClassVar[str] = "none"
    label: ClassVar[str] = "no reference"
    scale: ClassVar[int] = 1
    protocol: ClassVar[Protocol | None] = Protocol()

    def __call__(self, name: str, image: np.ndarray, given: np.ndarray | None = None) -> Sample:
        return Sample(name, as_rgb(image), None)

    def facts(self) -> dict[str, Any]:
        return {"kind": self.kind, "description": str(self)}

    def __str__(self) -> str:
        return "photos without ground truth, judged by metrics that need none"
