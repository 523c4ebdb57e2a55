"""Every option file in the repository says something the program understands."""

from dataclasses import fields
from functools import cache
from pathlib import Path

import pytest
import torch

from diffir.config_file import load_config
from diffir.degradations.recipes import build_recipe
from diffir.systems.diffir import ArchSettings, DiffIR
from diffir.systems.diffir.tasks import get_task
from diffir.training.optim import learning_rate

OPTIONS = sorted((Path(__file__).resolve().parents[1] / "options").rglob("*.yml"))

loaded = cache(load_config)


@cache
def built(settings: ArchSettings) -> DiffIR:
    """A network of shapes without numbers: the official ones are large."""
    with torch.device("meta"):
        return DiffIR(settings, stage=2)


@pytest.mark.parametrize("path", OPTIONS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_an_option_file_loads_and_builds_its_network_and_recipe(path):
    config = loaded(path)

    assert not config.datasets.train.degradation or build_recipe(config.datasets.train.degradation)
    assert built(config.network_g.arch()).settings == config.network_g.arch()


RELEASED = [path for path in OPTIONS if get_task(loaded(path).network_g.task).official]


def rate(name: str, step: int) -> float:
    """Learning rate of a step, counted from the start of the stage."""
    config = loaded(next(path for path in RELEASED if f"{path.parent.name}/{path.stem}" == name))
    train = config.learning(config.stages[0])
    alone = train.encoder_iter
    if step < alone:
        assert train.encoder_scheduler is not None and train.encoder_lr is not None
        return learning_rate(train.encoder_scheduler, train.encoder_lr, step, alone)
    return learning_rate(train.scheduler, train.optim_g.lr, step - alone, train.total_iter - alone)


@pytest.mark.parametrize(
    ("name", "rates"),
    [
        ("deblur/s1", {0: 2e-4, 300_000: 1e-6}),
        ("deblur/s2", {59_999: 2e-4, 60_000: 2e-5, 99_999: 2e-5, 100_000: 2e-4, 179_999: 2e-4, 180_000: 1e-4}),
        ("deblur/s2", {259_999: 1e-4, 260_000: 5e-5, 339_999: 5e-5, 340_000: 2.5e-5, 399_999: 2.5e-5}),
        ("sr_x4/s2", {0: 2e-4, 499_999: 2e-4, 500_000: 1e-4, 700_000: 5e-5}),
        ("sr_x2/gan", {199_999: 2e-4, 200_000: 1e-4}),
        ("realsr_x1/s2", {59_999: 2e-4, 60_000: 2e-5, 100_000: 2e-4, 699_999: 2e-4, 700_000: 1e-4}),
        ("realsr_x4/gan_v2", {0: 1e-4, 299_999: 1e-4, 300_000: 5e-5}),
        ("inpaint_big/s2", {0: 2e-4, 999_999: 2e-4}),
    ],
)
def test_official_options_have_the_rates_that_upstream_trains_with(name, rates):
    assert {step: rate(name, step) for step in rates} == pytest.approx(rates)


@pytest.mark.parametrize("path", RELEASED, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_stage_starts_from_what_the_stage_before_it_leaves(path):
    config = loaded(path)
    (stage,) = config.stages
    made = {f"experiments/{c.name}/models/{c.name}_stage{c.stages[0]}.safetensors" for c in map(loaded, RELEASED)}

    starts = {config.path.pretrain_network_g, config.path.pretrain_network_s2} - {None}

    assert config.name == f"{path.parent.name}_{path.stem}"
    assert len(starts) == stage - 1 and starts <= made
    assert (stage == 3) == (config.network_g.task.find("sr_") >= 0 and config.learning(stage).gan is not None)


def test_there_are_option_files():
    assert len(OPTIONS) >= 2


def test_the_guide_to_options_loads_and_leaves_no_key_out(tmp_path):
    guide = (OPTIONS[0].parents[1] / "README.md").read_text("utf-8")
    example = tmp_path / "example.yml"
    example.write_text(guide.split("```yaml\n")[1].split("```")[0], "utf-8")

    config = load_config(example)

    assert config.network_g.arch().dim == 32
    for section in (config, config.datasets.train, config.train, config.val, config.logger, config.path):
        missing = [field.name for field in fields(section) if field.name not in guide]
        assert not missing, missing
