"""Option files are read into typed options, and every mistake in them gives one clear message."""

from pathlib import Path

import pytest
import yaml

from diffir.api import load_config
from diffir.config import RunConfig
from diffir.config_file import dump_config
from diffir.errors import ConfigError
from tests.diffir_objects import arch_of

MINIMAL = """
name: run
network_g: {task: denoise_tiny}
datasets: {train: {dataroot_gt: photos, gt_size: 64, degradation: [{type: gaussian_noise, sigma: [0, 55]}]}}
"""


@pytest.fixture
def load(tmp_path: Path):
    def read(extra: str = "", overrides: tuple[str, ...] = ()) -> RunConfig:
        path = tmp_path / "options.yml"
        path.write_text(MINIMAL + extra, "utf-8")
        return load_config(path, overrides)

    return read


def test_an_unknown_key_names_the_nearest_known_one(load):
    with pytest.raises(ConfigError, match=r"unknown key 'total_itr'; did you mean 'total_iter'\?"):
        load("train: {total_itr: 5}")


def test_an_unknown_key_in_an_override_is_refused_too(load):
    with pytest.raises(ConfigError, match="did you mean 'lr'"):
        load(overrides=("train.optim_g.lrr=1",))


def test_an_override_replaces_what_the_file_says(load):
    config = load("train: {total_iter: 10}", ("train.total_iter=7", "train:optim_g:lr=1e-3"))

    assert config.stages["prior"].total_iter == 7
    assert config.stages["prior"].optim_g.lr == 1e-3


def test_stage_two_takes_from_train_what_it_does_not_say(load):
    config = load("train: {total_iter: 10, grad_clip: 0.5}\nstage2: {total_iter: 20}")

    assert (config.stages["prior"].total_iter, config.stages["diffusion"].total_iter) == (10, 20)
    assert config.stages["diffusion"].grad_clip == 0.5


def test_stage_two_alone_may_be_described_without_train(load):
    assert load("stages: [2]\nstage2: {total_iter: 20}").stages["diffusion"].total_iter == 20


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ("train: {total_iter: many}", "expected int, got 'many'"),
        ("train: {precision: fp8}", "'fp8' is not one of fp32, bf16"),
        ("train: {optim_g: {betas: [0.9]}}", "expected 2 numbers"),
        ("train: {channels_last: 1}", "expected bool"),
        ("stages: [2, 1]", r"stages must be"),
        ("train: {total_iter: 5, iters: [2], gt_sizes: [64], mini_batch_sizes: [1]}", "add up to 2"),
        ("train: {total_iter: 5, iters: [5], gt_sizes: [63], mini_batch_sizes: [1]}", "not a multiple of 16"),
        ("train: 5", "expected keys and values"),
        (
            "train: {total_iter: 5, iters: [5], gt_sizes: [-1], mini_batch_sizes: [1]}",
            r"gt_sizes must lie in \[0, inf\)",
        ),
        ("train: {warmup_iter: -1}", "train: warmup_iter must be 0 or more, got -1"),
        ("stage2: {encoder_iter: -1}", "stage2: encoder_iter must be 0 or more, got -1"),
        ("val: {metrics: []}", "val: metrics must name at least one"),
        ("train: {ema_decay: 1.5}", r"train: ema_decay must lie in \[0, 1\)"),
        ("train: {optim_g: {lr: -1}}", "train: optim_g: lr must be above 0"),
        ("logger: {print_freq: 0}", "logger: print_freq must be above 0"),
        ("val: {metrics: [psnr, fid]}", "val: metrics: fid needs more than two images; in training: psnr, ssim"),
        ("val: {metrics: [psrn]}", "val: metrics: psrn is no metric; in training: psnr, ssim"),
        ("train: {optim_g: {betas: 0.9}}", r"betas: expected a list such as \[0.9, 0.9\], got 0.9"),
        ("train: {optim_g: {betas: most}}", "betas: expected a list, got 'most'"),
        ("val: {metrics: psnr}", r"expected a list such as \[psnr\], got 'psnr'"),
        ("train: {total_iter: 5, ema_decay: 0, total_iter: 6}", r"the key 'total_iter' is given twice"),
        ("- a list", "is not YAML"),
    ],
)
def test_a_wrong_value_is_one_clear_line(load, extra, message):
    with pytest.raises(ConfigError, match=message) as caught:
        load(extra)

    assert "\n" not in str(caught.value)


def test_a_missing_key_is_named(tmp_path):
    (tmp_path / "o.yml").write_text("name: run\nnetwork_g: {task: deblur}\n", "utf-8")

    with pytest.raises(ConfigError, match="the key 'datasets' is missing"):
        load_config(tmp_path / "o.yml")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"cannot read option file .*absent\.yml"):
        load_config(tmp_path / "absent.yml")


def test_resolved_settings_read_back_as_they_were(load, tmp_path):
    config = load("train: {total_iter: 10, optim_g: {lr: 1e-5}}\nstage2: {encoder_iter: 3}")
    (tmp_path / "resolved.yml").write_text(dump_config(config), "utf-8")

    assert load_config(tmp_path / "resolved.yml") == config


def test_an_override_is_never_evaluated(load):
    config = load(overrides=("name=__import__('os').getcwd()",))

    assert config.name == "__import__('os').getcwd()"


def test_the_network_is_the_row_with_the_changed_settings(load):
    arch = arch_of(load(overrides=("network_g.settings.dim=16",)))

    assert arch.dim == 16
    assert arch.unshuffle == 2


def test_yaml_is_written_for_people(load):
    assert list(yaml.safe_load(dump_config(load())))[:3] == ["name", "network_g", "datasets"]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("network_g.settings.dimm=5", "did you mean 'dim'"),
        ("network_g.settings.dim=abc", "expected int, got 'abc'"),
        ("network_g.settings.norm=foo", "'foo' is not one of with_bias, bias_free"),
        ("network_g.settings.unshuffle=0", "must be 1 or more"),
        ("network_g.settings=5", "expected keys and values"),
        ("datasets.train.batch_size_per_gpu=0", "batch_size_per_gpu must be above 0"),
        ("datasets.train.degradation=[]", "degradation is empty"),
        ("datasets.val={dataroot_gt: photos, use_rot: true}", "unknown key 'use_rot'"),
        ("name=[", "the value is not YAML"),
        ("train.total_iter", "is not key=value"),
    ],
)
def test_a_wrong_override_is_one_clear_line(load, override, message):
    with pytest.raises(ConfigError, match=message) as caught:
        load(overrides=(override,))

    assert "\n" not in str(caught.value)
