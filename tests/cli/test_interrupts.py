"""Ctrl-C and SIGTERM, sent to a real process.

What the process has to do takes minutes, so that a signal finds it at work, however late it is sent.
"""

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
def restoring(folder: Path, *more_flags: str, photos: int, side: int) -> Iterator[subprocess.Popen]:
    """Start a process that restores equal photos one by one into ``out``."""
    settings = get_task("denoise_tiny").arch
    card = card_of("toy", settings, task="denoise_tiny")
    save_weights(folder / "toy.safetensors", DiffIR(settings).state_dict(), card)
    write_image(folder / "photos/0.png", np.zeros((side, side, 3), np.uint8))
    for number in range(1, photos):
        (folder / f"photos/{number}.png").hardlink_to(folder / "photos/0.png")
    flags = ["-o", "out", "--model_path", "toy.safetensors", "--device", "cpu", "--json", "--batch_size", "1"]
    with subprocess.Popen(
        [sys.executable, "-m", "diffir", "restore", "photos", *flags, *more_flags],
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


def test_the_first_signal_finishes_the_current_file_and_prints_the_summary(tmp_path: Path) -> None:
    with restoring(tmp_path, photos=2000, side=200) as process:
        wait_for(process.stdout, '"done"')
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)

    summary = json.loads(output.splitlines()[-1])
    written = list((tmp_path / "out").iterdir())
    assert process.returncode == 130
    assert summary["event"] == "summary"
    assert summary["interrupted"]
    assert summary["restored"] == len(written) == 2000 - summary["not_begun"] < 2000
    assert all(read_image(path).pixels.shape == (200, 200, 3) for path in written)
    assert errors.strip() == "diffir: stopping after the current file; press Ctrl-C again to stop at once"


@pytest.mark.slow
def test_the_second_signal_ends_at_once_and_leaves_no_half_file(tmp_path: Path) -> None:
    with restoring(tmp_path, "--tile", "32", "--tile_overlap", "8", photos=1, side=2400) as process:
        wait_for(process.stdout, '"progress"')
        process.send_signal(signal.SIGTERM)
        wait_for(process.stderr, "stopping")
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)

    assert process.returncode == 130
    assert '"summary"' not in output
    assert errors.strip() == "diffir: stopped"
    assert not [path for path in (tmp_path / "out").iterdir() if path.suffix != ".lock"]  # claims are empty files
