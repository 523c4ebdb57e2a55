"""Validation while training: held-out photos, degraded the same way every time, scored as everything is scored.

In: pairs of low-quality and clean images. Out: means of the metrics, further scores of the stage, and a few restored
photos on disk. The stage restores a photo whole, through its engine, never in tiles, whose statistics would differ.
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
"""Receives a name and a picture H x W x 3 uint8: degraded, restored and clean image side by side."""


class Validator:
    """A stage's network at work on the validation photos."""

    def __init__(self, samples: Sequence[Sample], config: ValConfig, protocol: Protocol) -> None:
        self.samples = samples
        self.config = config
        self.protocol = protocol

    def __call__(self, stage: Stage, network: nn.Module, show: Show) -> dict[str, float]:
        """Means over all samples, the first metric first, and the stage's further scores by that metric."""
        was_training = network.training
        scores = dict(self.evaluate(stage, network, show).means)
        metric = self.config.metrics[0]

        def mean_of(restore: RestoreImage) -> float:
            evaluation = evaluate(
                lambda sample: restore(network, sample.lq, sample.truth), self.samples, [metric], self.protocol
            )
            return evaluation.means[metric]

        scores |= stage.further_scores(metric, scores[metric], mean_of)
        network.train(was_training)
        return scores

    def evaluate(self, stage: Stage, network: nn.Module, show: Show | None = None) -> Evaluation:
        """The scores of every sample as the stage restores it; the network stays in eval mode."""
        network.eval()
        unseen = self.config.save_images if show is not None else 0

        def restore(sample: Sample) -> np.ndarray:
            nonlocal unseen
            restored = stage.restore(network, sample.lq, sample.truth)
            if show is not None and unseen:
                unseen -= 1
                show(sample.name, _side_by_side(sample, restored))
            return restored

        return evaluate(restore, self.samples, self.config.metrics, self.protocol)

    def input_scores(self) -> dict[str, float]:
        """The scores of the input itself, enlarged bicubically where the network enlarges."""
        means = evaluate(enlarged, self.samples, self.config.metrics[:1], self.protocol, round_output=False).means
        return {f"input_{name}": value for name, value in means.items()}


def enlarged(sample: Sample) -> np.ndarray:
    """RGB of lq at the size of gt, bicubically where it is smaller."""
    image = sample.lq[..., :3]
    if image.shape[:2] == sample.truth.shape[:2]:
        return image
    return cv2.resize(image, sample.truth.shape[1::-1], interpolation=cv2.INTER_CUBIC)


def _side_by_side(sample: Sample, restored: np.ndarray) -> np.ndarray:
    return np.hstack([*(to_kind(to_float(image), np.uint8) for image in (enlarged(sample), restored)), sample.truth])
