"""Short functions with which tests make cards, published weights, runs and stages of DiffIR."""

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from diffir.config import RunConfig
from diffir.system import Pair, Stage, StageStart
from diffir.systems import SYSTEMS
from diffir.systems.diffir import ArchSettings, DiffIR
from diffir.systems.diffir.initial_weights import build_stage
from diffir.systems.diffir.system import DIFFIR, DIFFUSION, PRIOR
from diffir.training.processes import Processes
from diffir.training.run import Run
from diffir.training.run_folder import RunFolder
from diffir.weights.card import WeightsCard
from diffir.weights.fit import check_fit, empty_network, filled_network
from diffir.weights.load import load_network
from diffir.weights.published import save_published

PARTS = {1: PRIOR, 2: DIFFUSION}


def card_of(name: str, settings: ArchSettings, stage: int = 2, **facts: object) -> WeightsCard:
    """Make the card of a DiffIR network; ``facts`` are further fields of the card."""
    return WeightsCard(name, settings.to_dict(), PARTS[stage], **facts)


def save_weights(path: Path, state: Mapping[str, Tensor], card: WeightsCard, **how: object) -> None:
    """Write a file of published DiffIR weights."""
    save_published(path, state, card, DIFFIR, **how)


def empty_diffir(settings: ArchSettings, stage: int) -> DiffIR:
    """Build a network on the meta device, without values."""
    return empty_network(DIFFIR, settings.to_dict(), PARTS[stage], "the test")


def filled_diffir(state: Mapping[str, Tensor], settings: ArchSettings, stage: int, source: str) -> DiffIR:
    """Build a network with the given weights; ``source`` is named in messages."""
    return filled_network(state, empty_diffir(settings, stage), PARTS[stage], source)


def check_diffir(state: Mapping[str, Tensor], settings: ArchSettings, stage: int, source: str) -> None:
    """Raise WeightsError unless the tensors are those of a network with these settings."""
    check_fit(state, empty_diffir(settings, stage), PARTS[stage], source)


def run_of(config: RunConfig, processes: Processes | None = None) -> Run:
    """Make the training run of an option file."""
    return Run(config, DIFFIR, processes, systems=SYSTEMS)


def folder_of(config: RunConfig) -> RunFolder:
    """The folder of the run of an option file."""
    return RunFolder(config, DIFFIR)


def begun_stage(config: RunConfig, name: str, first_lq: Callable[[], Tensor]) -> Stage:
    """Build a stage for its first step, with the seed that a run would use."""

    def load(source: str | Path, part: str | None) -> torch.nn.Module:
        return load_network(source, {DIFFIR.name: DIFFIR}, part=part)[0]

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.manual_seed + config.number(name))
        first = lambda: Pair(first_lq(), torch.empty(0))  # noqa: E731
        return build_stage(name, StageStart(config, folder_of(config).weights, load, first))


def arch_of(config: RunConfig) -> ArchSettings:
    """The settings of the network that an option file describes."""
    return ArchSettings.from_dict(DIFFIR.row(config.network_g).settings)
