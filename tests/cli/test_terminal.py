"""What reaches a terminal, and what happens without one; most tests run real processes of commands without torch."""

import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from diffir.cli.main import main
from diffir.cli.terminal import open_streams, printable
from diffir.image_io import write_image
from diffir.systems.diffir import DiffIR
from diffir.systems.diffir.tasks import get_task
from tests.diffir_objects import card_of, save_weights

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has other streams and names")
CLEAR = "\x1b[2J"
NAMES = (f"a{CLEAR}.png", "b\nFAKE restored.png")


def run(folder: Path, *words: str, closing: str = "") -> subprocess.CompletedProcess:
    """Run a command in a process of its own; ``closing`` is what a shell appends to close streams."""
    call = [sys.executable, "-m", "diffir", *words]
    return subprocess.run(
        ["sh", "-c", f'exec "$@" {closing}', "sh", *call], cwd=folder, capture_output=True, text=True, check=False
    )


def photo(side: int = 40) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Grüße 你好 \N{FAMILY}", "Grüße 你好 \N{FAMILY}"),
        (f"{CLEAR}\r\x07\x7f", r"\x1b[2J\r\x07\x7f"),
        ("two\nlines\u2028three\ttabs", r"two\nlines\u2028three\ttabs"),
        ("\x9b31m", r"\x9b31m"),  # the escape sequence in one character
        ("\u202egnp.exe\u2069", r"\u202egnp.exe\u2069"),  # reads backwards
        (os.fsdecode(b"\xe9.png"), r"\xe9.png"),
    ],
)
def test_what_a_terminal_would_obey_is_shown_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown


@pytest.mark.parametrize("closing", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_a_command_works_without_a_terminal(tmp_path: Path, closing: str) -> None:
    done = run(tmp_path, "models", closing=closing)

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("closing", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_no_file_takes_the_place_of_a_closed_stream(tmp_path: Path, closing: str) -> None:
    code = (
        "import os, diffir.cli.terminal as t; t.open_streams(); fd = os.open('file', os.O_CREAT | os.O_WRONLY);"
        "os.write(2, b'a warning of a C library'); os.write(fd, str(fd).encode())"
    )

    subprocess.run(["sh", "-c", f'exec "$@" {closing}', "sh", sys.executable, "-c", code], cwd=tmp_path, check=True)

    assert int((tmp_path / "file").read_text()) > 2


@pytest.mark.slow
@pytest.mark.parametrize("closing", [">&-", "2>&-", ">&- 2>&-"])
@pytest.mark.parametrize(
    "call",
    [
        ["restore", "photos", "-o", "out", "--device", "cpu"],
        ["degrade", "photos", "-o", "out", "--recipe", "camera_noise"],
        ["score", "photos", "photos", "--json", "out/scores.json"],
        ["check-data", "photos", "--json", "out/findings.json"],
        ["eval", "-n", "input", "-d", "photos", "--sigma", "25", "--json", "out/eval.json"],
    ],
    ids=lambda call: call[0],
)
def test_every_command_with_a_bar_works_without_a_terminal(tmp_path: Path, call: list[str], closing: str) -> None:
    write_image(tmp_path / "photos/a.png", photo(200))

    done = run(tmp_path, *call, closing=closing)

    assert (done.returncode, done.stderr) == (0, "")
    assert list((tmp_path / "out").iterdir())


@pytest.mark.parametrize("words", [["models"], ["--help"], ["restore", "--help"]])
def test_a_reader_that_goes_away_is_no_error(words: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)

    done = subprocess.run([sys.executable, "-m", "diffir", *words], stdout=writer, stderr=subprocess.PIPE, check=False)

    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_output_that_cannot_be_written_is_an_error_in_one_line() -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "diffir", "models"], stdout=full, stderr=subprocess.PIPE, check=False
        )

    assert done.returncode == 1
    assert done.stderr == b"diffir: the output cannot be written: No space left on device\n"


