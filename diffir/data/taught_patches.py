"""Training samples whose targets are the outputs of a teacher, which are made once and kept on disk (distillation).

In: patches with their degradation, as ``training_set`` makes them, and a function that restores one image. Out: pairs.
A target is the file ``HASH.png`` in the teacher's folder, where the hash is that of the degraded patch. Other photos,
another recipe or another seed therefore need other targets, and equal ones find those on disk. Teacher and student get
the degraded patch in 8 bit. Hinton, Vinyals and Dean, "Distilling the knowledge in a neural network", 2015.
"""

import hashlib
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import numpy as np
from torch import Tensor
from torch.utils.data import Dataset

from diffir.config import TeacherConfig, TrainSetConfig
from diffir.data.batch_plan import PatchRequest
from diffir.data.photo_sources import rgb8
from diffir.data.samples import draw_crop, draw_turn, to_tensor
from diffir.data.training_set import shuffled_place
from diffir.errors import ConfigError
from diffir.image_io import read_image, write_image
from diffir.pixels import to_kind
from diffir.system import Batch, Pair

Teacher = Callable[[np.ndarray], np.ndarray]
"""Restores one image, h x w x 3 uint8 RGB -> H x W x 3 uint8."""


class TeacherTargets:
    """The outputs of one teacher, read from a folder, to which missing ones are added."""

    def __init__(
        self, teacher: TeacherConfig, folder: Path, open_teacher: Callable[[], Teacher], *, scale: int
    ) -> None:
        """
        Args:
            teacher: its options.
            folder: belongs to this teacher alone.
            open_teacher: loads the network; it is only called when a target is missing.
            scale: sides of the targets by sides of the degraded images.
        """
        self.teacher = teacher
        self.folder = folder
        self.scale = scale
        self._open_teacher = open_teacher

    def target_of(self, lq: np.ndarray) -> np.ndarray:
        """Return the teacher's output for an image h x w x 3 uint8, H x W x 3 uint8.

        Raises:
            ConfigError: the teacher has another scale than the training pairs, or lq has a mask.
            UsageError, WeightsError: the teacher cannot be loaded.
        """
        self.make(lq)
        return rgb8(read_image(self._path(lq)))

    def make(self, lq: np.ndarray) -> bool:
        """Make the target of an image unless it is on disk; return True if it was made. Arguments as above."""
        path = self._path(lq)
        if path.is_file():
            return False
        write_image(path, self.ask(lq))
        return True

    def ask(self, lq: np.ndarray) -> np.ndarray:
        """Restore an image with the teacher; nothing is read from disk or written. Arguments and errors as above."""
        if lq.shape[2] != 3:
            raise ConfigError("a teacher cannot learn from a degradation that cuts holes: leave teacher out")
        target = self._restore(lq)
        if target.shape[:2] != (lq.shape[0] * self.scale, lq.shape[1] * self.scale):
            enlarges = f"x{target.shape[0] / lq.shape[0]:g}"
            raise ConfigError(f"the teacher enlarges {enlarges}, the training pairs are x{self.scale}: take another")
        return target

    def _path(self, lq: np.ndarray) -> Path:
        """The file of the target; its name is the hash of lq."""
        digest = hashlib.sha256(repr(lq.shape).encode() + lq.tobytes())
        return self.folder / f"{digest.hexdigest()[:32]}.png"

    @cached_property
    def _restore(self) -> Teacher:
        return self._open_teacher()


class TaughtPatches(Dataset[Pair]):
    """A fixed number of degraded patches with the teacher's outputs as targets, cut, flipped and rotated at random."""

    def __init__(
        self,
        patches: Dataset[Batch],
        targets: TeacherTargets,
        config: TrainSetConfig,
        *,
        seed: tuple[int, ...],
        size: int,
    ) -> None:
        """
        Args:
            patches: the patches and their degradation; as many are used as the teacher's options say.
            targets: the outputs of the teacher.
            config: says whether samples are flipped and rotated.
            seed: decides the order, cuts and turns of the samples, but not the patches.
            size: side of the patches that the teacher restores, in pixels of the ground truth.
        """
        self.patches = patches
        self.targets = targets
        self.config = config
        self.seed = seed
        self.size = size

    def __getitem__(self, request: PatchRequest) -> Pair:
        lq, truth = self._patch(shuffled_place(self.seed, request.index, self.targets.teacher.patches))
        rng = np.random.default_rng([*self.seed, 1, request.index])
        target = self.targets.target_of(lq) if rng.random() < self.targets.teacher.share else truth
        # Cut and turn both images in the same way.
        scale = self.targets.scale
        crop = draw_crop(rng, lq.shape[0], lq.shape[1], request.size // scale)
        turn = draw_turn(rng, hflip=self.config.use_hflip, rotate=self.config.use_rot)
        return Pair(to_tensor(turn(crop(lq))), to_tensor(turn(crop(target, scale))))

    def _patch(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        pair = self.patches[PatchRequest(number, self.size)]
        return pixels_of(pair.lq), pixels_of(pair.gt)


def pixels_of(image: Tensor) -> np.ndarray:
    """Convert (C, H, W) float around [0, 1] to H x W x C uint8."""
    return to_kind(np.ascontiguousarray(image.permute(1, 2, 0).numpy()), np.uint8)
