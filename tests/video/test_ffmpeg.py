"""The programs ffmpeg and ffprobe if they are missing, old, verbose or failing; shell scripts replace them."""

import os
from pathlib import Path

import pytest

from diffir.errors import DiffIRError
from diffir.video.ffmpeg import ffmpeg_pipe, require_programs

pytestmark = pytest.mark.skipif(os.name == "nt", reason="shell scripts replace the programs")


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is the whole PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def put(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\nPATH=/bin:/usr/bin\n{script}\n")
    (folder / name).chmod(0o755)


@pytest.mark.parametrize(("there", "missing"), [([], "ffmpeg, ffprobe"), (["ffmpeg"], "ffprobe")])
def test_a_missing_program_is_named_with_the_way_to_get_it(programs: Path, there: list[str], missing: str) -> None:
    for name in there:
        put(programs, name, "echo ffmpeg version 6.0")

    with pytest.raises(DiffIRError, match=rf"not found: {missing}\. Get: apt-get install ffmpeg"):
        require_programs()


@pytest.mark.parametrize("version", ["4.4.2-0ubuntu0.22.04.1", "n5.0", "3.4"])
def test_an_old_ffmpeg_is_refused(programs: Path, version: str) -> None:
    for name in ("ffmpeg", "ffprobe"):
        put(programs, name, f"echo ffmpeg version {version} Copyright")

    with pytest.raises(DiffIRError, match=r"needs ffmpeg 5\.1 or newer"):
        require_programs()


@pytest.mark.parametrize("version", ["5.1.9-0+deb12u1", "n7.0.2", "10.0", "N-118193-g5f38c82536", "git-2026-01-01"])
def test_a_new_ffmpeg_is_taken_whatever_it_calls_itself(programs: Path, version: str) -> None:
    for name in ("ffmpeg", "ffprobe"):
        put(programs, name, f"echo ffmpeg version {version} Copyright")

    assert require_programs() is None  # it would have raised


def test_the_last_line_that_names_a_cause_is_reported(programs: Path) -> None:
    put(programs, "ffmpeg", "echo '[mp4 @ 0x55d] [out @ 0x1] no such codec' >&2; echo Conversion failed! >&2; exit 1")

    with pytest.raises(DiffIRError, match=r"^a\.mp4: ffmpeg says: no such codec$"), ffmpeg_pipe([], "stdout", "a.mp4"):
        pass


def test_a_verbose_ffmpeg_does_not_hang(programs: Path) -> None:
    put(programs, "ffmpeg", "head -c 1000000 /dev/zero >&2; echo pixels")

    with ffmpeg_pipe([], "stdout", "a.mp4") as pipe:
        assert pipe.read() == b"pixels\n"


def test_an_ffmpeg_that_ends_while_it_is_written_to_is_reported(programs: Path) -> None:
    put(programs, "ffmpeg", "echo the disk is full >&2; exit 1")

    with pytest.raises(DiffIRError, match="the disk is full"), ffmpeg_pipe([], "stdin", "a.mp4") as pipe:
        for _ in range(100):
            pipe.write(bytes(2**16))


def test_an_error_in_the_block_ends_ffmpeg(programs: Path) -> None:
    put(programs, "ffmpeg", f"echo $$ > {programs}/pid; echo ready; exec sleep 60")

    with pytest.raises(KeyboardInterrupt), ffmpeg_pipe([], "stdout", "a.mp4") as pipe:
        pipe.readline()
        raise KeyboardInterrupt

    with pytest.raises(ProcessLookupError):
        os.kill(int((programs / "pid").read_text()), 0)
