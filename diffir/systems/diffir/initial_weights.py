"""Build each training stage of DiffIR with its initial weights.

Stage 1 starts with new weights, with stage-1 or stage-2 weights, or with the tensors of another task that fit. Stage 2
starts from stage 1, with new or given weights of the networks that estimate the prior. Stage 3 starts from stage 2 and
has the same teacher. Where the prior sees whole photos, new networks of the prior start from those of stage 1. Stage-2
weights that are continued without a loss of the prior need no stage 1. Networks without a prior have stage 2 alone,
which starts with new weights, with given ones, or with the tensors of another task that fit.
"""

from dataclasses import replace
from pathlib import Path

import torch

from diffir.config import RunConfig, TrainConfig
from diffir.errors import ConfigError
from diffir.system import Stage, StageStart
from diffir.systems.diffir.folded_prior import fold_prior
from diffir.systems.diffir.network import DiffIR
from diffir.systems.diffir.partial_load import take_what_fits
from diffir.systems.diffir.settings import ArchSettings
from diffir.systems.diffir.stages import StageOne, StageTwo, mean_prior, own_options, seen_by_cpen
from diffir.systems.diffir.system import DIFFIR, DIFFUSION, GAN, PRIOR

FROM_WHAT_FITS = "training starts from the tensors that fit"


def build_stage(name: str, start: StageStart) -> Stage:
    """Build a stage for its first step; arguments and errors are those of ``System.stage``."""
    return _stage_one(start) if name == PRIOR else _stage_two(name, start)


def arch_of(start: StageStart) -> ArchSettings:
    """The settings of the network that the option file describes."""
    return ArchSettings.from_dict(DIFFIR.row(start.config.network_g).settings)


def given(config: RunConfig, part: str) -> str | None:
    """The weights that the options name for a part; ``pretrain_network_g`` and ``_s2`` are BasicSR's keys for them."""
    by_old_key = {PRIOR: config.path.pretrain_network_g, DIFFUSION: config.path.pretrain_network_s2}[part]
    named = config.path.start.get(part, by_old_key)
    if by_old_key is not None and named != by_old_key:
        raise ConfigError(f"path: start names {named} for {part}, and an older key names {by_old_key}; drop one")
    return named


def load_diffir(start: StageStart, weights: str | Path, part: str | None) -> DiffIR:
    """Load a DiffIR network by name or from a file; ``part`` is the required part, or None for any."""
    network = start.load(weights, part)
    assert isinstance(network, DiffIR)
    return network


def _stage_one(start: StageStart) -> StageOne:
    config = start.config
    stage = StageOne(arch_of(start), config.stages[PRIOR], strip_pixels=config.val.strip_pixels)
    # Load weights if the options name some: all tensors if the networks are equal, else those that fit.
    weights = given(config, PRIOR)
    if weights is not None:
        network = _pretrained(start, weights, None, strict=config.path.strict_load_g)
        if network.stage == 1 and network.settings == stage.network.settings:
            stage.network.load_state_dict(network.state_dict())
        else:
            stage.take_over(network, start.first_samples().lq)
    return stage


def _stage_two(name: str, start: StageStart) -> StageTwo:
    config = start.config
    options = config.stages[name]
    if not arch_of(start).prior_width:
        return _without_prior(name, start)
    # Continue from stage-2 weights if there are any; stage 3 always does.
    before = _before(name, start)
    network = None if before is None else _needed(start, before, DIFFUSION, strict=config.path.strict_load_g)

    # The teacher is stage 1 of this run, or the weights that the options name.
    named = given(config, PRIOR) if PRIOR not in config.run_stages else None
    teacher = None
    if named is not None or network is None or _learns_prior(options) or start.weights(PRIOR).is_file():
        teacher = _needed(start, named or start.weights(PRIOR), PRIOR)

    stage = StageTwo(teacher, options, network=network, name=name, strip_pixels=config.val.strip_pixels)
    if network is None and stage.network.settings.thumbnail:
        stage.start_from_teacher(start.first_samples())
    return stage


def _before(name: str, start: StageStart) -> str | Path | None:
    """The stage-2 weights that a stage continues, if there are any; stage 3 always has some."""
    before = given(start.config, DIFFUSION)
    if name == GAN and (DIFFUSION in start.config.run_stages or before is None):
        return start.weights(DIFFUSION)
    return before


def _without_prior(name: str, start: StageStart) -> StageTwo:
    """Stage 2 or 3 of a network without a prior."""
    config, options = start.config, start.config.stages[name]
    before = _before(name, start)
    network = DiffIR(arch_of(start), stage=2)
    if before is not None:
        donor = _pretrained(start, _found(start, before, DIFFUSION), DIFFUSION, strict=config.path.strict_load_g)
        if donor.settings.prior_width:
            seen = seen_by_cpen(start.first_samples())[0] if donor.settings.thumbnail else start.first_samples().lq
            if donor.settings.in_channels > seen.shape[1]:
                raise ConfigError(f"{before} estimates its prior from a mask, which network_g does not take")
            donor = fold_prior(donor, mean_prior(donor, seen)[None])
        take_what_fits(network.dirformer, donor.dirformer)
    return StageTwo(None, options, network=network, name=name, strip_pixels=config.val.strip_pixels)


def _learns_prior(options: TrainConfig) -> bool:
    own = own_options(options)
    return own.prior_weight > 0 or own.encoder_iter > 0


def _found(start: StageStart, weights: str | Path, part: str) -> str | Path:
    """Return the weights of a part if they are a name or an existing file; raise ConfigError otherwise."""
    if isinstance(weights, Path) and not weights.is_file():
        number = start.config.number(part)
        raise ConfigError(
            f"stage-{number} weights are needed, and {weights} does not exist: run stage {number} or name weights in "
            f"path.start: {{{part}: FILE}}"
        )
    return weights


def _needed(start: StageStart, weights: str | Path, part: str, *, strict: bool = True) -> DiffIR:
    network = _pretrained(start, _found(start, weights, part), part, strict=strict)
    return network if network.settings == arch_of(start) else _reshaped(network, arch_of(start), weights)


def _pretrained(start: StageStart, weights: str | Path, part: str | None, *, strict: bool = True) -> DiffIR:
    network = load_diffir(start, weights, part)
    if strict and network.settings != arch_of(start):
        of_diffusion = "other numbers of blocks may be trained" if arch_of(start).prior_width else FROM_WHAT_FITS
        takes = {None: FROM_WHAT_FITS, DIFFUSION: of_diffusion}
        way_out = f"; with path.strict_load_g=false {takes[part]}" if part in takes else ""
        raise ConfigError(f"{weights} has other network settings than network_g{way_out}")
    return network


def _reshaped(network: DiffIR, settings: ArchSettings, weights: str | Path) -> DiffIR:
    """A stage-2 network with other numbers of blocks or another tail than the given one, which it equals if it has all
    of its blocks; raise ConfigError if more than these settings differ."""
    may_differ = ("num_blocks", "num_refinement_blocks", "one_conv_tail", "tone_side")
    if replace(network.settings, **{name: getattr(settings, name) for name in may_differ}) != settings:
        raise ConfigError(f"{weights} and network_g differ in more than the settings {', '.join(may_differ)}")
    other = DiffIR(settings, stage=2)
    with torch.no_grad():
        take_what_fits(other.dirformer, network.dirformer)
    other.cpen.load_state_dict(network.cpen.state_dict())
    other.denoiser.load_state_dict(network.denoiser.state_dict())
    return other
