"""Validation while training: held-out photos, damaged alike every time, scored by the eye that scores everything.

In: a dataset section and a degradation. Out: means of the metrics, and a few restored photos on disk.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from diffir.archs import DiffIR
from diffir.config import DatasetConfig
from diffir.data.clean_images import find_photos, read_rgb
from diffir.degradations.recipes import Degradation
from diffir.errors import ConfigError
from diffir.evaluation import Sample, evaluate
from diffir.image_io import write_image
from diffir.metrics.protocol import Protocol
from diffir.training.seeds import generator_for
from diffir.training.stages import Stage

CPU = torch.device("cpu")


class Validator:
    """The middle of each validation photo, damaged once with a generator of its own."""

    def __init__(self, dataset: DatasetConfig, degrade: Degradation, *, multiple_of: int, seed: int) -> None:
        meta = Path(dataset.meta_info_file) if dataset.meta_info_file else None
        self.seed = seed
        self.samples = []
        for index, path in enumerate(find_photos(Path(dataset.dataroot_gt), meta)):
            gt = _centre(read_rgb(path), dataset.gt_size, multiple_of, path)
            lq = degrade(to_tensor(gt), generator_for(CPU, seed, index))
            self.samples.append(Sample(name=path.stem, lq=to_array(lq), gt=gt))

    def __call__(
        self,
        stage: Stage,
        network: DiffIR,
        *,
        metrics: Sequence[str],
        protocol: Protocol,
        images_folder: Path | None,
        save_images: int,
    ) -> dict[str, float]:
        """Means over all samples; the first ``save_images`` results are written as PNG."""
        device = next(network.parameters()).device
        was_training = network.training
        network.eval()

        @torch.no_grad()
        def restore(sample: Sample) -> np.ndarray:
            lq, gt = to_tensor(sample.lq).to(device), to_tensor(sample.gt).to(device)
            return to_array(stage.restore(network, lq, gt, generator_for(device, self.seed)).clamp(0, 1))

        evaluation = evaluate(restore, self.samples, metrics, protocol)
        network.train(was_training)
        if images_folder is not None:
            for sample in self.samples[:save_images]:
                shown = [sample.lq, restore(sample), sample.gt]
                images_folder.mkdir(parents=True, exist_ok=True)
                write_image(images_folder / f"{sample.name}.png", np.hstack([to_8_bit(image) for image in shown]))
        return dict(evaluation.means)


def to_tensor(image: np.ndarray) -> Tensor:
    """H x W x 3, uint8 or float in [0, 1] -> (1, 3, H, W) float32."""
    array = image.astype(np.float32) / 255 if image.dtype == np.uint8 else image.astype(np.float32)
    return torch.from_numpy(np.ascontiguousarray(array.transpose(2, 0, 1)))[None]


def to_array(images: Tensor) -> np.ndarray:
    """(1, 3, H, W) -> H x W x 3 float32."""
    return images[0].float().cpu().numpy().transpose(1, 2, 0)


def to_8_bit(image: np.ndarray) -> np.ndarray:
    """Clipped and rounded, as a file would hold it."""
    return image if image.dtype == np.uint8 else (image.clip(0, 1) * 255).round().astype(np.uint8)


def _centre(image: np.ndarray, size: int, multiple_of: int, path: Path) -> np.ndarray:
    height, width = (min(side, size) // multiple_of * multiple_of for side in image.shape[:2])
    if not height or not width:
        raise ConfigError(f"{path} is {image.shape[1]} x {image.shape[0]}: too small to validate on")
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    return image[top : top + height, left : left + width]
