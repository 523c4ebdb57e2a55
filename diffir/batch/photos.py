"""A whole photo or animation through a ``Restorer``: colour by the network, opacity beside it, frames one by one.

In: what ``image_io`` read. Out: the same kind, with metadata, durations and loops as they were. An animation's frames
share the first one's prior if asked: steadier, and less work.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from diffir.batch.alpha import enlarge_alpha, fill_hidden, needs_network
from diffir.image_io import Animation, Photo, without_metadata
from diffir.inference.restorer import OnProgress, Restorer


@dataclass(frozen=True)
class Wishes:
    """How contents are restored, beyond what the restorer has decided."""

    prior: Tensor | None = None
    """(1, P), for every photo and frame."""
    share_prior: bool = False
    """The prior of an animation's first frame for all its frames."""
    keep_prior: bool = False
    """Hand out the prior of every photo, or of the first frame."""
    batch_size: int = 1
    """Photos or frames of one kind that are restored together, at most."""


Restored = tuple[Photo | Animation, Tensor | None]
"""What came out, and its prior (1, P) on the CPU if it was to be kept."""


def restore_photos(
    restorer: Restorer,
    photos: Sequence[Photo],
    mask: np.ndarray | None,
    wishes: Wishes,
    on_progress: OnProgress | None = None,
) -> list[Restored]:
    """Restore photos that are alike (``are_alike``) together; a mask is for one photo alone."""
    # Kept priors are not passed on: a self-ensemble has one for each turn, and keeping one must not change results.
    kept = [_first_prior(restorer, photo, mask, wishes, is_needed=wishes.keep_prior) for photo in photos]
    restored = _restore(restorer, photos, mask, wishes.prior, on_progress)
    return list(zip(restored, kept, strict=True))


def restore_animation(
    restorer: Restorer,
    animation: Animation,
    mask: np.ndarray | None,
    wishes: Wishes,
    on_progress: OnProgress | None = None,
) -> Restored:
    """Restore every frame."""
    is_needed = wishes.keep_prior or wishes.share_prior
    first = _first_prior(restorer, animation.frames[0], mask, wishes, is_needed=is_needed)
    prior = first if wishes.share_prior or wishes.prior is not None else None
    frames: list[Photo] = []
    total = len(animation.frames)
    while len(frames) < total:
        together = [animation.frames[len(frames)]]
        for frame in animation.frames[len(frames) + 1 :][: wishes.batch_size - 1]:
            if mask is not None or not are_alike(together[0], frame):
                break
            together.append(frame)
        done, after = len(frames) / total, (len(frames) + len(together)) / total
        frames += _restore(restorer, together, mask, prior, part_of(on_progress, done, after))
    return replace(animation, frames=tuple(frames)), first if wishes.keep_prior else None


def are_alike(one: Photo, other: Photo) -> bool:
    """Whether they can be restored together: one size, one kind, nothing transparent."""
    return (
        one.pixels.shape == other.pixels.shape
        and one.pixels.dtype == other.pixels.dtype
        and one.alpha is None
        and other.alpha is None
    )


def size_of(content: Photo | Animation) -> tuple[int, int]:
    """Width and height."""
    first = content if isinstance(content, Photo) else content.frames[0]
    return first.pixels.shape[1], first.pixels.shape[0]


def pixels_of(content: Photo | Animation) -> int:
    """Over all frames."""
    width, height = size_of(content)
    return width * height * (1 if isinstance(content, Photo) else len(content.frames))


def stripped(content: Photo | Animation) -> Photo | Animation:
    """Without metadata."""
    if isinstance(content, Photo):
        return without_metadata(content)
    return replace(content, frames=tuple(without_metadata(frame) for frame in content.frames))


def part_of(on_progress: OnProgress | None, start: float, stop: float) -> OnProgress | None:
    """Progress of a part of the work, told as that of the whole."""
    return None if on_progress is None else lambda share: on_progress(start + share * (stop - start))


def _restore(
    restorer: Restorer,
    photos: Sequence[Photo],
    mask: np.ndarray | None,
    prior: Tensor | None,
    on_progress: OnProgress | None,
) -> list[Photo]:
    if len(photos) == 1:
        return [_restore_one(restorer, photos[0], mask, prior, on_progress)]
    images = [photo.pixels for photo in photos]
    arrays = restorer.restore_batch(images, prior=prior, on_progress=on_progress)
    return [replace(photo, pixels=array) for photo, array in zip(photos, arrays, strict=True)]


def _restore_one(
    restorer: Restorer, photo: Photo, mask: np.ndarray | None, prior: Tensor | None, on_progress: OnProgress | None
) -> Photo:
    alpha = photo.alpha
    runs = 2 if alpha is not None and needs_network(alpha, restorer.scale) else 1
    is_kept = restorer.strength == 0 and restorer.scale == 1  # then even hidden colours stay
    pixels = restorer.restore(
        photo.pixels if is_kept else _visible(photo), mask, prior=prior, on_progress=part_of(on_progress, 0, 1 / runs)
    )
    if alpha is not None:
        alpha = enlarge_alpha(restorer, alpha, part_of(on_progress, 1 / runs, 1))
    return replace(photo, pixels=pixels, alpha=alpha)


def _visible(photo: Photo) -> np.ndarray:
    return photo.pixels if photo.alpha is None else fill_hidden(photo.pixels, photo.alpha)


def _first_prior(
    restorer: Restorer, photo: Photo, mask: np.ndarray | None, wishes: Wishes, *, is_needed: bool
) -> Tensor | None:
    if wishes.prior is not None:
        return wishes.prior
    return restorer.estimate_prior_of(_visible(photo), mask) if is_needed else None
