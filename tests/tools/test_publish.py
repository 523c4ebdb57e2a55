"""What ``tools/publish.py`` puts into the package, and what it refuses."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from diffir.systems.diffir import DiffIR
from diffir.systems.diffir.tasks import get_task
from diffir.weights.published import read_published
from tests.diffir_objects import card_of, save_weights

SCRIPT = Path(__file__).resolve().parents[2] / "tools/publish.py"


@pytest.fixture
def publish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script, publishing into a folder of the test, and weights for it."""
    specification = importlib.util.spec_from_file_location("publish", SCRIPT)
    assert specification and specification.loader
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    monkeypatch.setattr(module, "PRETRAINED", tmp_path / "pretrained")
    settings = get_task("denoise_tiny").arch
    card = card_of("toy", settings, task="denoise_tiny", licence="CC0", data="four photos")
    save_weights(tmp_path / "weights.safetensors", DiffIR(settings).state_dict(), card)
    return module


def test_weights_are_published_under_their_new_name(tmp_path: Path, publish: ModuleType) -> None:
    publish.main([str(tmp_path / "weights.safetensors"), "denoise", "--notes", "a toy"])

    _, card = read_published(tmp_path / "pretrained/denoise.safetensors")
    assert (card.name, card.notes) == ("denoise", "a toy")


def test_weights_that_are_too_large_leave_the_published_ones_alone(
    tmp_path: Path, publish: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "pretrained/denoise.safetensors"
    target.parent.mkdir()
    target.write_bytes(b"old")
    assert publish.LARGEST == 16_000_000
    monkeypatch.setattr(publish, "LARGEST", 1000)

    with pytest.raises(SystemExit, match=r"denoise\.safetensors would be .* MB"):
        publish.main([str(tmp_path / "weights.safetensors"), "denoise"])

    assert target.read_bytes() == b"old"


def without_origin(path: Path) -> str:
    """Weights whose card states neither licence nor data; returns their path."""
    settings = get_task("denoise_tiny").arch
    save_weights(path, DiffIR(settings).state_dict(), card_of("next", settings, task="denoise_tiny"))
    return str(path)


def test_licence_and_data_of_the_replaced_weights_hold_where_the_new_ones_state_none(
    tmp_path: Path, publish: ModuleType
) -> None:
    publish.main([str(tmp_path / "weights.safetensors"), "denoise"])

    publish.main([without_origin(tmp_path / "next.safetensors"), "denoise"])

    _, card = read_published(tmp_path / "pretrained/denoise.safetensors")
    assert (card.licence, card.data) == ("CC0", "four photos")


def test_weights_without_a_licence_are_not_published(tmp_path: Path, publish: ModuleType) -> None:
    with pytest.raises(SystemExit, match="the card states no licence or training data: train with licence="):
        publish.main([without_origin(tmp_path / "next.safetensors"), "denoise"])

    assert not (tmp_path / "pretrained/denoise.safetensors").exists()
