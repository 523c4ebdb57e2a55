"""The losses between restored and clean images: pixel, perceptual, adversarial, and those of other packages.

In: restored and clean images (B, 3, H, W), and lq, whose last channel is the mask for networks that fill holes. Out:
the scalar to minimise and its unweighted terms for the log. All losses are computed in float32, even under autocast.
DiffIR, ICCV 2023, eq. 8; perceptual and adversarial losses as in the released options.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from diffir.config import OptimConfig, TrainConfig
from diffir.config_losses import GanConfig
from diffir.degradations.draw import Draw
from diffir.degradations.sharpen import USMSharpen
from diffir.errors import ConfigError
from diffir.losses import grid_l1, masked_l1, pixel_l1
from diffir.losses.adversarial import discriminator_loss, feature_matching, generator_loss, r1_penalty
from diffir.losses.discriminators import DiscriminatorOutput
from diffir.losses.foreign import build_losses
from diffir.system import Losses
from diffir.training.backbone_files import load_perceptual
from diffir.training.discriminator_files import load_discriminator


class Criterion:
    """Losses of the restoring network and of the discriminator.

    Attributes:
        discriminator: network that learns to distinguish restored from clean images; None without the section ``gan``.
        frozen: networks that are moved to the device with the others, but neither trained nor saved.
    """

    def __init__(self, config: TrainConfig, *, has_mask: bool) -> None:
        self.config = config
        self.targets = config.targets
        self.has_mask = has_mask
        if not self.has_mask and not self.targets.known_weight == self.targets.hole_weight == 1:
            raise ConfigError("targets: known_weight and hole_weight are for networks that take a mask; leave them out")
        self.discriminator = load_discriminator(config.gan) if config.gan is not None else None
        self.perceptual = load_perceptual(config.perceptual) if config.perceptual is not None else None
        self.foreign = build_losses(config.losses)
        networks = [self.perceptual, *(item.loss for item in self.foreign)]
        self.frozen: list[nn.Module] = [network for network in networks if isinstance(network, nn.Module)]

    @property
    def optim_d(self) -> OptimConfig:
        """Settings of the discriminator's optimiser."""
        gan = self._gan
        return OptimConfig("Adam", gan.lr, gan.weight_decay, gan.betas)

    def modules(self) -> list[nn.Module]:
        """Return the perceptual network, other losses with weights and the discriminator, as far as there are any."""
        return [*self.frozen, *([self.discriminator] if self.discriminator is not None else [])]

    def cpen_target(self, gt: Tensor) -> Tensor:
        """Return the ground truth for CPEN, sharpened if the options say ``prior_gt_usm``."""
        return sharpened(gt) if self.targets.prior_gt_usm else gt

    def pixel_losses(self, restored: Tensor, gt: Tensor, lq: Tensor) -> Losses:
        """Compute the pixel loss without the other losses."""
        with _float32(restored):
            restored, plain = restored.float(), gt.float()
            l_pix = self._pixel(restored, sharpened(plain) if self.targets.l1_gt_usm else plain, lq)
        return Losses(self.config.pixel_weight * l_pix, {"l_pix": l_pix})

    def generator_losses(self, restored: Tensor, gt: Tensor, lq: Tensor) -> Losses:
        """Compute the loss of the restoring network; it gives the discriminator's parameters no gradient."""
        with _float32(restored):
            restored, plain = restored.float(), gt.float()
            # Each loss compares with the ground truth or with its sharpened version.
            sharp = self._sharpened(plain)
            weights = {"l_pix": self.config.pixel_weight}
            terms = {"l_pix": self._pixel(restored, sharp if self.targets.l1_gt_usm else plain, lq)}
            if self.perceptual is not None and self.config.perceptual is not None:
                weights["l_percep"] = self.config.perceptual.weight
                terms["l_percep"] = self.perceptual(restored, sharp if self.targets.percep_gt_usm else plain)
            for item in self.foreign:
                weights[f"l_{item.name}"], terms[f"l_{item.name}"] = item.weight, item.loss(restored, plain)
            if self.discriminator is not None:
                weights |= {"l_gan": self._gan.weight, "l_fm": self._gan.feature_matching}
                if self._gan.grid:
                    scale = gt.shape[-1] // lq.shape[-1]
                    if scale == 1:
                        raise ConfigError("gan: grid is for networks that enlarge; leave it out")
                    weights["l_grid"], terms["l_grid"] = self._gan.grid, grid_l1(restored, plain, scale)
                terms |= self._adversarial(restored, sharp if self.targets.gan_gt_usm else plain)
            # The total is the weighted sum; the log gets the terms without weights.
            total = torch.stack([weights[name] * term for name, term in terms.items()]).sum()
        return Losses(total, terms)

    def discriminator_losses(self, restored: Tensor, gt: Tensor, lq: Tensor) -> Losses:
        """Compute the loss of the discriminator; ``restored`` is detached from the graph of the restoring network."""
        with _float32(restored):
            gt = gt.float()
            # Only the R1 penalty needs the gradient with respect to the images.
            real = (sharpened(gt) if self.targets.gan_gt_usm else gt).detach().requires_grad_(self._gan.r1 > 0)
            real_logits, fake_logits = self._discriminate(real).logits, self._discriminate(restored.float()).logits
            of_real, of_fake = discriminator_loss(real_logits, fake_logits, self._mask(lq))
            terms = {"l_d_real": of_real, "l_d_fake": of_fake}
            total = of_real + of_fake
            if self._gan.r1:
                terms["l_r1"] = r1_penalty(real_logits, real)
                total = total + self._gan.r1 * terms["l_r1"]
        # The mean logits go into the log only.
        means = {"out_d_real": real_logits.detach().mean(), "out_d_fake": fake_logits.detach().mean()}
        return Losses(total, terms | means)

    @property
    def _gan(self) -> GanConfig:
        assert self.config.gan is not None  # callers use it only if there is a discriminator
        return self.config.gan

    def _discriminate(self, images: Tensor) -> DiscriminatorOutput:
        assert self.discriminator is not None
        return self.discriminator(images)

    def _mask(self, lq: Tensor) -> Tensor | None:
        return lq[:, -1:] if self.has_mask else None

    def _sharpened(self, gt: Tensor) -> Tensor:
        """Sharpen the ground truth if one of the losses needs it."""
        targets = self.targets
        return sharpened(gt) if targets.l1_gt_usm or targets.percep_gt_usm or targets.gan_gt_usm else gt

    def _pixel(self, restored: Tensor, target: Tensor, lq: Tensor) -> Tensor:
        known, hole, mask = self.targets.known_weight, self.targets.hole_weight, self._mask(lq)
        if mask is None or known == hole == 1:
            return pixel_l1(restored, target)
        return masked_l1(restored, target, mask, known_weight=known, hole_weight=hole)

    def _adversarial(self, restored: Tensor, real: Tensor) -> dict[str, Tensor]:
        assert self.discriminator is not None
        with _frozen(self.discriminator):
            output = self._discriminate(restored)
            terms = {"l_gan": generator_loss(output.logits)}
            if self._gan.feature_matching:
                with torch.no_grad():
                    expected = self._discriminate(real).features
                terms["l_fm"] = feature_matching(output.features, expected)
        return terms


def sharpened(images: Tensor) -> Tensor:
    """Sharpen images (B, 3, H, W) with the default settings of the degradation ``usm_sharpen``."""
    # The generator is not used: these settings draw no random numbers.
    height, width = images.shape[2:]
    return USMSharpen()(images, Draw(torch.Generator(), (height, width)))


@contextmanager
def _frozen(network: nn.Module) -> Iterator[None]:
    """Inside the block, no graph gives the network's parameters a gradient, no matter when backward runs."""
    network.requires_grad_(False)
    try:
        yield
    finally:
        network.requires_grad_(True)


def _float32(images: Tensor) -> torch.autocast:
    return torch.autocast(images.device.type, enabled=False)
