"""``-`` is standard input or standard output: photos go through pipes, and messages go to standard error."""

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from diffir.cli.main import main
from diffir.image_io import read_image, write_image
from diffir.systems.diffir import DiffIR
from diffir.systems.diffir.tasks import get_task
from tests.diffir_objects import card_of, save_weights


@pytest.fixture
def flags(tmp_path: Path) -> list[str]:
    torch.manual_seed(0)
    settings = get_task("denoise_tiny").arch
    save_weights(tmp_path / "toy.safetensors", DiffIR(settings).state_dict(), card_of("toy", settings))
    return ["--model_path", str(tmp_path / "toy.safetensors"), "--device", "cpu", "--fp32", "--engine", "torch"]


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    write_image(tmp_path / "photo.png", np.random.default_rng(0).integers(0, 256, (20, 33, 3), dtype=np.uint8))
    return tmp_path / "photo.png"


@pytest.fixture
def typed(monkeypatch):
    """Give bytes on standard input."""

    def give(content: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))

    return give


@pytest.mark.parametrize("output", [["-o", "-"], []])
def test_a_photo_goes_through(photo, flags, typed, tmp_path, capsysbinary, monkeypatch, output) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["restore", str(photo), "-o", str(tmp_path / "expected.png"), *flags]) == 0
    capsysbinary.readouterr()
    typed(photo.read_bytes())

    code = main(["restore", "-", *output, *flags])

    printed = capsysbinary.readouterr()
    assert code == 0
    assert printed.out == (tmp_path / "expected.png").read_bytes()
    assert b"standard input -> standard output  33 x 20" in printed.err
    assert not (tmp_path / "-").exists()
    assert not (tmp_path / "restored").exists()


def test_a_file_to_standard_output_in_another_format(photo, flags, capsysbinary) -> None:
    assert main(["restore", str(photo), "-o", "-", "-f", "jpg", "-q", *flags]) == 0

    assert Image.open(io.BytesIO(capsysbinary.readouterr().out)).format == "JPEG"


def test_standard_input_to_a_file(photo, flags, typed, tmp_path, capsys) -> None:
    typed(photo.read_bytes())

    assert main(["restore", "-", "-o", str(tmp_path / "out.png"), *flags]) == 0

    assert read_image(tmp_path / "out.png").pixels.shape == (20, 33, 3)
    assert f"standard input -> {tmp_path / 'out.png'}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "diffir: standard input: it is empty"),
        (b"not an image", "diffir: standard input: not an image in a format that can be read"),
        (b"\x89PNG\r\n\x1a\n rest", "diffir: standard input: damaged"),
    ],
)
def test_what_is_no_photo_is_one_line_and_nothing_on_standard_output(content, message, flags, typed, capsys) -> None:
    typed(content)

    code = main(["restore", "-", "-q", *flags])

    printed = capsys.readouterr()
    assert (code, printed.out) == (1, "")
    assert printed.err.startswith(message)
    assert printed.err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-", "a.png"], "name no other input beside it"),
        (["-", "-o", "-", "--json"], "--json and -o - would both write"),
        (["{folder}", "{photo}", "-o", "-"], "writes one photo to standard output, and the input is 2 files"),
    ],
)
def test_calls_that_cannot_be_meant_are_refused(words, message, photo, flags, typed, tmp_path, capsys) -> None:
    write_image(tmp_path / "more/b.png", np.zeros((8, 8, 3), np.uint8))
    typed(photo.read_bytes())

    code = main(["restore", *(word.format(folder=tmp_path / "more", photo=photo) for word in words), *flags])

    assert code == 2
    assert message in capsys.readouterr().err


@pytest.mark.slow
def test_pipes_of_a_shell(photo, flags) -> None:
    command = [sys.executable, "-m", "diffir", "restore", "-", "-q", *flags]
    with photo.open("rb") as file:
        ran = subprocess.run(command, stdin=file, capture_output=True, check=True)

    assert Image.open(io.BytesIO(ran.stdout)).size == (33, 20)
