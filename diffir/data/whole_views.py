"""Training samples for networks that read a thumbnail of the whole photo besides a patch of it.

In: photos and a recipe, or pairs from disk. Out: a patch, as in ``training_set``, and thumbnails of the photo that it
is cut from, degraded and clean. A recipe is applied to a view of the photo, a square cut at a random zoom, which stands
for a whole photo: so one draw of the recipe holds for patch and thumbnail. A request of size 0 makes thumbnails alone.
"""

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from torch import Tensor
from torch.utils.data import Dataset

from diffir.config import TrainSetConfig
from diffir.data.batch_plan import PatchRequest
from diffir.data.samples import Turn, draw_crop, draw_turn, to_tensor
from diffir.data.training_set import DegradedPatches, PairedPatches
from diffir.errors import ConfigError
from diffir.system import ThumbnailPair
from diffir.thumbnail import thumbnail

PairOf = Callable[[np.random.Generator, Turn, int], tuple[Tensor, Tensor]]
"""Makes lq (C, h, w) and gt (3, H, W) of the sample with an index, turned."""


def open_whole_views(config: TrainSetConfig, side: int, *, seed: Sequence[int]) -> Dataset[ThumbnailPair]:
    """Open the training set with thumbnails of ``side`` x ``side`` pixels of lq; errors as ``open_training_set``.

    Raises:
        ConfigError: the options cut holes or name a teacher, which has no thumbnails.
    """
    if config.dataroot_mask is not None:
        raise ConfigError("dataroot_mask: networks with prior_view whole take no mask; drop it or use prior_view patch")
    if config.teacher is not None:
        raise ConfigError("teacher: its patches have no thumbnails of whole photos; use prior_view patch")
    if config.dataroot_lq is not None:
        return WholeViews(paired_photos(PairedPatches(config, seed)), config, seed, side)
    return WholeViews(degraded_views(DegradedPatches(config, seed), config.view_size), config, seed, side)


class WholeViews(Dataset[ThumbnailPair]):
    """Pairs of degraded and clean photos, or views of photos, with a random patch and the thumbnails of each."""

    def __init__(self, pair: PairOf, config: TrainSetConfig, seed: Sequence[int], side: int) -> None:
        """
        Args:
            pair: makes the photos of a sample.
            side: of the thumbnails, in pixels of lq.
        """
        self.pair = pair
        self.config = config
        self.seed = tuple(seed)
        self.side = side

    def __getitem__(self, request: PatchRequest) -> ThumbnailPair:
        rng = np.random.default_rng([*self.seed, 1, request.index])
        turn = draw_turn(rng, hflip=self.config.use_hflip, rotate=self.config.use_rot)
        lq, gt = self.pair(rng, turn, request.index)
        return sample_of(rng, lq, gt, request.size, self.side)


def degraded_views(patches: DegradedPatches, size: int) -> PairOf:
    """Views of ``size`` x ``size`` pixels, which the recipe of ``patches`` degrades."""

    def pair(rng: np.random.Generator, turn: Turn, index: int) -> tuple[Tensor, Tensor]:
        lq, gt = patches.degraded(to_tensor(turn(draw_view(rng, patches.photo(index), size))), index)
        return lq, gt

    return pair


def paired_photos(patches: PairedPatches) -> PairOf:
    """The whole photos of ``patches`` and their partners."""

    def pair(rng: np.random.Generator, turn: Turn, index: int) -> tuple[Tensor, Tensor]:
        lq, gt = patches.photos(index)
        return to_tensor(turn(lq)), to_tensor(turn(gt))

    return pair


def draw_view(rng: np.random.Generator, photo: np.ndarray, size: int) -> np.ndarray:
    """Cut a square from a photo at a random zoom, ``size`` x ``size`` x 3.

    The square covers from ``size`` pixels to the whole shorter side, drawn on a log scale, and is then shrunk by area.
    """
    shorter = min(photo.shape[:2])
    covered = round(size * max(shorter / size, 1) ** rng.random())
    square = draw_crop(rng, photo.shape[0], photo.shape[1], covered)(photo)
    return square if covered == size else cv2.resize(square, (size, size), interpolation=cv2.INTER_AREA)


def sample_of(rng: np.random.Generator, lq: Tensor, gt: Tensor, size: int, side: int) -> ThumbnailPair:
    """Cut a random patch of ``size`` pixels of gt and make the thumbnails of a pair (C, h, w) and (3, H, W)."""
    scale = gt.shape[1] // lq.shape[1]
    thumbnails = (thumbnail(image[None], pixels)[0] for image, pixels in ((lq, side), (gt, scale * side)))
    if size > min(gt.shape[1:]):
        raise ConfigError(f"a patch of {size} pixels is larger than its photo, {gt.shape[2]} x {gt.shape[1]} pixels")
    crop = draw_crop(rng, lq.shape[1], lq.shape[2], size // scale)
    rows, columns = (slice(start, start + crop.size) for start in (crop.top, crop.left))
    clean = gt[:, scale * rows.start : scale * rows.stop, scale * columns.start : scale * columns.stop]
    return ThumbnailPair(lq[:, rows, columns].clone(), clean.clone(), *thumbnails)
