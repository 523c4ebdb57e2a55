"""``Restorer`` as ``diffir.load`` returns it: restores pictures of any kind, and files with everything in them.

In: arrays, tensors, PIL images, photos, paths, or several of them. Out: the same kind. A path gives a ``Restored``,
which keeps the metadata of the file, can be saved, and shows a before/after slider in a notebook. The arrays themselves
are restored by ``diffir.inference.restorer``, and files by ``diffir.batch``, as on the command line.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypeVar, overload

import cv2
import numpy as np
from PIL import Image
from torch import Tensor

from diffir.batch.batch import run_jobs
from diffir.batch.events import Settings
from diffir.batch.jobs import plan_jobs
from diffir.batch.own_mask import own_mask_kind, take_mask
from diffir.batch.restore_photos import are_alike, restore_animation, restore_photos
from diffir.errors import DiffIRError, UsageError
from diffir.image_io import MAX_PIXELS, Content, Photo, frames_of, read_file, write_image
from diffir.inference.chain import Chain as ArrayChain
from diffir.inference.options import AUTO, WHOLE
from diffir.inference.progress import part_of
from diffir.inference.restorer import Restorer as ArrayRestorer
from diffir.pictures import Picture, as_kind_of, is_batch, joined, to_mask, to_photo, to_pil
from diffir.pixels import as_rgb, to_float, to_kind
from diffir.system import OnProgress

_logger = logging.getLogger(__name__)
Mask: TypeAlias = "Picture | str | Path"
OneT = TypeVar("OneT", np.ndarray, Tensor, Image.Image, Photo)


@dataclass(frozen=True, eq=False, repr=False)
class Restored:
    """The restored photo, animation or pages of a file, with the metadata, beside what it was made from."""

    content: Content
    before: Content
    path: Path
    """File that ``before`` was read from."""
    model: str
    """Name of the network."""

    @property
    def pixels(self) -> np.ndarray:
        """Restored pixels H x W x C, RGB or grey with alpha behind them; those of the first frame or page."""
        photo = _first(self.content)
        return photo.pixels if photo.alpha is None else np.dstack([photo.pixels, photo.alpha])

    def save(self, path: str | Path, *, quality: int = 95) -> None:
        """Write the result with its metadata in the format of the suffix; ``diffir.write`` does the same."""
        write_image(path, self.content, quality=quality)

    def to_pil(self) -> Image.Image:
        """Return the result as PIL image; ``diffir.pictures.to_pil`` lists the modes."""
        return to_pil(_first(self.content))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        array = self.pixels if dtype is None else self.pixels.astype(dtype)
        return array.copy() if copy else array

    def __repr__(self) -> str:
        height, width, channels = self.pixels.shape
        kind = {1: "grey", 2: "grey with alpha", 3: "RGB", 4: "RGB with alpha"}[channels]
        return f"<{self.path.name} restored with {self.model}: {width} x {height} {kind}, {self.pixels.dtype}>"

    def _repr_html_(self) -> str:
        """Show the slider of the report in a notebook; the input is enlarged to the size of the result."""
        from diffir.report.comparison import comparison_frame  # with the evaluation, which no restoring needs

        after, before = _shown(_first(self.content)), _shown(_first(self.before))
        if before.shape != after.shape:
            before = cv2.resize(before, after.shape[1::-1], interpolation=cv2.INTER_CUBIC)
        return str(comparison_frame(before, after, name=self.path.name, method=self.model))


class Restorer(ArrayRestorer):
    """A network on its device with all options, for pictures in memory and for files."""

    def __repr__(self) -> str:
        used = self.in_use()
        tile = {AUTO: "by memory", WHOLE: "never"}.get(used["tile"], used["tile"])
        scale = f", x{self.scale}" if self.scale > 1 else ""
        return f"<Restorer {self.name}{scale}, device {used['device']}, precision {used['precision']}, tile {tile}>"

    @overload
    def restore(
        self,
        image: OneT,
        mask: Mask | None = None,
        *,
        prior: Tensor | None = None,
        on_progress: OnProgress | None = None,
    ) -> OneT: ...
    @overload
    def restore(
        self,
        image: str | Path,
        mask: Mask | None = None,
        *,
        prior: Tensor | None = None,
        on_progress: OnProgress | None = None,
    ) -> Restored: ...
    @overload
    def restore(
        self,
        image: Sequence[Any],
        mask: Mask | Sequence[Mask] | None = None,
        *,
        prior: Tensor | None = None,
        on_progress: OnProgress | None = None,
    ) -> list[Any]: ...
    def restore(
        self,
        image: Any,
        mask: Any = None,
        *,
        prior: Tensor | None = None,
        on_progress: OnProgress | None = None,
    ) -> Any:
        """Restore one picture or several and return the same kind; ``restorer(image)`` does the same.

        Args:
            image: one of these, or a list of them, of any sizes:
                a path (the result is a ``Restored``, which has the metadata of the file);
                a PIL image of any mode (the result has the mode, or RGB or grey where the mode cannot hold it);
                a numpy array H x W (grey) or H x W x C with 1 (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGB, alpha)
                channels, or B x H x W x C, of uint8, uint16 or float with white at 1;
                a torch tensor with the channels first, H x W, C x H x W or B x C x H x W, on any device;
                a ``Photo``, as ``diffir.read`` returns it.
                Floats outside [0, 1] are passed to the network unclipped. Alpha is kept, and enlarged with the photo.
            mask: above 0 where pixels are missing; for inpainting networks only, and required there. Any of the kinds
                above, H x W; one for all pictures, or a list with one for each; or "alpha", the transparent parts of
                the picture itself, which becomes opaque, or "infrared", dust in that channel of a film scan.
            prior: (1, P), used instead of the estimated one; for several pictures also (B, P).
            on_progress: called several times with the fraction of the work that is done, above 0 and up to 1.
        Returns:
            The restored picture, scale*H x scale*W, of the same kind and data type; floats in [0, 1], integers
            rounded. A photo is grey where all three channels of the input are equal.
        Raises:
            UsageError: a mask is missing or not allowed, or the prior has the wrong shape.
            ImageError: this is no picture, the file cannot be read, or the mask has another size.
        """
        if isinstance(image, str | Path):
            return self._restore_path(Path(image), mask, prior, on_progress)
        if is_batch(image):
            return self._restore_several(image, mask, prior, on_progress)
        # Arrays without alpha are what the restorer of arrays takes; all others become photos first.
        if isinstance(image, np.ndarray) and (image.ndim == 2 or image.shape[2:] in ((1,), (3,))):
            hole = None if mask is None else to_mask(mask)
            return super().restore(image, hole, prior=prior, on_progress=on_progress)
        photo = self._restore_photo(to_photo(image), mask, prior, on_progress)
        return as_kind_of(photo, image)

    def __call__(self, image: Any, mask: Any = None, **options: Any) -> Any:
        """Restore one picture or several; arguments and result are those of ``restore``."""
        return self.restore(image, mask, **options)

    def restore_file(
        self,
        source: str | Path,
        target: str | Path,
        *,
        mask: str | Path | None = None,
        quality: int = 95,
        strip_metadata: bool = False,
        max_pixels: int = MAX_PIXELS,
        outscale: float | None = None,
        share_prior: bool = False,
        prior: Tensor | None = None,
    ) -> Path:
        """Restore a photo, an animation or a video from file to file, with all that ``diffir restore`` keeps.

        Depth, alpha, frames, colour profile, EXIF, XMP and resolution are kept as far as the format of the target
        holds them; what it does not hold is logged as a warning. The source is never overwritten, and the target
        appears complete or not at all.

        Args:
            target: a file with the suffix of its format, or a folder.
            mask: file with a mask, for inpainting networks; or "alpha" or "infrared", as for ``restore``.
            quality: 1-100, for JPEG, WebP, AVIF and videos.
            strip_metadata: leave out EXIF, XMP and resolution.
            max_pixels: larger photos are refused.
            outscale: width of the result divided by that of the photo; None leaves it to the network.
            share_prior: use the prior of the first frame for all frames of an animation or video.
            prior: (1, P), used instead of estimated priors.
        Returns:
            The file that was written.
        Raises:
            UsageError: the target cannot be written or is the source, or the options do not fit the network.
            ImageError: the source cannot be read.
        """
        kind = own_mask_kind(mask)
        jobs = plan_jobs([str(source)], str(target), mask=None if mask is None or kind else Path(mask))
        if len(jobs) != 1:
            raise UsageError(f"{source} holds {len(jobs)} files, and restore_file takes one: use diffir restore")
        settings = Settings(
            quality, max_pixels, strip_metadata, outscale=outscale, mask_from=kind, share_prior=share_prior, prior=prior
        )
        (event,) = run_jobs(self, jobs, settings)
        if event.outcome == "failed":
            error = event.cause if isinstance(event.cause, DiffIRError) else DiffIRError(event.error)
            error.args = (event.error,)
            raise error from None
        if event.losses:
            _logger.warning("%s: %s", event.target, event.losses)
        return event.target

    def _restore_path(self, path: Path, mask: Any, prior: Tensor | None, on_progress: OnProgress | None) -> Restored:
        before = read_file(path)
        content: Content
        if isinstance(before, Photo):
            content = self._restore_photo(before, mask, prior, on_progress)
        else:
            holes = None if mask is None else to_mask(mask)
            content = restore_animation(self, before, holes, Settings(prior=prior), on_progress=on_progress)[0]
        return Restored(content, before, path, self.name)

    def _restore_photo(self, photo: Photo, mask: Any, prior: Tensor | None, on_progress: OnProgress | None) -> Photo:
        kind = own_mask_kind(mask)
        if kind is None:
            holes = None if mask is None else to_mask(mask)
        else:
            photo, holes = take_mask(photo, kind)
        ((restored, _),) = restore_photos(self, [photo], holes, Settings(prior=prior), on_progress=on_progress)
        assert isinstance(restored, Photo)
        return restored

    def _restore_several(self, images: Any, masks: Any, prior: Tensor | None, on_progress: OnProgress | None) -> Any:
        """Restore pictures one after the other, or together where all are alike and have no masks."""
        count = len(images)
        several_masks = masks if is_batch(masks) else [masks] * count
        if len(several_masks) != count:
            raise UsageError(f"{count} pictures need one mask or {count}, not {len(several_masks)}")
        if prior is not None and len(prior) not in (1, count):
            raise UsageError(f"{count} pictures need a prior of 1 or {count} rows, not {len(prior)}")
        # Photos that are alike share each step of the network.
        if masks is None and not any(isinstance(image, str | Path) for image in images):
            photos = [to_photo(image) for image in images]
            if photos and all(are_alike(photos[0], photo) for photo in photos):
                settings = Settings(prior=prior)
                done = restore_photos(self, photos, None, settings, on_progress=on_progress)
                results = [as_kind_of(_first(photo), image) for (photo, _), image in zip(done, images, strict=True)]
                return joined(results, images)
        results = [
            self.restore(
                image,
                mask,
                prior=None if prior is None else prior[number : number + 1] if len(prior) > 1 else prior,
                on_progress=part_of(on_progress, number / count, (number + 1) / count),
            )
            for number, (image, mask) in enumerate(zip(images, several_masks, strict=True))
        ]
        return joined(results, images)


class Chain(Restorer, ArrayChain):
    """Several networks that restore one after the other, for pictures in memory and for files."""


def _first(content: Content) -> Photo:
    return frames_of(content)[0]


def _shown(photo: Photo) -> np.ndarray:
    """Return a photo as H x W x 3 uint8 RGB, over white where it is transparent."""
    rgb = to_float(as_rgb(photo.pixels))
    if photo.alpha is not None:
        opacity = to_float(photo.alpha)[:, :, None]
        rgb = rgb * opacity + (1 - opacity)
    return to_kind(rgb, np.uint8)
