"""Tests of the options that are chosen for a fine-tuning run."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from diffir.config import RunConfig
from diffir.data.training_set import TrainingFacts
from diffir.errors import ConfigError, UsageError
from diffir.system import Budget, FinetuneRequest
from diffir.systems.diffir import DiffIR
from diffir.systems.diffir.finetune import plan_run
from diffir.systems.diffir.tasks import get_task
from tests.diffir_objects import begun_stage, card_of, save_weights

TINY = get_task("denoise_tiny").arch
CPU = torch.device("cpu")


def start(source: str = "mine", task: str | None = "denoise_tiny", **card) -> FinetuneRequest:
    """A request to fine-tune a tiny network; ``plan`` adds the folder and the budget."""
    torch.manual_seed(0)
    made = card_of("mine", TINY, task=task, **card)
    return FinetuneRequest(
        DiffIR(TINY).eval(), made.task, made.settings, made.gt_patch, made.licence, made.name, source,
        Path(), "rain", Path(), CPU, Budget(), 3,
    )  # fmt: skip


def plan(folder: Path, begin: FinetuneRequest, **budget) -> RunConfig:
    return plan_run(replace(begin, photos=folder / "p", out=folder / "run", budget=Budget(**budget)))


def test_both_stages_share_the_steps(tmp_path):
    config = plan(tmp_path, start(), steps=1000)

    assert (config.stages["prior"].total_iter, config.stages["diffusion"].total_iter) == (250, 750)
    assert (config.name, config.manual_seed, config.path.start) == ("run", 3, {"prior": "mine"})
    assert config.datasets.train.degradation == ({"type": "recipe", "name": "rain"},)


def test_the_defaults_are_those_that_do_not_collapse(tmp_path):
    config = plan(tmp_path, start(), steps=1000)

    for learning in (config.stages["prior"], config.stages["diffusion"]):
        assert (learning.publish, learning.collapse_margin, learning.grad_clip) == ("best", 1.0, 0.3)
        assert 0 < learning.warmup_iter < learning.total_iter
        assert 0 < learning.own.encoder_iter < learning.total_iter


def test_minutes_become_steps_of_this_machine(tmp_path):
    short, long = (plan(tmp_path, start(), minutes=minutes).stages["diffusion"].total_iter for minutes in (2, 8))

    assert short < long


def test_patches_are_those_that_the_weights_know(tmp_path):
    training = {"stage2": {"gt_sizes": [64, 80]}, "train_set": {}}

    assert plan(tmp_path, start(training=training), steps=100).datasets.train.gt_size == 80


@pytest.mark.parametrize("budget", [{"steps": 5}, {"minutes": 0}, {"minutes": -3}])
def test_a_budget_that_makes_no_sense_is_refused(budget):
    with pytest.raises(UsageError, match="must be"):
        Budget(**budget)


def test_a_recipe_of_another_scale_is_refused():
    with pytest.raises(ConfigError, match=r"mine enlarges x1 .*the recipe makes x4 with 3 channels"):
        TrainingFacts(scale=4, channels=3).check(TINY.facts, network="mine", pairs="the recipe makes")


def test_weights_of_no_task_cannot_be_trained_on(tmp_path):
    with pytest.raises(ConfigError, match="does not say its task"):
        plan(tmp_path, start(task=None), steps=100)


def test_stage_one_begins_as_the_weights_it_starts_from(tmp_path):
    begin = start(str(tmp_path / "mine.safetensors"))
    save_weights(
        tmp_path / "mine.safetensors",
        begin.network.state_dict(),
        card_of("mine", TINY, task="denoise_tiny"),
        dtype=torch.float32,
    )
    config = plan(tmp_path, begin, steps=100)
    lq = torch.rand(2, 3, 32, 32)

    stage = begun_stage(config, "prior", lambda: lq)

    with torch.no_grad():
        old = begin.network(lq, noise=torch.zeros(2, TINY.prior_width))
        new = stage.network.restore(lq, stage.network.oracle_prior(lq, lq))
    assert (new - old).abs().mean() < 0.1 * (old - lq).abs().mean()
