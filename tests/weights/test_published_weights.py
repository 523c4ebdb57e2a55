"""Published weights: what is written can be read again, and every fault of a file gives one clear message."""

import json
import os
import struct
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from diffir.api import load_network
from diffir.errors import WeightsError
from diffir.weights.card import Score, WeightsCard
from diffir.weights.header import read_header
from diffir.weights.published import read_published
from tests.diffir_objects import save_weights


@pytest.fixture
def card(tiny_network) -> WeightsCard:
    return WeightsCard(
        name="mine",
        settings=tiny_network.settings.to_dict(),
        part="diffusion",
        summary="one line, naïve",
        training={"stage 1": "10 steps", "seed": 0},
        data="three photos",
        scores=(Score("CBSD68", "psnr", 30.5, "RGB, crop_border 0", "sigma 25"),),
        licence="Apache-2.0",
    )


def test_the_card_comes_back_as_it_was(tmp_path, tiny_network, card):
    save_weights(tmp_path / "mine.safetensors", tiny_network.state_dict(), card)

    assert read_published(tmp_path / "mine.safetensors")[1] == card


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float16, 1e-3), (torch.bfloat16, 1e-2), (torch.float32, 0)])
def test_tensors_come_back_in_float32(tmp_path, tiny_network, card, dtype, tolerance):
    save_weights(tmp_path / "mine.safetensors", tiny_network.state_dict(), card, dtype=dtype)

    state, _ = read_published(tmp_path / "mine.safetensors")

    assert state.keys() == tiny_network.state_dict().keys()
    for name, tensor in tiny_network.state_dict().items():
        torch.testing.assert_close(state[name], tensor, rtol=0, atol=tolerance)


def test_the_same_weights_make_the_same_bytes_every_time(tmp_path, tiny_network, card):
    for number in range(8):  # the safetensors library changes the order of two entries in every second call
        save_weights(tmp_path / str(number), tiny_network.state_dict(), card)

    assert len({(tmp_path / str(number)).read_bytes() for number in range(8)}) == 1
    assert sorted(safe_open(tmp_path / "0", "pt").metadata()) == ["diffir", "format"]
    assert read_published(tmp_path / "0")[1] == card


@pytest.mark.slow
def test_processes_with_other_hash_seeds_convert_to_the_same_bytes(tmp_path, tiny_network, upstream_state):
    torch.save({"params_ema": upstream_state(tiny_network)}, tmp_path / "released.pth")

    for seed in ("1", "2", "3"):
        command = [sys.executable, "-m", "diffir", "convert", str(tmp_path / "released.pth"), "--name", "mine"]
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        subprocess.run([*command, str(tmp_path / f"{seed}.safetensors")], check=True, env=environment)

    assert len({path.read_bytes() for path in tmp_path.glob("*.safetensors")}) == 1


def test_half_precision_makes_half_the_file(tmp_path, tiny_network, card):
    for name, dtype in (("half", torch.float16), ("full", torch.float32)):
        save_weights(tmp_path / name, tiny_network.state_dict(), card, dtype=dtype)
    half, full = read_header(tmp_path / "half"), read_header(tmp_path / "full")

    assert half.parameters == full.parameters == sum(p.numel() for p in tiny_network.parameters())
    assert half.size < 0.6 * full.size


def test_no_temporary_file_stays_behind(tmp_path, tiny_network, card):
    save_weights(tmp_path / "new folder/mine.safetensors", tiny_network.state_dict(), card)

    assert [path.name for path in (tmp_path / "new folder").iterdir()] == ["mine.safetensors"]


def test_a_published_file_is_readable_to_whoever_may_read_new_files(tmp_path, tiny_network, card):
    (tmp_path / "any").touch()

    save_weights(tmp_path / "mine.safetensors", tiny_network.state_dict(), card)

    assert (tmp_path / "mine.safetensors").stat().st_mode == (tmp_path / "any").stat().st_mode


