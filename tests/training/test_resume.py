"""A run that was stopped and resumed ends in the same state, bit for bit, as a run that was not stopped."""

import json
import random
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from diffir.api import load_config
from diffir.config import RunConfig
from diffir.training.checkpoint import Checkpoints
from tests.diffir_objects import run_of

REPOSITORY = Path(__file__).resolve().parents[2]
SHORT = (
    "stages=[1]",
    "train.total_iter=5",
    "train.warmup_iter=2",
    "train.encoder_iter=1",
    "datasets.train.gt_size=32",
    "datasets.train.batch_size_per_gpu=2",
    "datasets.val.gt_size=32",
    "logger.save_checkpoint_freq=1",
    "logger.keep_checkpoints=9",
    "logger.use_tb_logger=false",
    "val.save_images=0",
)
KINDS = {
    "adversarial": (
        "train.gan={network: unet_sn, num_feat: 4, r1: 1, feature_matching: 1}",
        "train.accum_iter=2",
        "datasets.train.num_worker_per_gpu=1",
    ),
    "early stopping": (
        "train.total_iter=6",
        "train.optim_g.lr=0.03",
        "train.collapse_margin=0.001",
        "train.patience=3",
        "train.publish=best",
        "train.ema_decay=0.5",
        "val.val_freq=1",
    ),
    "half precision": ("train.precision=bf16", "train.channels_last=true"),
}


def state_after(kind: str, folder: Path, *, auto_resume: bool = False) -> dict[str, Any]:
    """Start or resume a run, and return its last state."""
    start(kind, folder, auto_resume=auto_resume)
    return last_state(folder)


def start(kind: str, folder: Path, *, auto_resume: bool) -> None:
    # The global generators differ between the first process and the one that resumes.
    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(2 if auto_resume else 1)
    run_of(options(kind, folder)).start(auto_resume=auto_resume)


def options(kind: str, folder: Path) -> RunConfig:
    own = (f"path.experiments_root={folder}", f"datasets.train.dataroot_gt={REPOSITORY}/datasets/samples/train")
    val = f"datasets.val.dataroot_gt={REPOSITORY}/datasets/samples/clean"
    return load_config(REPOSITORY / "options/debug/tiny.yml", (*SHORT, *own, val, *KINDS[kind]))


def last_state(folder: Path) -> dict[str, Any]:
    state = Checkpoints(folder / "tiny/training_states", 9).load_latest(1)
    assert state is not None
    return state


def differences(left: object, right: object, place: str = "state") -> list[str]:
    """Return the places where two states do not have the same bits."""
    if isinstance(left, torch.Tensor) and isinstance(right, torch.Tensor):
        same = left.dtype == right.dtype and torch.equal(left, right)
        return [] if same else [place]
    if isinstance(left, dict) and isinstance(right, dict) and list(left) == list(right):
        return [where for key in left for where in differences(left[key], right[key], f"{place}.{key}")]
    if isinstance(left, list | tuple) and isinstance(right, list | tuple) and len(left) == len(right):
        pairs = enumerate(zip(left, right, strict=True))
        return [where for k, pair in pairs for where in differences(*pair, f"{place}.{k}")]
    return [] if type(left) is type(right) and left == right else [place]


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Callable[[str], dict[str, Any]]:
    """A function that returns the last state of a run of a kind that was never stopped."""
    return cache(lambda kind: state_after(kind, tmp_path_factory.mktemp("whole")))


# Steps: where the encoder's phase ends, in the middle, and where early stopping has decided to end.
STOPS = {"adversarial": (1, 3), "early stopping": (1, 3, 4), "half precision": (3,)}


@pytest.mark.parametrize(("kind", "stop"), [(kind, stop) for kind in KINDS for stop in STOPS[kind]])
def test_a_stopped_run_ends_in_the_state_of_one_that_was_not(whole, kind, stop, tmp_path, monkeypatch):
    def stop_after_saving(checkpoints, number, step, state, save=Checkpoints.save):
        save(checkpoints, number, step, state)
        if step == stop:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Checkpoints, "save", stop_after_saving)
        start(kind, tmp_path, auto_resume=False)

    assert differences(whole(kind), state_after(kind, tmp_path, auto_resume=True)) == []


def test_the_log_of_a_stopped_run_has_each_step_once(tmp_path, monkeypatch):
    def stop_before_saving(checkpoints, number, step, state, save=Checkpoints.save):
        if step == 3:  # its lines are in the log already
            raise KeyboardInterrupt
        save(checkpoints, number, step, state)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Checkpoints, "save", stop_before_saving)
        start("early stopping", tmp_path, auto_resume=False)
    start("early stopping", tmp_path, auto_resume=True)

    entries = map(json.loads, (tmp_path / "tiny/train_log.jsonl").read_text("utf-8").splitlines())
    logged = [(entry["step"], entry["event"]) for entry in entries]
    assert logged == [(step, "validation") for step in range(5)]


@pytest.mark.parametrize("kind", KINDS)
def test_the_runs_use_everything_that_is_to_be_resumed(whole, kind):
    state = whole(kind)

    if kind == "early stopping":  # best after one step, then collapses until patience ends
        assert (state["guard"]["best_step"], state["guard"]["lr_scale"]) == (1, 1 / 8)
        assert (state["is_stopped"], state["step"]) == (True, 4)
    else:
        assert (state["is_stopped"], state["step"]) == (False, 5)
        assert bool(state["params_d"]) == (kind == "adversarial")


def test_a_difference_of_one_bit_is_found():
    one, other = torch.zeros(3), torch.tensor([0, 0, 1e-45])

    assert differences({"a": [1, {"b": one}]}, {"a": [1, {"b": other}]}) == ["state.a.1.b"]
    assert differences({"a": 1.0, "b": 2}, {"a": 1, "b": 2}) == ["state.a"]
    assert differences([1], [1, 2]) == differences({"a": 1}, {}) == ["state"]
