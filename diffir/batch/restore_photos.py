"""Restore whole photos and animations: the network restores colour, opacity is kept or enlarged beside it.

In: a photo or an animation as ``image_io`` reads it. Out: the same kind, with metadata, durations and loop count
unchanged. The frames of an animation may share the prior of the first one, which is steadier and saves work.
"""

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from torch import Tensor

from diffir.batch.alpha import enlarge_alpha, fill_hidden, needs_network
from diffir.batch.events import Settings
from diffir.batch.outscale import resized, size_at
from diffir.image_io import Animation, Content, Pages, Photo, frames_of, without_metadata
from diffir.inference.progress import part_of
from diffir.inference.restorer import OnProgress, Restorer

RestoredContent = tuple[Content, Tensor | None]
"""The restored photo, animation or pages, and the prior (1, P) on the CPU if it was to be kept."""


def restore_photos(
    restorer: Restorer,
    photos: Sequence[Photo],
    mask: np.ndarray | None,
    settings: Settings,
    *,
    keep_prior: bool = False,
    on_progress: OnProgress | None = None,
) -> list[RestoredContent]:
    """Restore photos of one size and kind (see ``are_alike``) together.

    Args:
        mask: (H, W), above 0 where pixels are missing; only for a single photo.
        settings: its ``prior``, if given, is used for every photo.
        keep_prior: also return the prior of every photo.
    """
    # Kept priors are not passed on: a self-ensemble has one for each turn, and keeping one must not change results.
    kept = [_first_prior(restorer, photo, mask, settings.prior) if keep_prior else None for photo in photos]
    restored = _restore(restorer, photos, mask, settings.prior, on_progress)
    restored = [_at_outscale(photo, before, settings) for photo, before in zip(restored, photos, strict=True)]
    return list(zip(restored, kept, strict=True))


def restore_animation(
    restorer: Restorer,
    animation: Animation | Pages,
    mask: np.ndarray | None,
    settings: Settings,
    *,
    keep_prior: bool = False,
    on_progress: OnProgress | None = None,
) -> RestoredContent:
    """Restore every frame of an animation, or every page.

    Args:
        mask: (H, W), above 0 where pixels are missing, for all frames.
        settings: its ``prior``, ``share_prior`` and ``batch_size``, the largest number of frames restored together;
            0 restores them one by one.
        keep_prior: also return the prior of the first frame.
    """
    # Estimate the prior of the first frame, if it is needed.
    first = None
    if keep_prior or settings.share_prior or settings.prior is not None:
        first = _first_prior(restorer, animation.frames[0], mask, settings.prior)
    prior = first if settings.share_prior or settings.prior is not None else None

    # Restore runs of frames that are alike, up to the batch size.
    frames: list[Photo] = []
    total = len(animation.frames)
    while len(frames) < total:
        together = [animation.frames[len(frames)]]
        for frame in animation.frames[len(frames) + 1 :][: max(settings.batch_size - 1, 0)]:
            if mask is not None or not are_alike(together[0], frame):
                break
            together.append(frame)
        done, after = len(frames) / total, (len(frames) + len(together)) / total
        restored = _restore(restorer, together, mask, prior, part_of(on_progress, done, after))
        frames += [_at_outscale(photo, before, settings) for photo, before in zip(restored, together, strict=True)]
    return replace(animation, frames=tuple(frames)), first if keep_prior else None


def are_alike(one: Photo, other: Photo) -> bool:
    """True if two photos can be restored together: equal size, equal type, no transparency."""
    return (
        one.pixels.shape == other.pixels.shape
        and one.pixels.dtype == other.pixels.dtype
        and one.alpha is None
        and other.alpha is None
    )


def size_of(content: Content) -> tuple[int, int]:
    """Width and height in pixels of a photo, or of the first frame of an animation."""
    first = frames_of(content)[0]
    return first.pixels.shape[1], first.pixels.shape[0]


def pixels_of(content: Content) -> int:
    """Number of pixels, over all frames of an animation."""
    return sum(frame.pixels.shape[0] * frame.pixels.shape[1] for frame in frames_of(content))


def stripped(content: Content) -> Content:
    """The same photo, animation or pages without metadata."""
    if isinstance(content, Photo):
        return without_metadata(content)
    return replace(content, frames=tuple(without_metadata(frame) for frame in content.frames))


def _restore(
    restorer: Restorer,
    photos: Sequence[Photo],
    mask: np.ndarray | None,
    prior: Tensor | None,
    on_progress: OnProgress | None,
) -> list[Photo]:
    """Restore photos with each network of the restorer in turn, with opacity and all else that a file would hold."""
    restored = list(photos)
    for member, own_prior, progress in restorer.steps(prior, on_progress):
        if len(restored) == 1:
            restored = [_restore_one(member, restored[0], mask, own_prior, progress)]
        else:
            images = [photo.pixels for photo in restored]
            arrays = member.restore_batch(images, prior=own_prior, on_progress=progress)
            restored = [_with_result(photo, array, photo.alpha) for photo, array in zip(restored, arrays, strict=True)]
        mask = None  # only the first network of a chain takes one
    return restored


def _restore_one(
    restorer: Restorer, photo: Photo, mask: np.ndarray | None, prior: Tensor | None, on_progress: OnProgress | None
) -> Photo:
    alpha = photo.alpha
    runs = 2 if alpha is not None and needs_network(alpha, restorer.scale) else 1
    is_kept = restorer.options.strength == 0 and restorer.scale == 1  # then hidden colours are kept as well
    pixels = restorer.restore(
        photo.pixels if is_kept else _visible(photo), mask, prior=prior, on_progress=part_of(on_progress, 0, 1 / runs)
    )
    if alpha is not None:
        alpha = enlarge_alpha(restorer, alpha, part_of(on_progress, 1 / runs, 1))
    return _with_result(photo, pixels, alpha)


def _with_result(photo: Photo, pixels: np.ndarray, alpha: np.ndarray | None) -> Photo:
    """The photo with restored pixels; a channel of infrared light is enlarged with them and otherwise unchanged."""
    infrared = photo.infrared
    if infrared is not None and infrared.shape != pixels.shape[:2]:
        infrared = cv2.resize(infrared, pixels.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    return replace(photo, pixels=pixels, alpha=alpha, infrared=infrared)


def _at_outscale(photo: Photo, before: Photo, settings: Settings) -> Photo:
    """The restored photo at the size that the settings ask for."""
    if settings.outscale is None:
        return photo
    height, width = before.pixels.shape[:2]
    return resized(photo, *size_at(height, width, settings.outscale))


def _visible(photo: Photo) -> np.ndarray:
    return photo.pixels if photo.alpha is None else fill_hidden(photo.pixels, photo.alpha)


def _first_prior(restorer: Restorer, photo: Photo, mask: np.ndarray | None, given: Tensor | None) -> Tensor:
    return restorer.estimate_prior_of(_visible(photo), mask) if given is None else given
