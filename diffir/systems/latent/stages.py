"""The training stages of latent diffusion: the autoencoder, then the denoiser in its latent space.

In: low-quality images and ground truths in [0, 1]. Source: Rombach et al., CVPR 2022, sections 3.1 and 3.2, eq. 2.
"""

import hashlib
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor, nn

from diffir.config import TrainConfig
from diffir.data.samples import to_tensor
from diffir.data.validation_set import SEED
from diffir.hole_fill import fill_holes
from diffir.inference.whole import restore_whole
from diffir.system import Batch, EncodedPair, Learner, Losses, Noise, Phase, RestoreImage
from diffir.systems.latent.autoencoder import Autoencoder
from diffir.systems.latent.autoencoder_losses import AutoencoderLosses
from diffir.systems.latent.engine import LatentEngine
from diffir.systems.latent.network import Given, LatentDiffusion, without_condition
from diffir.systems.latent.restore_options import LatentOptions
from diffir.systems.latent.settings import LatentSettings
from diffir.systems.latent.training_options import LatentTraining

AUTOENCODER, DENOISER = "autoencoder", "denoiser"
DISCRIMINATOR_LEAD = 1000  # steps that the discriminator learns before it acts on the autoencoder; our choice
RECONSTRUCTION, WARM_UP, ADVERSARIAL = "reconstruction", "discriminator", "adversarial"  # names of phases


