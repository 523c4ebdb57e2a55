"""Networks loaded by name or from any kind of file restore the same pixels."""

import subprocess
import sys

import pytest
import torch
from safetensors.torch import save_file

from diffir.api import load_network
from diffir.errors import UsageError, WeightsError
from diffir.systems import SYSTEMS
from diffir.weights.catalogue import catalogue, default_name
from tests.diffir_objects import card_of, save_weights


@torch.no_grad()
def assert_same_pixels(found, expected) -> None:
    lq, noise = torch.rand(1, 3, 16, 16), torch.randn(1, 32)
    assert torch.equal(found(lq, noise=noise), expected(lq, noise=noise))


@pytest.mark.parametrize("file", ["DiffIRS2.pth", "last.ckpt", "plain.safetensors", "mine.safetensors"])
def test_every_kind_of_file_gives_the_same_network(tmp_path, tiny_network, upstream_state, file):
    path, upstream = tmp_path / file, upstream_state(tiny_network)
    if file == "mine.safetensors":
        card = card_of("mine", tiny_network.settings)
        save_weights(path, tiny_network.state_dict(), card, dtype=torch.float32)
    elif file == "plain.safetensors":
        save_file({name: tensor.clone() for name, tensor in upstream.items()}, path)
    elif file == "last.ckpt":
        torch.save({"state_dict": {f"generator.{k}": t for k, t in upstream.items()}}, path)
    else:
        torch.save({"params_ema": upstream}, path)

    network, card = load_network(path)

    assert_same_pixels(network, tiny_network)
    assert card.name == path.stem
    assert card.settings == tiny_network.settings.to_dict()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_a_loaded_network_is_ready_to_run_and_to_train(tmp_path, tiny_network, upstream_state, dtype):
    torch.save({"params": {k: t.to(dtype) for k, t in upstream_state(tiny_network).items()}}, tmp_path / "a.pth")

    network, _ = load_network(str(tmp_path / "a.pth"))

    assert network.settings == tiny_network.settings
    assert not network.training
    assert all(p.dtype is torch.float32 and p.device.type == "cpu" for p in network.parameters())
    assert all(p.requires_grad for p in network.parameters())


def test_the_file_may_vanish_after_loading(tmp_path, tiny_network, upstream_state):
    path = tmp_path / "a.pth"
    torch.save(upstream_state(tiny_network), path)
    network, _ = load_network(path)

    path.write_bytes(bytes(path.stat().st_size))

    assert_same_pixels(network, tiny_network)


def test_a_stage_1_file_cannot_restore(tmp_path, tiny_teacher, upstream_state):
    torch.save({"params": upstream_state(tiny_teacher)}, tmp_path / "DiffIRS1.pth")

    with pytest.raises(WeightsError, match=r"DiffIRS1\.pth is a stage-1 network.*give the stage-2 file"):
        load_network(tmp_path / "DiffIRS1.pth", restores=True)
    assert load_network(tmp_path / "DiffIRS1.pth", "prior")[0].stage == 1
    assert load_network(tmp_path / "DiffIRS1.pth")[1].part == "prior"


def test_a_stage_2_file_cannot_stand_in_for_stage_1(tmp_path, tiny_network, upstream_state):
    torch.save({"params": upstream_state(tiny_network)}, tmp_path / "DiffIRS2.pth")

    with pytest.raises(WeightsError, match="stage 1 is needed"):
        load_network(tmp_path / "DiffIRS2.pth", "prior")


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(UsageError, match=r"did you mean official_deblur.*diffir models"):
        load_network("oficial_deblur")


@pytest.mark.parametrize("path", ["nowhere.pth", "folder/nowhere"])
def test_a_missing_file_is_not_taken_for_a_name(path):
    with pytest.raises(UsageError, match="no such weights file"):
        load_network(path)


def test_official_weights_say_where_they_are():
    with pytest.raises(WeightsError, match="is not shipped with diffir: download its checkpoint from https://"):
        load_network("official_deblur")


def test_every_shipped_network_loads_and_keeps_its_promises():
    shipped = [entry for entry in catalogue(SYSTEMS).values() if entry.shipped]
    for entry in shipped:
        network, card = load_network(entry.name)

        assert entry.parameters == sum(tensor.numel() for tensor in network.state_dict().values())
        assert card.name == entry.name
        assert entry.licence and entry.summary and entry.scores and card.data and card.training
        assert entry.size < 16_000_000


@pytest.mark.parametrize(
    ("shipped", "expected"), [(["denoise", "photo"], "photo"), (["a", "denoise"], "denoise"), (["b", "a"], "a")]
)
def test_the_default_is_the_most_general_that_ships(tmp_path, shipped, expected):
    for name in shipped:
        (tmp_path / f"{name}.safetensors").touch()

    assert default_name(tmp_path) == expected


def test_without_shipped_weights_there_is_no_default(tmp_path):
    with pytest.raises(UsageError, match="--model_path"):
        default_name(tmp_path)


def test_loading_the_shipped_network_loads_neither_torchs_compiler_nor_what_trains_and_evaluates():
    program = "import sys, diffir; diffir.load('denoise'); print(*sys.modules)"

    loaded = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.split()

    others = ("config", "data", "degradations", "evaluation", "losses", "report", "training")
    assert not {"torch._dynamo", *(f"diffir.{name}" for name in others)} & set(loaded)
