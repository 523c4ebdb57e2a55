"""``diffir restore`` as users call it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import diffir
from diffir.archs import DiffIR
from diffir.cli.main import main
from diffir.image_io import read_image, write_image
from diffir.tasks import get_task
from diffir.weights.card import WeightsCard
from diffir.weights.published import save_published


def publish(path: Path, **changes: object) -> str:
    """A toy network as a published file."""
    torch.manual_seed(0)
    settings = replace(get_task("denoise_tiny").arch, **changes)
    card = WeightsCard(name="toy", settings=settings, task="denoise_tiny")
    save_published(path, DiffIR(settings).state_dict(), card)
    return str(path)


@pytest.fixture
def weights(tmp_path: Path) -> str:
    return publish(tmp_path / "toy.safetensors")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for seed, name in enumerate(("one.png", "two.jpg")):
        pixels = np.random.default_rng(seed).integers(0, 256, (20, 33, 3), dtype=np.uint8)
        write_image(tmp_path / "photos" / name, pixels)
    return tmp_path / "photos"


def test_a_photo_is_restored_and_one_line_says_so(
    tmp_path: Path, photos: Path, weights: str, capsys: pytest.CaptureFixture
) -> None:
    target = tmp_path / "out.png"

    code = main(["restore", str(photos / "one.png"), "-o", str(target), "--model_path", weights, "--device", "cpu"])

    head, result = capsys.readouterr().out.splitlines()
    assert code == 0
    assert head == "model toy, device cpu, precision fp32, tile by memory, seed 0"
    assert result.startswith(f"{photos / 'one.png'} -> {target}  33 x 20, ")
    assert result.endswith(" s, whole")


def test_the_command_and_the_library_give_the_same_pixels(tmp_path: Path, photos: Path, weights: str) -> None:
    common = ["--model-path", weights, "--device", "cpu", "--seed", "3", "--tile=16", "--tile-overlap=8"]

    assert main(["restore", "-i", str(photos / "one.png"), "-o", str(tmp_path / "out.png"), *common]) == 0

    restorer = diffir.load(weights, device="cpu", seed=3, tile=16, tile_overlap=8)
    expected = restorer.restore(read_image(photos / "one.png").pixels)
    assert np.array_equal(read_image(tmp_path / "out.png").pixels, expected)


def test_a_folder_goes_on_after_a_bad_file_and_the_exit_code_is_1(
    tmp_path: Path, photos: Path, weights: str, capsys: pytest.CaptureFixture
) -> None:
    (photos / "broken.png").write_bytes(b"")

    code = main(["restore", str(photos), "-o", str(tmp_path / "out"), "--model_path", weights, "--ext", "png"])

    captured = capsys.readouterr()
    assert code == 1
    assert captured.err == f"diffir: {photos / 'broken.png'}: the file is empty\n"
    assert captured.out.splitlines()[-1].startswith("2 restored, 1 failed, ")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["one.png", "two.png"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no input"),
        (["{photos}", "-o", "{photos}"], "would be overwritten"),
        (["{photos}", "--device", "cuda:99"], "device cuda:99 is not here"),
        (["{photos}", "-t", "-2"], "tile must be"),
        (["{photos}", "--seed", "99999999999999999999"], "seed must be from 0 to"),
        (["{photos}", "--tile_overlap", "-1"], "tile_overlap must be"),
        (["{photos}", "--mask", "{photos}/one.png"], "toy takes no --mask"),
    ],
)
def test_wrong_usage_ends_with_2_and_one_line(
    tmp_path: Path,
    photos: Path,
    weights: str,
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)

    code = main(["restore", *(text.format(photos=photos) for text in arguments), "--model_path", weights])

    error = capsys.readouterr().err
    assert code == 2
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "restored").exists()


def test_unknown_models_are_named(photos: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["restore", str(photos), "-n", "nonesuch"]) == 2
    assert "unknown model 'nonesuch'" in capsys.readouterr().err


def test_without_an_output_results_go_to_a_folder_named_restored(
    tmp_path: Path, photos: Path, weights: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert main(["restore", str(photos), "--model_path", weights, "--suffix", "_x", "--fp32"]) == 0
    assert sorted(path.name for path in (tmp_path / "restored").iterdir()) == ["one_x.png", "two_x.jpg"]


def test_inpainting_takes_its_holes_from_a_mask_file(tmp_path: Path, photos: Path) -> None:
    weights = publish(tmp_path / "holes.safetensors", in_channels=4, unshuffle=1, upsample=1, global_skip="none")
    mask = np.zeros((20, 33), np.uint8)
    mask[4:9, 5:20] = 255
    write_image(tmp_path / "mask.png", mask)
    call = ["restore", str(photos / "one.png"), "-o", str(tmp_path / "out.png"), "--model_path", weights]

    assert main(call) == 2
    assert main([*call, "--mask", str(tmp_path / "mask.png")]) == 0

    before, after = (read_image(path).pixels for path in (photos / "one.png", tmp_path / "out.png"))
    assert np.array_equal(before[mask == 0], after[mask == 0])
    assert (before[mask > 0] != after[mask > 0]).any()


def test_photos_may_stand_on_both_sides_of_flags(tmp_path: Path, photos: Path, weights: str) -> None:
    first, second = str(photos / "one.png"), str(photos / "two.jpg")

    assert main(["restore", first, "-o", str(tmp_path / "out"), "--model_path", weights, second]) == 0

    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["one.png", "two.jpg"]


def test_behind_two_dashes_every_word_is_a_file(tmp_path: Path, weights: str, capsys: pytest.CaptureFixture) -> None:
    code = main(["restore", "-o", str(tmp_path / "out"), "--model_path", weights, "--", "--my-photo.png"])

    assert code == 1
    assert "--my-photo.png: no such file" in capsys.readouterr().err
