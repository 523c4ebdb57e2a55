"""Validation while training: held-out photos, damaged alike every time, scored by the eye that scores everything.

In: a dataset section and a degradation. Out: means of the metrics, and a few restored photos on disk.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from diffir.archs import DiffIR
from diffir.config import ValConfig, ValSetConfig
from diffir.data.clean_images import find_photos, read_rgb
from diffir.degradations.recipes import Recipe
from diffir.errors import ConfigError
from diffir.evaluation import Sample, evaluate
from diffir.image_io import write_image
from diffir.metrics.protocol import Protocol
from diffir.pixels import to_float, to_kind
from diffir.seeds import generator_for
from diffir.training.stages import Stage

CPU = torch.device("cpu")
SEED = 2023  # of every run's validation noise, so that runs of different seeds can be compared


class Validator:
    """The middle of each validation photo, damaged once with a generator of its own."""

    def __init__(self, photos: ValSetConfig, recipe: Recipe, *, multiple_of: int) -> None:
        self.samples = []
        for index, path in enumerate(find_photos(photos)):
            gt = _centre(read_rgb(path), photos.gt_size, multiple_of, path)
            lq = recipe(to_tensor(gt), generator_for(CPU, SEED, index))
            self.samples.append(Sample(name=path.stem, lq=to_array(lq), gt=gt))

    def __call__(
        self, stage: Stage, network: DiffIR, config: ValConfig, protocol: Protocol, folder: Path
    ) -> dict[str, float]:
        """Means over all samples; the first results are written to ``folder``: damaged, restored, clean."""
        device = next(network.parameters()).device
        was_training = network.training
        network.eval()
        shown: list[np.ndarray] = []

        @torch.no_grad()
        def restore(sample: Sample) -> np.ndarray:
            lq, gt = to_tensor(sample.lq).to(device), to_tensor(sample.gt).to(device)
            restored = to_array(stage.restore(network, lq, gt, generator_for(device, SEED)))
            if len(shown) < config.save_images:
                shown.append(np.hstack([to_kind(image, np.uint8) for image in (sample.lq, restored)]))
            return restored

        evaluation = evaluate(restore, self.samples, config.metrics, protocol)
        network.train(was_training)
        for sample, picture in zip(self.samples, shown, strict=False):
            write_image(folder / f"{sample.name}.png", np.hstack([picture, sample.gt]))
        return dict(evaluation.means)


def to_tensor(image: np.ndarray) -> Tensor:
    """H x W x 3, uint8 or float in [0, 1] -> (1, 3, H, W) float32."""
    return torch.from_numpy(np.ascontiguousarray(to_float(image).transpose(2, 0, 1)))[None].float()


def to_array(images: Tensor) -> np.ndarray:
    """(1, 3, H, W) -> H x W x 3 float32."""
    return images[0].float().cpu().numpy().transpose(1, 2, 0)


def _centre(image: np.ndarray, size: int, multiple_of: int, path: Path) -> np.ndarray:
    height, width = (min(side, size) // multiple_of * multiple_of for side in image.shape[:2])
    if not height or not width:
        raise ConfigError(f"{path} is {image.shape[1]} x {image.shape[0]}: too small to validate on")
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    return image[top : top + height, left : left + width]