def test_a_failed_write_leaves_the_old_file(tmp_path, tiny_network, card):
    path = tmp_path / "mine.safetensors"
    save_weights(path, tiny_network.state_dict(), card)
    before = path.read_bytes()
    broken = tiny_network.state_dict() | {"dirformer.output.weight": torch.full((3, 16, 3, 3), torch.nan)}

    with pytest.raises(WeightsError, match=r"dirformer\.output\.weight holds NaN"):
        save_weights(path, broken, card)

    assert path.read_bytes() == before


def test_a_weight_too_large_for_half_precision_is_named(tmp_path, tiny_network, card):
    state = tiny_network.state_dict() | {"cpen.head.bias": torch.full((8,), 1e5)}

    with pytest.raises(WeightsError, match=r"cpen\.head\.bias reaches 1e\+05.*bfloat16"):
        save_weights(tmp_path / "mine.safetensors", state, card)
    save_weights(tmp_path / "mine.safetensors", state, card, dtype=torch.bfloat16)


def test_a_state_of_the_other_stage_is_not_published(tmp_path, tiny_network, card):
    with pytest.raises(WeightsError, match="does not fit the prior part of DiffIR"):
        save_weights(tmp_path / "mine.safetensors", tiny_network.state_dict(), replace(card, part="prior"))


@pytest.mark.parametrize("kept", [0, 5, 500, 20_000, -1])
def test_a_file_cut_anywhere_is_called_cut_or_no_safetensors(tmp_path, tiny_network, card, kept):
    path = tmp_path / "mine.safetensors"
    save_weights(path, tiny_network.state_dict(), card)
    path.write_bytes(path.read_bytes()[:kept])

    with pytest.raises(WeightsError, match="is cut short" if kept > 5 or kept < 0 else "is not a safetensors file"):
        read_published(path)


def test_safetensors_of_something_else_are_refused(tmp_path):
    save_file({"conv1.weight": torch.zeros(3)}, tmp_path / "other.safetensors")

    with pytest.raises(WeightsError, match="no diffir card"):
        read_published(tmp_path / "other.safetensors")


def test_a_card_of_a_newer_version_is_named_as_such(tmp_path, tiny_network, card):
    metadata = {"diffir": card.to_metadata()["diffir"].replace('"dim"', '"dim_of_the_future"')}
    save_file(tiny_network.state_dict(), tmp_path / "new.safetensors", metadata)

    with pytest.raises(WeightsError, match=r"dim_of_the_future.*newer diffir"):
        load_network(tmp_path / "new.safetensors")


def test_tensors_that_do_not_fit_their_card_are_refused(tmp_path, tiny_network, card):
    state = tiny_network.state_dict()
    state["cpen.mlp.0.bias"] = torch.zeros(7)
    save_file(state, tmp_path / "odd.safetensors", card.to_metadata())

    with pytest.raises(WeightsError, match=r"cpen\.mlp\.0\.bias is 7, not 32"):
        load_network(tmp_path / "odd.safetensors")


def test_weights_of_complex_numbers_are_refused(tmp_path, tiny_network, card):
    state = tiny_network.state_dict()
    state["cpen.mlp.0.bias"] = state["cpen.mlp.0.bias"].to(torch.complex64)
    try:
        save_file(state, tmp_path / "odd.safetensors", card.to_metadata())
    except KeyError:
        pytest.skip("this version of safetensors writes no complex numbers")

    with pytest.raises(WeightsError, match=r"cpen\.mlp\.0\.bias is of complex numbers"):
        load_network(tmp_path / "odd.safetensors")