class AutoencoderStage:
    """Stage ``autoencoder``: photos through the latent and back; the low-quality images are not used."""

    name = part = AUTOENCODER

    def __init__(self, settings: LatentSettings, config: TrainConfig) -> None:
        self.settings, self.own = settings, own_options(config)
        self.network = Autoencoder(settings.autoencoder)
        self.criterion = AutoencoderLosses(config, self.own)
        self.phases = _autoencoder_phases(config, self.own, self.network, self.criterion)

    @property
    def discriminator(self) -> nn.Module | None:
        return self.criterion.discriminator

    def begin(self, gt: Tensor) -> None:
        """Initialise what depends on photos (B, 3, H, W): the linear code, and the codes near its latents."""
        images = 2 * gt - 1
        if self.settings.autoencoder.linear_code:
            self.network.set_linear_code(images)
        if self.network.codebook is not None:
            with torch.no_grad():
                self.network.codebook.spread_over(self.network.encode(images))

    def draw_noise(self, lq: Tensor, generator: torch.Generator) -> Noise:
        """Noise (B, Z, h, w) that the latents of ``kl`` are drawn with."""
        step = self.settings.latent_step
        shape = (len(lq), self.settings.autoencoder.latent_channels, lq.shape[2] // step, lq.shape[3] // step)
        return (torch.randn(shape, generator=generator),)

    def losses(self, batch: Batch, phase: Phase, noise: Noise) -> Iterator[Losses]:
        """Yield the loss of the autoencoder and, once it learns, that of the discriminator."""
        images = 2 * batch.gt - 1
        if self.network.codebook is not None and self.own.restart_codes:
            self.network.codebook.restart_unused(self.network.encode(images).detach(), self.own.restart_codes)
        yield self.criterion.of_autoencoder(self.network, images, noise[0], adversarial=phase.name == ADVERSARIAL)
        if phase.name != RECONSTRUCTION:
            yield self.criterion.of_discriminator(self.criterion.decoded(self.network, images, noise[0]), images)

    def extra_modules(self) -> list[nn.Module]:
        return self.criterion.modules()

    def keep_activations(self, keep: bool) -> None:
        """Activations are always kept; recomputing them is not implemented, and ``LatentSystem.check`` refuses it."""

    @torch.no_grad()
    def restore(self, network: nn.Module, lq: np.ndarray, gt: np.ndarray) -> np.ndarray:
        """The reconstruction of the ground truth, through the mean of the latent or the nearest codes."""
        assert isinstance(network, Autoencoder)
        images = 2 * to_tensor(gt)[None].to(next(network.parameters()).device) - 1
        decoded = (network.decode(network.encode(images)) + 1) / 2
        return decoded[0].float().cpu().numpy().transpose(1, 2, 0)

    def further_scores(self, metric: str, own: float, mean_of: Callable[[RestoreImage], float]) -> dict[str, float]:
        """No scores but those of ``restore``."""
        return {}


class DenoiserStage:
    """Stage ``denoiser``: the denoiser is trained on the latents of a frozen autoencoder."""

    name = part = DENOISER
    discriminator = None

    def __init__(self, network: LatentDiffusion, config: TrainConfig) -> None:
        self.network, self.own = network, own_options(config)
        self.encoded_patches = self.own.encoded_patches
        network.autoencoder.requires_grad_(False).eval()
        trained = [p for name, p in network.named_parameters() if not name.startswith("autoencoder.")]
        learner = Learner("g", trained, config.optim_g, config.scheduler)
        self.phases = [Phase("diffusion", 0, config.total_iter, [learner])]

    @torch.no_grad()
    def measure_scale(self, batch: Batch) -> None:
        """Set the factors that give the diffused latents of these samples unit variance in each channel."""
        latents = self._diffused(self.encode(batch))[0]
        self.network.latent_scale.div_(latents.std(dim=(0, 2, 3)).clamp_min(1e-4))

    @torch.no_grad()
    def encode(self, batch: Batch) -> EncodedPair:
        """Latents of the ground truths (B, 3, H, W), and of the filled low-quality images (B, C, h, w) if needed."""
        network, lq = self.network, self._filled(batch.lq)
        gt = network.autoencoder.encode(2 * batch.gt - 1)
        return EncodedPair(lq, gt, network.latent_of_input(lq) if network.reads_latent else gt[:, :0])

    def encoding_facts(self) -> str:
        """Settings of the autoencoder and the condition, and a hash of the autoencoder's weights."""
        settings, digest = self.network.settings, hashlib.sha256()
        for name, tensor in sorted(self.network.autoencoder.state_dict().items()):
            digest.update(name.encode() + tensor.cpu().contiguous().numpy().tobytes())
        facts = (settings.autoencoder, settings.scale, settings.hole_fill, self.network.reads_latent)
        return f"{facts} {digest.hexdigest()}"

    def draw_noise(self, lq: Tensor, generator: torch.Generator) -> Noise:
        """The noise (B, Z, h, w), the time steps (B,), and which samples lose their condition (B,)."""
        settings = self.network.settings
        shape = (settings.autoencoder.latent_channels, *(side // settings.latent_step for side in lq.shape[2:]))
        noise = torch.randn(len(lq), *shape, generator=generator)
        time = torch.randint(0, settings.diffusion.timesteps, (len(lq),), generator=generator)
        return noise, time, torch.rand(len(lq), generator=generator) < self.own.condition_dropout

    def losses(self, batch: Batch, phase: Phase, noise: Noise) -> Iterator[Losses]:
        """Yield the distance between the output of the denoiser and its target."""
        eps, time, dropped = noise
        encoded = batch if isinstance(batch, EncodedPair) else self.encode(batch)
        clean, given = self._diffused(encoded)
        given = self.network.with_context(given, encoded.lq)
        given = without_condition(given, dropped) if self.own.condition_dropout else given
        schedule = self.network.schedule
        output = self.network.denoise(schedule.noisy(clean, eps, time), time, given).float()
        error = output - schedule.target(clean, eps, time)
        loss = error.abs().mean() if self.own.diffusion_loss == "l1" else error.square().mean()
        yield Losses(loss, {"l_diffusion": loss})

    def extra_modules(self) -> list[nn.Module]:
        return []

    def keep_activations(self, keep: bool) -> None:
        """Activations are always kept; recomputing them is not implemented, and ``LatentSystem.check`` refuses it."""

    def restore(self, network: nn.Module, lq: np.ndarray, gt: np.ndarray) -> np.ndarray:
        """Restore a validation image as the engine does it for users, with its default options."""
        return self._restored(network, lq, LatentOptions())

    def further_scores(self, metric: str, own: float, mean_of: Callable[[RestoreImage], float]) -> dict[str, float]:
        """``one_step_METRIC`` is the score of a single sampling step, which is a regression by the same network."""

        def one_step(network: nn.Module, lq: np.ndarray, gt: np.ndarray) -> np.ndarray:
            return self._restored(network, lq, LatentOptions(steps=1))

        return {f"one_step_{metric}": mean_of(one_step)}

    def _restored(self, network: nn.Module, lq: np.ndarray, options: LatentOptions) -> np.ndarray:
        """Restore an image h x w x C through the engine; known pixels of a photo with holes stay as they are."""
        assert isinstance(network, LatentDiffusion)
        restored = restore_whole(LatentEngine(network, network.latent_scale.device, options), lq, seed=SEED)
        return np.where(lq[..., 3:] > 0, restored, lq[..., :3]) if network.settings.has_mask else restored

    def _filled(self, lq: Tensor) -> Tensor:
        """Low-quality images with their holes filled as the engine receives them."""
        if self.network.settings.hole_fill == "zeros":
            return lq
        image, mask = lq[:, :3], lq[:, 3:]
        return torch.cat([fill_holes(image, mask), mask], dim=1)

    @torch.no_grad()
    def _diffused(self, encoded: EncodedPair) -> tuple[Tensor, Given]:
        """The diffused form of the clean latents (B, Z, h, w), and what is known of the low-quality images."""
        given = self.network.given(encoded.lq, encoded.lq_latent if self.network.reads_latent else None)
        return self.network.to_diffused(encoded.gt, given), given


def own_options(config: TrainConfig) -> LatentTraining:
    """The keys of latent diffusion in a stage's options, or their defaults if the options were made without them."""
    return config.own if isinstance(config.own, LatentTraining) else LatentTraining()


def _autoencoder_phases(
    config: TrainConfig, own: LatentTraining, network: Autoencoder, criterion: AutoencoderLosses
) -> list[Phase]:
    """Reconstruction alone, then a discriminator that only learns, then the adversarial loss; as far as they exist."""
    alone = [Learner("g", list(network.parameters()), config.optim_g, config.scheduler)]
    if criterion.discriminator is None:
        return [Phase(RECONSTRUCTION, 0, config.total_iter, alone)]
    both = [*alone, Learner("d", list(criterion.discriminator.parameters()), criterion.optim_d, config.scheduler)]
    start = min(own.gan_start, config.total_iter)
    lead = max(0, start - DISCRIMINATOR_LEAD)
    phases = [
        Phase(RECONSTRUCTION, 0, lead, alone),
        Phase(WARM_UP, lead, start, both),
        Phase(ADVERSARIAL, start, config.total_iter, both),
    ]
    return [phase for phase in phases if phase.stop > phase.start]
