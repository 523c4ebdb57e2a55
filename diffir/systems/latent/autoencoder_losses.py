"""The losses of the autoencoder: L1, LPIPS, the regulariser, and a discriminator with adaptive weight.

In: images (B, 3, H, W) in [-1, 1]. Out: a scalar and its unweighted terms. Source: Rombach et al., CVPR 2022,
appendix G; the adaptive weight is eq. 7 of Esser et al., "Taming Transformers", CVPR 2021. The released networks had
the hinge loss where we have that of ``diffir.losses.adversarial``, softplus of the logits.
"""

import torch
from torch import Tensor, nn

from diffir.config import OptimConfig, TrainConfig
from diffir.losses.adversarial import discriminator_loss, generator_loss
from diffir.metrics.lpips import PerceptualDistance, squeezenet_distance
from diffir.system import Losses
from diffir.systems.latent.autoencoder import Autoencoder
from diffir.systems.latent.training_options import LatentTraining
from diffir.training.discriminator_files import load_discriminator

LARGEST_WEIGHT = 1e4  # of the adversarial loss
EPS = 1e-4  # beside the gradient of the adversarial loss, which may be zero


class AutoencoderLosses:
    """Losses of one autoencoder.

    Attributes:
        discriminator: network that learns to distinguish decoded from real images; None without the section ``gan``.
        lpips: frozen network of the perceptual distance; None if its weight is 0.
    """

    def __init__(self, config: TrainConfig, own: LatentTraining) -> None:
        self.config, self.own = config, own
        self.discriminator = load_discriminator(config.gan) if config.gan is not None else None
        self.lpips: PerceptualDistance | None = squeezenet_distance() if own.lpips_weight else None

    @property
    def optim_d(self) -> OptimConfig:
        """Settings of the discriminator's optimiser."""
        assert self.config.gan is not None
        return OptimConfig("Adam", self.config.gan.lr, self.config.gan.weight_decay, self.config.gan.betas)

    def modules(self) -> list[nn.Module]:
        """The networks beside the autoencoder."""
        return [network for network in (self.lpips, self.discriminator) if network is not None]

    def of_autoencoder(self, network: Autoencoder, images: Tensor, noise: Tensor, *, adversarial: bool) -> Losses:
        """The loss of the autoencoder on images; ``noise`` (B, Z, h, w) draws the latents of ``kl``."""
        # Pass the images through the latent.
        if network.codebook is not None:
            rounded = network.codebook(network.encode(images))
            decoded = network.decode(rounded.latents, quantise=False)
            weight, regulariser = self.own.codebook_weight, {"l_code": rounded.loss}
            usage, perplexity = network.codebook.usage(rounded.codes)
            logged = {"code_usage": usage, "code_perplexity": perplexity}
        else:
            latents = network.distribution(images)
            decoded = network.decode(latents.sample(noise))
            weight, regulariser, logged = self.own.kl_weight, {"l_kl": latents.divergence().sum() / images.numel()}, {}

        # Compare with the images, in float32 even under autocast.
        with torch.autocast(images.device.type, enabled=False):
            decoded = decoded.float()
            terms = {"l_pix": (decoded - images).abs().mean()}
            reconstruction = self.config.pixel_weight * terms["l_pix"]
            if self.lpips is not None:
                terms["l_lpips"] = self.lpips(decoded, images).mean()
                reconstruction = reconstruction + self.own.lpips_weight * terms["l_lpips"]
            total = reconstruction + weight * next(iter(regulariser.values())).float()
            if adversarial and self.discriminator is not None and self.config.gan is not None:
                self.discriminator.requires_grad_(False)
                terms["l_gan"] = generator_loss(self.discriminator(to_unit(decoded)).logits)
                self.discriminator.requires_grad_(True)
                balance = adaptive_weight(reconstruction, terms["l_gan"], network.decoder.conv_out.weight)
                logged["gan_balance"] = balance
                total = total + self.config.gan.weight * balance * terms["l_gan"]
        return Losses(total, {**terms, **regulariser, **{name: value.detach() for name, value in logged.items()}})

    @torch.no_grad()
    def decoded(self, network: Autoencoder, images: Tensor, noise: Tensor) -> Tensor:
        """Images after the autoencoder, as training sees them, without gradients."""
        if network.codebook is not None:
            return network.decode(network.encode(images))
        return network.decode(network.distribution(images).sample(noise))

    def of_discriminator(self, decoded: Tensor, images: Tensor) -> Losses:
        """The loss of the discriminator on decoded and real images."""
        assert self.discriminator is not None
        with torch.autocast(images.device.type, enabled=False):
            real = self.discriminator(to_unit(images)).logits
            fake = self.discriminator(to_unit(decoded.float())).logits
            of_real, of_fake = discriminator_loss(real, fake)
        return Losses(of_real + of_fake, {"l_d_real": of_real, "l_d_fake": of_fake})


def adaptive_weight(reconstruction: Tensor, adversarial: Tensor, last_layer: Tensor) -> Tensor:
    """Ratio of the gradients of both losses at the decoder's last layer, so that neither of them dominates."""
    (of_reconstruction,) = torch.autograd.grad(reconstruction, last_layer, retain_graph=True)
    (of_adversarial,) = torch.autograd.grad(adversarial, last_layer, retain_graph=True)
    return (of_reconstruction.norm() / (of_adversarial.norm() + EPS)).clamp(0, LARGEST_WEIGHT).detach()


def to_unit(images: Tensor) -> Tensor:
    """Images in [-1, 1] -> [0, 1], the range that discriminators take."""
    return (images + 1) / 2