@pytest.mark.parametrize(
    "change",
    [
        {"settings": {"unshuffle": 0}},
        {"settings": {"num_blocks": [1.5, 1, 1, 1]}},
        {"settings": {"dim": -8}},
        {"settings": {"num_blocks": [3000, 1, 1, 1]}},
        {"settings": {"cpen_blocks": 30_000}},
        {"settings": {"denoiser_blocks": 30_000}},
        {"settings": 3},
        {"stage": 3},
        {"part": "gan"},
        {"scores": [{"dataset": "Set5", "metric": "psnr", "value": "high"}]},
        {"training": 5},
        {"summary": None},
    ],
)
def test_a_card_with_values_that_cannot_be_is_refused_in_one_line(tmp_path, tiny_network, card, change):
    values = json.loads(card.to_metadata()["diffir"])
    if isinstance(change.get("settings"), dict):
        change = {"settings": values["settings"] | change["settings"]}
    save_file(tiny_network.state_dict(), tmp_path / "odd.safetensors", {"diffir": json.dumps(values | change)})

    with pytest.raises(WeightsError, match=r"has a card that diffir .* cannot read") as caught:
        load_network(tmp_path / "odd.safetensors")

    assert "\n" not in str(caught.value)


def write_header(path, entries: dict) -> None:
    text = json.dumps(entries).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(12))


@pytest.mark.parametrize(
    "damage",
    [
        {"shape": [4]},
        {"dtype": "F33"},
        {"dtype": 32},
        {"shape": [-3]},
        {"shape": "three"},
        {"data_offsets": [0, "12"]},
        {"data_offsets": [0, 12.0]},
        {"data_offsets": [0]},
    ],
)
@pytest.mark.parametrize("metadata", [None, {}, [1], {"diffir": 1}])
def test_a_header_that_does_not_add_up_is_refused_in_one_line(tmp_path, damage, metadata):
    entry = {"dtype": "F32", "shape": [3], "data_offsets": [0, 12]} | damage
    write_header(tmp_path / "odd.safetensors", {"__metadata__": metadata, "weight": entry})

    with pytest.raises(WeightsError, match=r"odd\.safetensors is (damaged|not a safetensors file)"):
        load_network(tmp_path / "odd.safetensors")


def test_metadata_of_null_are_no_metadata(tmp_path):
    write_header(
        tmp_path / "a.safetensors",
        {"__metadata__": None, "weight": {"dtype": "F32", "shape": [3], "data_offsets": [0, 12]}},
    )

    assert read_header(tmp_path / "a.safetensors").metadata == {}


@pytest.mark.parametrize(
    ("training", "patch"),
    [
        ({"stage2": {"gt_sizes": [64, 96]}, "train_set": {"gt_size": 48}}, 96),
        ({"stage3": {"gt_sizes": [128]}, "train_set": {"gt_size": 48}}, 128),
        ({"stage2": {"gt_sizes": []}, "train_set": {"gt_size": 48}}, 48),
        ({"stages": ["prior", "diffusion"], "diffusion": {"gt_sizes": [64, 80]}, "prior": {"gt_sizes": [32]}}, 80),
        ({"seed": 0}, None),
        ("ten steps", None),
        ({"stage2": "ten steps", "train_set": {"gt_size": "large"}}, None),
    ],
)
def test_a_card_tells_the_patches_that_training_ended_with(card, training, patch):
    assert replace(card, training=training).gt_patch == patch


def test_a_card_of_version_0_1_names_its_part_by_a_stage_number(tmp_path, tiny_network, card):
    values = json.loads(card.to_metadata()["diffir"])
    del values["part"], values["system"]
    save_file(tiny_network.state_dict(), tmp_path / "old.safetensors", {"diffir": json.dumps(values | {"stage": 2})})

    assert load_network(tmp_path / "old.safetensors", restores=True)[1] == card


def test_a_card_of_an_unknown_system_is_named_as_such(tmp_path, tiny_network, card):
    save_file(tiny_network.state_dict(), tmp_path / "new.safetensors", replace(card, system="difir").to_metadata())

    with pytest.raises(WeightsError, match=r"of the system 'difir'; did you mean 'diffir'\?"):
        load_network(tmp_path / "new.safetensors")
