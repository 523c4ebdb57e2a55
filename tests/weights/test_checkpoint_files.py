"""Foreign checkpoint files: wrappers, prefixes, damaged files, and pickles that try to run code."""

import pickle
import sys
import types
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from diffir.errors import UsageError, WeightsError
from diffir.weights.checkpoint_file import read_checkpoint

STATE = {"G.a": torch.arange(3.0), "G.b": torch.ones(2, 2)}


class Malicious:
    """An object that calls a function when it is unpickled without protection."""

    def __init__(self, call, *args) -> None:
        self.call = (call, args)

    def __reduce__(self):
        return self.call


def assert_is_state(found: dict) -> None:
    assert found.keys() == STATE.keys()
    assert all(torch.equal(found[name], STATE[name]) for name in STATE)


def written(path: Path, content: object, **options: object) -> Path:
    torch.save(content, path, **options)
    return path


@pytest.mark.parametrize("wrapper", ["params_ema", "params", "state_dict", None])
def test_wrappers_are_removed(tmp_path, wrapper):
    assert_is_state(read_checkpoint(written(tmp_path / "a.pth", {wrapper: STATE, "iter": 5} if wrapper else STATE)))


def test_averaged_weights_are_preferred(tmp_path):
    other = {name: tensor + 1 for name, tensor in STATE.items()}

    assert_is_state(read_checkpoint(written(tmp_path / "a.pth", {"params": other, "params_ema": STATE})))


@pytest.mark.parametrize("prefix", ["module.", "generator.", "module.generator."])
def test_prefixes_are_removed(tmp_path, prefix):
    state = {prefix + name: tensor for name, tensor in STATE.items()}

    assert_is_state(read_checkpoint(written(tmp_path / "a.pth", {"params": state})))


def test_only_the_generator_of_a_lightning_file_is_kept(tmp_path):
    others = ("generatorS1.G.a", "discriminator.model0.0.weight", "loss_resnet_pl.impl.x", "val_evaluator.y")
    state = {f"generator.{name}": t for name, t in STATE.items()} | {name: torch.zeros(1) for name in others}

    assert_is_state(read_checkpoint(written(tmp_path / "last.ckpt", {"state_dict": state, "epoch": 3})))


def test_safetensors_and_old_pickles_are_read_too(tmp_path):
    save_file(STATE, tmp_path / "a.safetensors")
    written(tmp_path / "old.pth", {"params": STATE}, _use_new_zipfile_serialization=False)

    assert_is_state(read_checkpoint(tmp_path / "a.safetensors"))
    assert_is_state(read_checkpoint(tmp_path / "old.pth"))


def test_foreign_objects_are_neither_imported_nor_in_the_way(tmp_path, monkeypatch):
    foreign = types.ModuleType("foreign_settings")
    exec("class Config:\n def __init__(self): self.a = 1\nclass AttrDict(dict): pass", foreign.__dict__)
    for name in ("Config", "AttrDict"):
        getattr(foreign, name).__module__ = foreign.__name__
    monkeypatch.setitem(sys.modules, foreign.__name__, foreign)
    hyper_parameters = [foreign.Config(), foreign.AttrDict(b=2), Path("x"), float, {foreign.Config: 1}]
    path = written(tmp_path / "last.ckpt", {"hyper_parameters": hyper_parameters, "state_dict": STATE})
    monkeypatch.delitem(sys.modules, foreign.__name__)

    assert_is_state(read_checkpoint(path))
    assert foreign.__name__ not in sys.modules


def test_a_pickle_that_calls_a_function_does_not_get_it_called(tmp_path):
    marker = tmp_path / "marker"
    path = written(tmp_path / "bad.ckpt", {"state_dict": STATE, "x": Malicious(exec, f"open({str(marker)!r}, 'w')")})

    assert_is_state(read_checkpoint(path))

    assert not marker.exists()
    torch.load(path, weights_only=False)  # without protection the function is called
    assert marker.exists()


def test_a_pickle_that_calls_the_shell_is_refused(tmp_path):
    import os

    marker = tmp_path / "marker"
    path = written(tmp_path / "bad.pth", {"params": STATE, "x": Malicious(os.system, f"touch '{marker}'")})

    with pytest.raises(WeightsError, match=r"it would call \w+\.system"):
        read_checkpoint(path)
    assert not marker.exists()


@pytest.mark.parametrize("kept", [3, 100, 400, -10])
def test_a_cut_checkpoint_is_called_cut(tmp_path, kept):
    path = written(tmp_path / "a.pth", {"params": STATE})
    path.write_bytes(path.read_bytes()[:kept])

    with pytest.raises(WeightsError, match="cut short" if kept > 3 or kept < 0 else "not a checkpoint"):
        read_checkpoint(path)


def test_a_cut_old_pickle_is_one_clear_error(tmp_path):
    path = written(tmp_path / "old.pth", STATE, _use_new_zipfile_serialization=False)
    for kept in (2, 40, 200, path.stat().st_size - 5):
        (tmp_path / "cut.pth").write_bytes(path.read_bytes()[:kept])
        with pytest.raises(WeightsError, match=r"cut\.pth"):
            read_checkpoint(tmp_path / "cut.pth")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"<!DOCTYPE html><title>Virus scan warning</title>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "Git LFS pointer"),
        (b"\x89PNG and so on", "is not a checkpoint"),
        (b"", "is not a checkpoint"),
        (pickle.dumps({"a": 1}, protocol=4), "is not a checkpoint"),
    ],
)
def test_a_file_that_is_no_checkpoint_is_named_for_what_it_is(tmp_path, content, said):
    (tmp_path / "DiffIRS2.pth").write_bytes(content)

    with pytest.raises(WeightsError, match=said):
        read_checkpoint(tmp_path / "DiffIRS2.pth")


@pytest.mark.parametrize("content", [{"epoch": 1, "iter": 2}, [torch.zeros(1)], {"params": {}}, torch.nn.Linear(2, 2)])
def test_a_checkpoint_without_tensors_by_name_is_refused(tmp_path, content):
    with pytest.raises(WeightsError, match="holds"):
        read_checkpoint(written(tmp_path / "a.state", content))


@pytest.mark.parametrize("name", ["G.\na", "G." + "9" * 5000, "G.\x1b[2J"])
def test_names_that_no_network_has_are_refused_in_one_short_line(tmp_path, name):
    written(tmp_path / "a.pth", {"params": {**STATE, name: torch.ones(1)}})
    save_file({**STATE, name: torch.ones(1)}, tmp_path / "a.safetensors")

    for suffix in ("pth", "safetensors"):
        with pytest.raises(WeightsError, match=rf"a\.{suffix} .*no tensor is called 'G") as caught:
            read_checkpoint(tmp_path / f"a.{suffix}")
        assert str(caught.value).isprintable() and len(str(caught.value)) < 400


def test_a_missing_file_is_wrong_usage(tmp_path):
    with pytest.raises(UsageError, match="no such weights file"):
        read_checkpoint(tmp_path / "nowhere.pth")
