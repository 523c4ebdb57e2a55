"""Files are written whole or not at all, and no other file is left behind or replaced."""

import errno
import os
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


def test_a_disk_that_refuses_names_the_file(tmp_path):
    with pytest.raises(OSError, match="No space") as refused, write_atomically(tmp_path / "state.bin"):
        raise OSError(errno.ENOSPC, "No space left on device")

    assert refused.value.filename == str(tmp_path / "state.bin")
