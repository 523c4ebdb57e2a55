"""Fingerprints of weights: what changes them and what does not."""

import hashlib
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from diffir.systems.diffir import DiffIR
from diffir.systems.diffir.tasks import get_task
from diffir.weights.card import Score
from diffir.weights.fingerprint import CHUNK, fingerprint
from diffir.weights.header import DESCRIPTION, read_header
from tests.diffir_objects import card_of, save_weights

TINY = get_task("denoise_tiny").arch
CARD = card_of("one", TINY)


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return DiffIR(TINY).state_dict()


def test_words_and_scores_are_given_later_and_change_nothing(tmp_path: Path, state) -> None:
    later = replace(
        CARD, name="two", scores=(Score("set5", "psnr", 30.0),), notes="fails on snow", summary="better told"
    )
    paths = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    for path, card in zip(paths, (CARD, later), strict=True):
        save_weights(path, state, card)

    assert paths[0].read_bytes() != paths[1].read_bytes()
    assert fingerprint(paths[0]) == fingerprint(paths[1])


def test_the_tensor_that_repeats_the_card_changes_nothing_wherever_it_stands(tmp_path: Path, state) -> None:
    save_weights(tmp_path / "with.safetensors", state, CARD)
    tensors, metadata = load_file(tmp_path / "with.safetensors"), read_header(tmp_path / "with.safetensors").metadata
    description = tensors.pop(DESCRIPTION)
    save_file(tensors, tmp_path / "without.safetensors", metadata)
    save_file(tensors | {DESCRIPTION: description.double()}, tmp_path / "first.safetensors", metadata)

    found = {fingerprint(tmp_path / f"{name}.safetensors") for name in ("with", "without", "first")}

    assert len(found) == 1


def test_other_tensors_another_network_and_other_patches_are_other_weights(tmp_path: Path, state) -> None:
    moved = {name: tensor + 1 for name, tensor in state.items()}
    shorter = replace(CARD, settings={**CARD.settings, "linear_end": 0.9})  # builds the same tensors
    trained = replace(CARD, training={"train_set": {"gt_size": 96}})
    files = [(state, CARD), (moved, CARD), (state, shorter), (state, trained)]
    paths = [tmp_path / f"{number}.safetensors" for number in range(len(files))]
    for path, (tensors, card) in zip(paths, files, strict=True):
        save_weights(path, tensors, card)

    assert len({fingerprint(path) for path in paths}) == len(files)


def test_files_of_others_are_taken_whole(tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    path.write_bytes(b"of somebody else")

    assert fingerprint(path) == hashlib.sha256(b"of somebody else").hexdigest()


def test_a_large_file_is_hashed_without_holding_it_in_memory(tmp_path: Path) -> None:
    (tmp_path / "a.ckpt").write_bytes(bytes(8 * CHUNK))

    tracemalloc.start()
    try:
        fingerprint(tmp_path / "a.ckpt")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 4 * CHUNK
