"""Build each training stage of latent diffusion with its initial weights.

The autoencoder starts new, or from the weights that ``path.start`` names for it. The denoiser needs a trained
autoencoder: that of the run's first stage, or one that ``path.start`` names; it may continue from a denoiser. The
weights of a denoiser hold its autoencoder, so they can be named for either.
"""

from typing import cast

from diffir.config import RunConfig
from diffir.errors import ConfigError
from diffir.system import Stage, StageStart
from diffir.systems.latent.autoencoder import Autoencoder
from diffir.systems.latent.network import LatentDiffusion
from diffir.systems.latent.settings import LatentSettings
from diffir.systems.latent.stages import AUTOENCODER, DENOISER, AutoencoderStage, DenoiserStage, own_options
from diffir.systems.latent.training_options import LatentTraining


def build_stage(name: str, settings: LatentSettings, start: StageStart) -> Stage:
    """Build a stage for its first step; arguments and errors are those of ``System.stage``."""
    _check_options(start.config)
    return _autoencoder_stage(settings, start) if name == AUTOENCODER else _denoiser_stage(settings, start)


def _check_options(config: RunConfig) -> None:
    """Refuse options of other systems, and weights to start from that would not be used."""
    path, both = config.path, AUTOENCODER in config.run_stages
    if path.pretrain_network_g is not None or path.pretrain_network_s2 is not None or not path.strict_load_g:
        raise ConfigError("path: pretrain_network_g, pretrain_network_s2, strict_load_g are for DiffIR; use path.start")
    if config.val.strip_pixels:
        raise ConfigError("val.strip_pixels is for DiffIR; leave it out")
    if DENOISER in path.start and (both or AUTOENCODER in path.start):
        raise ConfigError(
            "path.start: weights of a denoiser hold its autoencoder; leave out the stage and the weights of another one"
        )


def _autoencoder_stage(settings: LatentSettings, start: StageStart) -> AutoencoderStage:
    config = start.config.stages[AUTOENCODER]
    _check_regulariser(settings, own_options(config))
    stage = AutoencoderStage(settings, config)
    weights = start.config.path.start.get(AUTOENCODER)
    if weights is None:
        stage.begin(start.first_samples().gt)
        return stage
    stage.network.load_state_dict(_autoencoder(settings, start, weights).state_dict())
    return stage


def _check_regulariser(settings: LatentSettings, own: LatentTraining) -> None:
    """Refuse keys that have no effect with this regulariser."""
    kind, default = settings.autoencoder.regulariser, LatentTraining()
    if kind == "kl" and (own.restart_codes or own.codebook_weight != default.codebook_weight):
        raise ConfigError("codebook_weight and restart_codes are for autoencoders with a codebook (vq)")
    if kind == "vq" and own.kl_weight != default.kl_weight:
        raise ConfigError("kl_weight is for autoencoders with a normal latent (kl)")
    if own.restart_codes and not settings.autoencoder.counts_use:
        raise ConfigError("restart_codes needs network_g: settings: {autoencoder: {counts_use: true}}")


def _denoiser_stage(settings: LatentSettings, start: StageStart) -> DenoiserStage:
    if not settings.restores:
        raise ConfigError("a network that needs label maps or given context cannot be trained on photos alone")
    # Continue from a denoiser, which holds its autoencoder.
    config, weights = start.config, start.config.path.start.get(DENOISER)
    if weights is not None:
        network = cast(LatentDiffusion, start.load(weights, DENOISER))
        if network.settings != settings:
            raise ConfigError(f"path.start: the denoiser {weights} has other settings than network_g describes")
        return DenoiserStage(network.train(), config.stages[DENOISER])

    # Otherwise take the autoencoder of this run, or the one that the options name.
    own = start.weights(AUTOENCODER)
    named = None if AUTOENCODER in config.run_stages else config.path.start.get(AUTOENCODER)
    source = named or (str(own) if own.is_file() else None)
    if source is None:
        raise ConfigError(
            "the denoiser needs a trained autoencoder: run the stage autoencoder first, or name weights in "
            "path.start: {autoencoder: FILE}"
        )
    network = LatentDiffusion(settings)
    network.autoencoder.load_state_dict(_autoencoder(settings, start, source).state_dict())
    stage = DenoiserStage(network, config.stages[DENOISER])
    if settings.autoencoder.regulariser == "kl" or settings.diffusion.residual:  # latents of vq keep their scale
        stage.measure_scale(start.first_samples())
    return stage


def _autoencoder(settings: LatentSettings, start: StageStart, weights: str) -> Autoencoder:
    """Load an autoencoder, alone or from the weights of a denoiser."""
    loaded = start.load(weights, None)
    autoencoder = cast(Autoencoder, loaded.autoencoder if isinstance(loaded, LatentDiffusion) else loaded)
    if autoencoder.settings != settings.autoencoder:
        raise ConfigError(f"path.start: the autoencoder {weights} has other settings than network_g describes")
    return autoencoder