def odd_photos(folder: Path) -> Path:
    """Make a folder with photos whose names hold control characters, and one of them damaged."""
    for name in NAMES:
        write_image(folder / name, photo())
    (folder / f"bad{CLEAR}\n.png").write_bytes(b"")
    return folder


@pytest.mark.parametrize(
    "words",
    [
        ["restore", "PHOTOS", "-o", "OUT", "--model_path", "WEIGHTS", "--device", "cpu"],
        ["degrade", "PHOTOS", "--recipe", "camera_noise", "-o", "OUT"],
        ["check-data", "PHOTOS"],
        ["score", "PHOTOS", "PHOTOS"],
        ["restore", f"no{CLEAR}\nsuch.png"],
        ["convert", f"no{CLEAR}\nsuch.pth", "OUT.safetensors"],
        ["check-data", f"no{CLEAR}\nsuch"],
        ["train", "-opt", f"no{CLEAR}\nsuch.yml"],
        ["models", f"no{CLEAR}\nsuch"],
    ],
    ids=" ".join,
)
def test_names_of_files_do_not_command_the_terminal(
    tmp_path: Path, words: list[str], capsys: pytest.CaptureFixture
) -> None:
    settings = get_task("denoise_tiny").arch
    save_weights(tmp_path / "toy.safetensors", DiffIR(settings).state_dict(), card_of("toy", settings))
    places = {
        "PHOTOS": odd_photos(tmp_path / "photos"),
        "OUT": tmp_path / "out",
        "WEIGHTS": tmp_path / "toy.safetensors",
    }

    code = main([str(places.get(word, word)) for word in words])

    printed = capsys.readouterr()
    shown = printed.out + printed.err
    assert code in (1, 2)  # one photo is damaged, or nothing was found
    assert r"\x1b[2J" in shown
    assert not set(shown) & set("\x1b\r")
    assert not [line for line in shown.splitlines() if line.startswith(("FAKE", "such", ".png"))]


@pytest.mark.parametrize(
    ("words", "results"),
    [
        (["eval", "-n", "input", "-d", "PHOTOS", "--sigma", "25", "--json", "a.json", "--html", "a.html"], 2),
        (["eval", "-n", "input", "-d", "PHOTOS", "--mask", "thin", "--metrics", "psnr", "--json", "a.json"], 1),
        (["score", "PHOTOS", "PHOTOS", "--json", "a.json"], 1),
        (["check-data", "PHOTOS", "--json", "a.json"], 1),
        (["convert", "WEIGHTS", os.fsdecode(b"\xe9.safetensors")], 1),
    ],
    ids=["eval", "eval with masks", "score", "check-data", "convert"],
)
def test_names_that_are_no_utf8_are_names_like_any_other(
    tmp_path: Path, words: list[str], results: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = get_task("denoise_tiny").arch
    save_weights(tmp_path / "toy.safetensors", DiffIR(settings).state_dict(), card_of("toy", settings))
    for seed in range(2):
        write_image(tmp_path / "photos" / os.fsdecode(b"\xe9%d.png" % seed), photo(200 + seed))
    before = set(tmp_path.iterdir())

    code = main([{"PHOTOS": "photos", "WEIGHTS": "toy.safetensors"}.get(word, word) for word in words])

    assert code == 0
    assert len(set(tmp_path.iterdir()) - before) == results


@pytest.mark.parametrize("flag", [f"--no{CLEAR}", "--no\nsuch"])
def test_a_wrong_flag_does_not_command_the_terminal(flag: str, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit):
        main(["restore", "photo.png", flag])

    shown = capsys.readouterr().err
    assert CLEAR not in shown
    assert shown.count("\n") == 1


def test_an_arrow_on_an_ascii_terminal_does_not_end_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))

    open_streams()
    print("a → b", flush=True)

    assert written.getvalue() == b"a ? b\n"
