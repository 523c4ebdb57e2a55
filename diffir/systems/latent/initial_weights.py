"""Build each training stage of latent diffusion with its initial weights.

The autoencoder starts new, or from the weights that ``path.start`` names for it. The denoiser needs a trained
autoencoder: that of the run's first stage, or one that ``path.start`` names; it may continue from a denoiser. The
weights of a denoiser hold its autoencoder, so they can be named for either.
"""

from typing import cast

from diffir.errors import ConfigError
from diffir.system import Stage, StageStart
from diffir.systems.latent.autoencoder import Autoencoder
from diffir.systems.latent.network import LatentDiffusion
from diffir.systems.latent.settings import LatentSettings
from diffir.systems.latent.stages import AUTOENCODER, DENOISER, AutoencoderStage, DenoiserStage


def build_stage(name: str, settings: LatentSettings, start: StageStart) -> Stage:
    """Build a stage for its first step; arguments and errors are those of ``System.stage``."""
    return _autoencoder_stage(settings, start) if name == AUTOENCODER else _denoiser_stage(settings, start)


def _autoencoder_stage(settings: LatentSettings, start: StageStart) -> AutoencoderStage:
    stage = AutoencoderStage(settings, start.config.stages[AUTOENCODER])
    weights = start.config.path.start.get(AUTOENCODER)
    if weights is None:
        stage.begin(start.first_samples()[1])
        return stage
    stage.network.load_state_dict(_autoencoder(settings, start, weights).state_dict())
    return stage


def _denoiser_stage(settings: LatentSettings, start: StageStart) -> DenoiserStage:
    # Continue from a denoiser, which holds its autoencoder.
    config, weights = start.config, start.config.path.start.get(DENOISER)
    if weights is not None:
        network = cast(LatentDiffusion, start.load(weights, DENOISER))
        if network.settings != settings:
            raise ConfigError(f"path.start: the denoiser {weights} has other settings than network_g describes")
        return DenoiserStage(network.train(), config.stages[DENOISER])

    # Otherwise the autoencoder of this run, or the one that the options name.
    own = start.weights(AUTOENCODER)
    source = config.path.start.get(AUTOENCODER) if AUTOENCODER not in config.run_stages else str(own)
    if source is None:
        raise ConfigError(
            "the denoiser needs a trained autoencoder: run the stage autoencoder first, or name weights in "
            "path.start: {autoencoder: FILE}"
        )
    network = LatentDiffusion(settings)
    network.autoencoder.load_state_dict(_autoencoder(settings, start, source).state_dict())
    stage = DenoiserStage(network, config.stages[DENOISER])
    stage.measure_scale(*start.first_samples())
    return stage


def _autoencoder(settings: LatentSettings, start: StageStart, weights: str) -> Autoencoder:
    """Load an autoencoder, alone or from the weights of a denoiser."""
    loaded = start.load(weights, None)
    autoencoder = cast(Autoencoder, loaded.autoencoder if isinstance(loaded, LatentDiffusion) else loaded)
    if autoencoder.settings != settings.autoencoder:
        raise ConfigError(f"path.start: the autoencoder {weights} has other settings than network_g describes")
    return autoencoder
