"""Ctrl-C and SIGTERM, sent to a real process."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
import pytest

from diffir.image_io import read_image, write_image
from diffir.systems.diffir import DiffIR
from diffir.systems.diffir.tasks import get_task
from tests.diffir_objects import card_of, save_weights

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")


def deliver_signals() -> None:
    """Restore the default handler in the child, since a background run of these tests may ignore SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def restoring(folder: Path, *, photos: int, side: int, tile: int = 0) -> Iterator[subprocess.Popen]:
    """Start a process that restores photos one by one into ``out``."""
    settings = get_task("denoise_tiny").arch
    card = card_of("toy", settings, task="denoise_tiny")
    save_weights(folder / "toy.safetensors", DiffIR(settings).state_dict(), card)
    for number in range(photos):
        pixels = np.random.default_rng(number).integers(0, 256, (side, side, 3), dtype=np.uint8)
        write_image(folder / "photos" / f"{number:02}.png", pixels)
    flags = ["-o", "out", "--model_path", "toy.safetensors", "--device", "cpu", "--json", "--batch_size", "1"]
    flags += ["--tile", str(tile)]
    with subprocess.Popen(
        [sys.executable, "-m", "diffir", "restore", "photos", *flags],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=deliver_signals,
    ) as process:
        yield process
        process.kill()


def wait_for(stream: IO[str] | None, words: str) -> None:
    assert stream is not None
    for line in stream:
        if words in line:
            return
    pytest.fail(f"the process ended without {words}")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_finishes_the_current_file_and_prints_the_summary(
    tmp_path: Path, number: signal.Signals
) -> None:
    with restoring(tmp_path, photos=40, side=200) as process:
        wait_for(process.stdout, '"done"')
        process.send_signal(number)
        output, errors = process.communicate(timeout=60)

    summary = json.loads(output.splitlines()[-1])
    written = list((tmp_path / "out").iterdir())
    assert process.returncode == 130
    assert summary["event"] == "summary"
    assert summary["interrupted"]
    assert summary["restored"] == len(written) == 40 - summary["not_begun"] < 40
    assert all(read_image(path).pixels.shape == (200, 200, 3) for path in written)
    assert errors.strip() == "diffir: stopping after the current file; press Ctrl-C again to stop at once"


def test_the_second_signal_ends_at_once_and_leaves_no_half_file(tmp_path: Path) -> None:
    """The first photo may be complete by the time the second signal arrives; a part of a file may not remain."""
    with restoring(tmp_path, photos=8, side=1600, tile=128) as process:
        wait_for(process.stdout, '"progress"')
        process.send_signal(signal.SIGINT)
        wait_for(process.stderr, "stopping")
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)

    assert process.returncode == 130
    assert '"summary"' not in output
    assert errors.strip() == "diffir: stopped"
    left = [path for path in (tmp_path / "out").glob("*") if path.suffix != ".lock"]  # claims are empty hidden files
    assert len(left) < 8
    assert all(path.suffix == ".png" and read_image(path).pixels.shape == (1600, 1600, 3) for path in left)
