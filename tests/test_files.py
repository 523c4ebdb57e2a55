"""Files are written whole or not at all, and no other file is left behind or replaced."""

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from diffir.files import write_atomically


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")

    with pytest.raises(RuntimeError), write_atomically(tmp_path / "a") as file:
        file.write(b"half")
        raise RuntimeError

    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == b"old"


def test_the_old_file_keeps_its_name_until_all_is_written(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")

    with write_atomically(tmp_path / "a") as file:
        file.write(b"new")
        file.flush()
        assert (tmp_path / "a").read_bytes() == b"old"

    assert (tmp_path / "a").read_bytes() == b"new"


def test_folders_are_made_and_others_may_read_the_file_as_any_new_one(tmp_path: Path) -> None:
    (tmp_path / "any").touch()

    with write_atomically(tmp_path / "x" / ("n" * 250)) as file:
        file.write(b"new")

    assert (tmp_path / "x" / ("n" * 250)).stat().st_mode == (tmp_path / "any").stat().st_mode


def test_a_link_is_followed_and_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "target")

    with write_atomically(tmp_path / "link") as file:
        file.write(b"new")

    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_bytes() == b"new"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)

    with write_atomically(tmp_path / "pipe") as file:
        file.write(b"new")

    assert os.read(reader, 9) == b"new"
    assert (tmp_path / "pipe").is_fifo()
    os.close(reader)


WRITER = """
import sys, time
from diffir.files import write_atomically
with write_atomically(sys.argv[1]) as file:
    file.write(b"half")
    file.flush()
    print("written", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[subprocess.Popen]:
    """Start a process that stays in the middle of writing a file."""
    command = [sys.executable, "-c", WRITER, str(tmp_path / "a")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


def temporaries(folder: Path) -> list[Path]:
    return sorted(folder.glob(".diffir-*"))


@pytest.fixture
def new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process search every folder, as a new one would."""
    monkeypatch.setattr("diffir.files._swept", set())


needs_locks = pytest.mark.skipif(sys.platform == "win32", reason="this system has no flock")


@needs_locks
@pytest.mark.usefixtures("new_process")
def test_what_a_kill_leaves_is_removed_by_the_next_process_that_writes_there(tmp_path: Path, writer) -> None:
    writer.kill()
    writer.wait()
    assert len(temporaries(tmp_path)) == 1

    with write_atomically(tmp_path / "b") as file:
        file.write(b"new")

    assert [path.name for path in tmp_path.iterdir()] == ["b"]


@needs_locks
@pytest.mark.usefixtures("new_process")
def test_a_file_that_a_running_process_writes_stays(tmp_path: Path, writer) -> None:
    with write_atomically(tmp_path / "b") as file:
        file.write(b"new")

    assert [path.read_bytes() for path in temporaries(tmp_path)] == [b"half"]


@needs_locks
@pytest.mark.usefixtures("new_process")
def test_a_file_of_another_kind_stays(tmp_path: Path) -> None:
    others = [
        ".diffir-0123456789ab.tmp.txt",
        ".diffir-notes.tmp",
        ".diffir-0123456789AB.tmp",
        "diffir-0123456789ab.tmp",
    ]
    for name in others:
        (tmp_path / name).touch()
    (tmp_path / ".diffir-0123456789aa.tmp").mkdir()
    (tmp_path / ".diffir-0123456789ac.tmp").symlink_to(tmp_path / others[0])

    with write_atomically(tmp_path / "b") as file:
        file.write(b"new")

    assert len(list(tmp_path.iterdir())) == len(others) + 3


@needs_locks
@pytest.mark.usefixtures("new_process")
def test_a_file_of_another_user_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".diffir-0123456789ab.tmp").touch()
    user = os.geteuid()
    monkeypatch.setattr("os.geteuid", lambda: user + 1)

    with write_atomically(tmp_path / "b") as file:
        file.write(b"new")

    assert len(temporaries(tmp_path)) == 1


@needs_locks
def test_threads_that_search_while_others_write_lose_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Never(set):
        def __contains__(self, _: object) -> bool:
            return False

    monkeypatch.setattr("diffir.files._swept", Never())  # every write searches the folder

    def write(number: int) -> None:
        with write_atomically(tmp_path / str(number)) as file:
            file.write(b"%d" % number)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(200)))

    assert sorted(path.read_bytes() for path in tmp_path.iterdir()) == sorted(b"%d" % n for n in range(200))


def test_a_disk_that_refuses_names_the_file(tmp_path):
    with pytest.raises(OSError, match="No space") as refused, write_atomically(tmp_path / "state.bin"):
        raise OSError(errno.ENOSPC, "No space left on device")

    assert refused.value.filename == str(tmp_path / "state.bin")
