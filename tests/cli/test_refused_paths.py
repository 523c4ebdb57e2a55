"""``diffir restore`` with paths that the system refuses, and with an output stream that is closed."""

import os
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import pytest
import torch

from diffir.cli.main import main
from diffir.image_io import write_image
from diffir.systems.diffir import DiffIR
from diffir.systems.diffir.tasks import get_task
from tests.diffir_objects import card_of, save_weights

LONG = "x" * 300


@dataclass(frozen=True)
class Place:
    """A folder with four photos and a toy network."""

    folder: Path

    @property
    def call(self) -> list[str]:
        photos, weights = self.folder / "photos", self.folder / "toy.safetensors"
        return ["restore", str(photos), "-o", str(self.folder / "out"), "--model_path", str(weights), "--device", "cpu"]

    def written(self) -> list[str]:
        return sorted(path.name for path in (self.folder / "out").iterdir())


@pytest.fixture
def place(tmp_path: Path) -> Place:
    torch.manual_seed(0)
    settings = get_task("denoise_tiny").arch
    save_weights(tmp_path / "toy.safetensors", DiffIR(settings).state_dict(), card_of("toy", settings))
    for number in range(4):
        pixels = np.random.default_rng(number).integers(0, 256, (16, 24, 3), dtype=np.uint8)
        write_image(tmp_path / "photos" / f"{number}.png", pixels)
    return Place(tmp_path)


def test_an_input_that_is_refused_fails_and_the_rest_goes_on(place: Place, capsys: pytest.CaptureFixture) -> None:
    code = main([*place.call, LONG])

    assert code == 1
    assert capsys.readouterr().err == f"diffir: {LONG}: cannot be read (File name too long)\n"
    assert place.written() == ["0.png", "1.png", "2.png", "3.png"]


@pytest.mark.parametrize("flag", ["-o", "--mask", "--prior", "--save_prior", "--model_path", "-n"])
def test_a_flag_with_a_name_the_system_refuses_is_one_line(
    place: Place, flag: str, capsys: pytest.CaptureFixture
) -> None:
    call = place.call[:4] if flag in ("-n", "--model_path") else place.call

    code = main([*call, flag, LONG])

    error = capsys.readouterr().err
    assert code == 2
    assert LONG in error
    assert error.count("\n") == 1


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may do everything")
@pytest.mark.parametrize("flag", ["-o", "--mask", "--prior", "--save_prior", "--model_path"])
def test_a_flag_that_names_a_closed_folder_is_one_line(place: Place, flag: str, capsys: pytest.CaptureFixture) -> None:
    (place.folder / "closed").mkdir(mode=0)

    code = main([*place.call, flag, str(place.folder / "closed" / "a.safetensors")])

    error = capsys.readouterr().err
    assert code == 2
    assert f"{place.folder / 'closed'}" in error
    assert "Permission denied" in error
    assert error.count("\n") == 1


def test_an_unexpected_system_error_is_one_line(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def refuse(*arguments: object, **more: object) -> None:
        raise OSError(5, "Input/output error", "disk")

    monkeypatch.setattr("diffir.batch.jobs.plan_jobs", refuse)

    assert main(place.call) == 1
    assert capsys.readouterr().err == "diffir: disk: Input/output error\n"


def restore_into(place: Place, stream: IO[str], *flags: str) -> int:
    """Run the command with this stdout and return its exit code; ``test_terminal`` has processes with such streams."""
    with redirect_stdout(stream):
        return main([*place.call, "--batch_size", "1", *flags])


@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_restoring_goes_on_when_the_report_cannot_be_written(place: Place, flags: list[str]) -> None:
    (place.folder / "photos" / "4.png").write_bytes(b"")
    reader, writer = os.pipe()
    os.close(reader)

    with os.fdopen(writer, "w") as pipe:
        code = restore_into(place, pipe, *flags)

    assert code == 1  # as for any run with a bad file
    assert place.written() == ["0.png", "1.png", "2.png", "3.png"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_under_the_report_does_not_end_restoring(place: Place) -> None:
    with Path("/dev/full").open("w") as full:
        assert restore_into(place, full) == 0

    assert len(place.written()) == 4


def test_a_damaged_model_that_a_flag_names_is_wrong_usage(place: Place, capsys: pytest.CaptureFixture) -> None:
    assert main([*place.call, "--model_path", str(place.folder / "photos" / "0.png")]) == 2
    assert "is not a checkpoint" in capsys.readouterr().err


@pytest.mark.parametrize("flag", ["-o", "--mask", "--prior", "--save_prior", "--model_path"])
def test_empty_names_are_refused(place: Place, flag: str, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([*place.call, flag, ""])

    assert stopped.value.code == 2
    assert "must not be empty" in capsys.readouterr().err
