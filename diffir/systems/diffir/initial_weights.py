"""What each stage of DiffIR starts from.

Stage 1 starts with fresh weights, from stage-1 weights, from stage-2 weights, or from what fits of another task's.
Stage 2 starts from stage 1, its prior network fresh or from stage-2 weights; stage 3 starts from stage 2 and keeps the
teacher of stage 2.
"""

from pathlib import Path

from diffir.errors import ConfigError
from diffir.system import Stage, StageStart
from diffir.systems.diffir.network import DiffIR
from diffir.systems.diffir.settings import ArchSettings
from diffir.systems.diffir.stages import StageOne, StageTwo
from diffir.systems.diffir.system import DIFFIR, DIFFUSION, GAN, PRIOR


def build_stage(name: str, start: StageStart) -> Stage:
    """A stage before its first step; raises as ``System.stage``."""
    return _stage_one(start) if name == PRIOR else _stage_two(name, start)


def arch_of(start: StageStart) -> ArchSettings:
    """The settings of the network that the option file asks for."""
    return ArchSettings.from_dict(DIFFIR.row(start.config.network_g).settings)


def load_diffir(start: StageStart, weights: str | Path, part: str | None) -> DiffIR:
    """The network of a name or file, of that part if one is needed."""
    network = start.load(weights, part)
    assert isinstance(network, DiffIR)
    return network


def _stage_one(start: StageStart) -> StageOne:
    config = start.config
    stage = StageOne(arch_of(start), config.stages[PRIOR], strip_pixels=config.val.strip_pixels)
    weights = config.path.pretrain_network_g
    if weights is not None:
        network = _pretrained(start, weights, None, strict=config.path.strict_load_g)
        if network.stage == 1 and network.settings == stage.network.settings:
            stage.network.load_state_dict(network.state_dict())
        else:
            stage.take_over(network, start.first_lq())
    return stage


def _stage_two(name: str, start: StageStart) -> StageTwo:
    config = start.config
    teacher = config.path.pretrain_network_g if PRIOR not in config.run_stages else None
    network = _needed(start, teacher or start.weights(PRIOR), PRIOR)
    stage = StageTwo(network, config.stages[name], name=name, strip_pixels=config.val.strip_pixels)
    before: str | Path | None = config.path.pretrain_network_s2
    if name == GAN and (DIFFUSION in config.run_stages or before is None):
        before = start.weights(DIFFUSION)
    if before is not None:
        stage.network.load_state_dict(_needed(start, before, DIFFUSION).state_dict())
    return stage


def _needed(start: StageStart, weights: str | Path, part: str) -> DiffIR:
    if isinstance(weights, Path) and not weights.is_file():
        number = start.config.number(part)
        key = {PRIOR: "pretrain_network_g", DIFFUSION: "pretrain_network_s2"}[part]
        raise ConfigError(
            f"stage-{number} weights are needed, and {weights} does not exist: run stage {number} or set path.{key}"
        )
    return _pretrained(start, weights, part)


def _pretrained(start: StageStart, weights: str | Path, part: str | None, *, strict: bool = True) -> DiffIR:
    network = load_diffir(start, weights, part)
    if strict and network.settings != arch_of(start):
        way_out = "; path.strict_load_g=false starts stage 1 from what fits" if part is None else ""
        raise ConfigError(f"{weights} has other network settings than network_g{way_out}")
    return network
