"""Networks of diffir through spandrel alone, as ComfyUI loads them: every shipped one gives our result."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from diffir.api import load
from diffir.systems import SYSTEMS
from diffir.weights.catalogue import PRETRAINED, catalogue
from diffir.weights.header import DESCRIPTION
from tests.foreign_networks import compact, needs_spandrel

pytestmark = needs_spandrel
SHIPPED = [name for name, entry in catalogue(SYSTEMS).items() if entry.shipped]
LQ = torch.from_numpy(np.random.default_rng(0).random((1, 3, 45, 50), np.float32))
MASK = torch.zeros(1, 1, 45, 50).index_fill_(2, torch.arange(10, 20), 1.0)


@pytest.fixture
def spandrel():
    plugin = pytest.importorskip("diffir.spandrel")
    plugin.install()
    return plugin.spandrel


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_network_gives_our_result(spandrel, name: str) -> None:
    described = spandrel.ModelLoader("cpu").load_from_file(PRETRAINED / f"{name}.safetensors")
    restorer = load(name, device="cpu", precision="fp32")
    given = (LQ, MASK) if restorer.has_mask else (LQ,)

    restored = described(*given)

    assert (described.scale, described.input_channels) == (restorer.scale, 3)
    assert torch.allclose(restored, restorer.restore_tensor(*given).clamp(0, 1), atol=1e-6)


def test_facts_are_those_of_a_network_that_cuts_tiles_itself(spandrel) -> None:
    described = spandrel.ModelLoader("cpu").load_from_file(PRETRAINED / "photo.safetensors")

    assert described.tiling == spandrel.ModelTiling.INTERNAL
    assert (described.purpose, described.tags) == ("Restoration", ["diffir", "photo_small"])
    with pytest.raises(spandrel.UnsupportedDtypeError):
        described.half()


def test_installing_twice_is_installing_once_and_others_are_still_recognised(spandrel, tmp_path: Path) -> None:
    from diffir.spandrel import install

    install()
    save_file(compact(), tmp_path / "other.safetensors")

    assert spandrel.ModelLoader().load_from_file(tmp_path / "other.safetensors").architecture.id == "Compact"


def test_weights_that_another_program_saved_without_metadata_still_load_in_diffir(tmp_path: Path) -> None:
    tensors = load_file(PRETRAINED / "photo.safetensors")
    assert DESCRIPTION in tensors
    save_file(tensors, tmp_path / "again.safetensors")

    restorer, ours = load(tmp_path / "again.safetensors", device="cpu"), load("photo", device="cpu")

    assert restorer.in_use() == ours.in_use()
    assert torch.equal(restorer.restore_tensor(LQ), ours.restore_tensor(LQ))
