"""Validation during training: restore the validation photos and score them with ``diffir.evaluation``.

In: pairs of low-quality and clean images, the same at every validation. Out: means of the metrics, further scores of
the stage, and pictures of some photos. Photos are restored whole and not in tiles, whose statistics would differ.
"""

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from torch import nn

from diffir.config import ValConfig
from diffir.evaluation import Evaluation, Sample, evaluate
from diffir.metrics.protocol import Protocol
from diffir.pixels import to_float, to_kind
from diffir.system import RestoreImage, Stage

Show = Callable[[str, np.ndarray], None]
"""Receives a photo's name and a picture, H x W x 3 uint8, of degraded, restored and clean image side by side."""


class Validator:
    """Scores the network of a stage on the validation photos."""

    def __init__(self, samples: Sequence[Sample], config: ValConfig, protocol: Protocol) -> None:
        self.samples = samples
        self.config = config
        self.protocol = protocol

    def __call__(self, stage: Stage, network: nn.Module, show: Show) -> dict[str, float]:
        """Return the mean of each metric over all photos, and further scores of the stage in the first metric."""
        modes = {module: module.training for module in network.modules()}
        scores = dict(self.evaluate(stage, network, show).means)
        metric = self.config.metrics[0]

        def mean_of(restore: RestoreImage) -> float:
            evaluation = evaluate(
                lambda sample: restore(network, sample.lq, sample.truth), self.samples, [metric], self.protocol
            )
            return evaluation.means[metric]

        # A stage may restore in other ways as well, such as with the oracle prior.
        scores |= stage.further_scores(metric, scores[metric], mean_of)
        for module, was_training in modes.items():  # each its own: a frozen part stays in eval mode
            module.training = was_training
        return scores

    def evaluate(self, stage: Stage, network: nn.Module, show: Show | None = None) -> Evaluation:
        """Restore and score every photo; the network is left in eval mode."""
        network.eval()
        # The first photos are shown, so that pictures of different steps can be compared.
        remaining = self.config.save_images if show is not None else 0

        def restore(sample: Sample) -> np.ndarray:
            nonlocal remaining
            restored = stage.restore(network, sample.lq, sample.truth)
            if show is not None and remaining:
                remaining -= 1
                show(sample.name, _side_by_side(sample, restored))
            return restored

        return evaluate(restore, self.samples, self.config.metrics, self.protocol)

    def input_scores(self) -> dict[str, float]:
        """Return the first metric of the low-quality images themselves, enlarged to the size of the clean ones."""
        means = evaluate(enlarged, self.samples, self.config.metrics[:1], self.protocol, round_output=False).means
        return {f"input_{name}": value for name, value in means.items()}


def enlarged(sample: Sample) -> np.ndarray:
    """Return the RGB channels of lq at the size of the clean image, bicubically enlarged if it is smaller."""
    image = sample.lq[..., :3]
    if image.shape[:2] == sample.truth.shape[:2]:
        return image
    return cv2.resize(image, sample.truth.shape[1::-1], interpolation=cv2.INTER_CUBIC)


def _side_by_side(sample: Sample, restored: np.ndarray) -> np.ndarray:
    return np.hstack([*(to_kind(to_float(image), np.uint8) for image in (enlarged(sample), restored)), sample.truth])
