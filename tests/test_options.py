"""Every option file in the repository loads, and released ones have the schedules of the released code."""

from dataclasses import fields
from functools import cache
from pathlib import Path

import pytest
import torch

from diffir.api import load_config
from diffir.degradations.recipes import build_recipe
from diffir.systems import SYSTEMS
from diffir.systems.diffir.tasks import get_task
from diffir.training.optim import learning_rate
from tests.diffir_objects import arch_of

OPTIONS = sorted((Path(__file__).resolve().parents[1] / "options").rglob("*.yml"))

loaded = cache(load_config)


@pytest.mark.parametrize("path", OPTIONS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_an_option_file_loads_and_builds_its_network_and_recipe(path):
    config = loaded(path)

    assert not config.datasets.train.degradation or build_recipe(config.datasets.train.degradation)
    system = SYSTEMS[config.system]
    with torch.device("meta"):  # without memory: the official networks are large
        network = system.build(system.row(config.network_g).settings, system.restoring_part)
    assert next(network.parameters()).is_meta


def is_released(path: Path) -> bool:
    config = loaded(path)
    return config.system == "diffir" and get_task(config.network_g.task).official


RELEASED = [path for path in OPTIONS if is_released(path)]


def rate(name: str, step: int) -> float:
    """Return the learning rate of a step, counted from the start of the stage."""
    config = loaded(next(path for path in RELEASED if f"{path.parent.name}/{path.stem}" == name))
    train = config.stages[config.run_stages[0]]
    alone = train.own.encoder_iter
    if step < alone:
        assert train.own.encoder_scheduler is not None and train.own.encoder_lr is not None
        return learning_rate(train.own.encoder_scheduler, train.own.encoder_lr, step, alone)
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
    (name,) = config.run_stages
    stage = config.number(name)
    made = {
        f"experiments/{c.name}/models/{c.name}_stage{c.number(c.run_stages[0])}.safetensors"
        for c in map(loaded, RELEASED)
    }

    starts = {config.path.pretrain_network_g, config.path.pretrain_network_s2} - {None}

    assert config.name == f"{path.parent.name}_{path.stem}"
    assert len(starts) == stage - 1 and starts <= made
    assert (stage == 3) == (config.network_g.task.find("sr_") >= 0 and config.stages[name].gan is not None)


def test_there_are_option_files():
    assert len(OPTIONS) >= 2


def test_the_guide_to_options_loads_and_leaves_no_key_out(tmp_path):
    guide = (OPTIONS[0].parents[1] / "README.md").read_text("utf-8")
    example = tmp_path / "example.yml"
    blocks = [block.split("```")[0] for block in guide.split("```yaml\n")[1:]]
    example.write_text(max(blocks, key=len), "utf-8")  # the other blocks are short files

    config = load_config(example)

    assert arch_of(config).dim == 32
    stage = config.stages["prior"]
    for section in (config, config.datasets.train, stage, stage.own, config.val, config.logger, config.path):
        missing = [field.name for field in fields(section) if field.name not in guide and field.name != "own"]
        assert not missing, missing
