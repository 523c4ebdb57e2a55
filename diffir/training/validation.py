"""Validation while training: held-out photos, damaged alike every time, scored by the eye that scores everything.

In: pairs of low-quality and clean images. Out: means of the metrics, how far the estimated prior is from doing what the
oracle's does, and a few restored photos on disk. A photo is restored whole, in strips where it is large, with the same
result: never in tiles, whose statistics would differ from those of the photo.
"""

from collections.abc import Callable, Sequence

import cv2
import numpy as np
import torch
from torch import Tensor

from diffir.config import ValConfig
from diffir.data.samples import to_tensor
from diffir.data.validation_set import SEED
from diffir.evaluation import Evaluation, Sample, evaluate
from diffir.inference.source import Source
from diffir.metrics.protocol import Protocol
from diffir.pixels import to_float, to_kind
from diffir.seeds import generator_for
from diffir.systems.diffir import DiffIR
from diffir.systems.diffir.engine.attention import Statistics
from diffir.systems.diffir.engine.streaming import StreamedNetwork
from diffir.systems.diffir.stages import Stage, StageTwo

Show = Callable[[str, np.ndarray], None]
"""Takes a name and a picture H x W x 3 uint8: damaged, restored, clean, side by side."""


class Validator:
    """A stage's network at work on the validation photos."""

    def __init__(self, samples: Sequence[Sample], config: ValConfig, protocol: Protocol) -> None:
        self.samples = samples
        self.config = config
        self.protocol = protocol

    def __call__(self, stage: Stage, network: DiffIR, show: Show) -> dict[str, float]:
        """Means over all samples, of the first metric first.

        Stage 2 adds ``oracle_METRIC``, the same weights guided by the teacher's prior, and ``prior_gap``, how much
        better that is: near zero, the diffusion does all that the prior can do.
        """
        was_training = network.training
        scores = dict(self.evaluate(stage, network, show).means)
        if isinstance(stage, StageTwo):
            scores |= self._oracle_scores(stage, network, scores)
        network.train(was_training)
        return scores

    def evaluate(self, stage: Stage, network: DiffIR, show: Show | None = None) -> Evaluation:
        """The scores of every sample, with the prior that a user of this stage gets; the network stays in eval mode."""
        network.eval()
        unseen = self.config.save_images if show is not None else 0

        def restore(sample: Sample) -> np.ndarray:
            nonlocal unseen
            restored = self._restore(stage.prior, network, sample)
            if show is not None and unseen:
                unseen -= 1
                show(sample.name, _side_by_side(sample, restored))
            return restored

        return evaluate(restore, self.samples, self.config.metrics, self.protocol)

    def input_scores(self) -> dict[str, float]:
        """What doing nothing would score: lq itself, enlarged bicubically where the network enlarges."""
        means = evaluate(enlarged, self.samples, self.config.metrics[:1], self.protocol, round_output=False).means
        return {f"input_{name}": value for name, value in means.items()}

    def _oracle_scores(self, stage: StageTwo, network: DiffIR, scores: dict[str, float]) -> dict[str, float]:
        metric = self.config.metrics[0]

        def prior(network: DiffIR, lq: Tensor, gt: Tensor, noise: Tensor) -> Tensor:
            return stage.oracle_prior(lq, gt)

        evaluation = evaluate(
            lambda sample: self._restore(prior, network, sample), self.samples, [metric], self.protocol
        )
        oracle = evaluation.means[metric]
        return {f"oracle_{metric}": oracle, "prior_gap": oracle - scores[metric]}

    @torch.no_grad()
    def _restore(
        self, prior_of: Callable[[DiffIR, Tensor, Tensor, Tensor], Tensor], network: DiffIR, sample: Sample
    ) -> np.ndarray:
        device = next(network.parameters()).device
        lq, gt = (to_tensor(image)[None].to(device) for image in (sample.lq, sample.truth))
        prior = prior_of(network, lq, gt, start_noise(network))
        strip = self.config.strip_pixels
        if not strip or lq.shape[2] * lq.shape[3] <= strip:
            return to_array(network.restore(lq, prior))
        return _in_strips(network, sample.lq, prior, strip)


def start_noise(network: DiffIR) -> Tensor:
    """What the diffusion starts from in every validation, (1, P) on the network's device."""
    noise = torch.randn(1, network.settings.prior_width, generator=generator_for(SEED))
    return noise.to(next(network.parameters()).device)


def to_array(images: Tensor) -> np.ndarray:
    """(1, C, H, W) -> H x W x C float32."""
    return images[0].float().cpu().numpy().transpose(1, 2, 0)


def _in_strips(network: DiffIR, lq: np.ndarray, prior: Tensor, strip_pixels: int) -> np.ndarray:
    settings = network.settings
    masks = lq[None, ..., 3] if settings.has_mask else None
    source = Source.whole(lq[None, ..., :3], masks, settings)
    restored = np.empty((settings.scale * source.height, settings.scale * source.width, 3), np.float32)

    def write(top: int, rows: Tensor) -> None:
        restored[top : top + rows.shape[2]] = to_array(rows)

    StreamedNetwork(network, prior.device, strip_pixels).restore(source, prior, write, Statistics(None))
    return restored


def enlarged(sample: Sample) -> np.ndarray:
    """RGB of lq at the size of gt, bicubically where it is smaller."""
    image = sample.lq[..., :3]
    if image.shape[:2] == sample.truth.shape[:2]:
        return image
    return cv2.resize(image, sample.truth.shape[1::-1], interpolation=cv2.INTER_CUBIC)


def _side_by_side(sample: Sample, restored: np.ndarray) -> np.ndarray:
    return np.hstack([*(to_kind(to_float(image), np.uint8) for image in (enlarged(sample), restored)), sample.truth])
