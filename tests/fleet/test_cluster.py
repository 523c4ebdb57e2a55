"""A whole fleet on a cluster of this machine: folders, an S3 server, a killed worker, a stopped run.

Slow: Ray takes most of the time, since it starts several processes for each run.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as parquet
import pytest

from diffir.cli.main import main

ray = pytest.importorskip("ray", reason="Ray is not installed: pip install '.[fleet]'")
pytestmark = pytest.mark.slow
SLOWER = ("--strength", "0.5", "--tta")
GOOD = ["a.png", "b.jpg", "deep/a.png", "deep/c.tif", "deep/er/d.webp"]


@pytest.fixture(autouse=True)
def undisturbed(monkeypatch) -> None:
    """Workers keep the priority of the test, which would otherwise wait for everything else on the machine."""
    monkeypatch.setenv("RAY_worker_niceness", "0")


def arguments(inputs: object, outputs: object, network: Path, *more: str) -> list[str]:
    return ["fleet", str(inputs), "-o", str(outputs), "--model_path", str(network), "--workers", "2", *more]


def ledger_of(folder: Path) -> dict[str, dict]:
    rows = parquet.read_table(folder / "_ledger").to_pylist()
    return {row["input"]: row for row in rows}


def test_a_fleet_writes_what_restore_writes(photos: Path, network: Path, tmp_path: Path, capsys) -> None:
    assert main(arguments(photos, tmp_path / "fleet", network)) == 1  # one file is no photo
    assert main(["restore", str(photos), "-r", "-o", str(tmp_path / "one"), "--model_path", str(network)]) == 1

    for name in GOOD:
        assert (tmp_path / "fleet" / name).read_bytes() == (tmp_path / "one" / name).read_bytes()
    assert "deep/broken.png: not an image" in capsys.readouterr().err
    assert len(ledger_of(tmp_path / "fleet")) == 6


def test_a_second_call_has_nothing_left_and_starts_no_cluster(
    photos: Path, network: Path, tmp_path: Path, capsys
) -> None:
    main(arguments(photos, tmp_path / "fleet", network))
    capsys.readouterr()

    assert main(arguments(photos, tmp_path / "fleet", network)) == 0
    assert capsys.readouterr().out.startswith("6 photos, 6 of them are in the ledger")
    assert not ray.is_initialized()


def test_a_bucket_is_restored_into_another(photos: Path, network: Path, tmp_path: Path, monkeypatch) -> None:
    pytest.importorskip("s3fs", reason="s3fs is not installed")
    server = pytest.importorskip("moto.server", reason="moto is not installed").ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    try:
        host, port = server.get_host_and_port()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        import s3fs

        s3 = s3fs.S3FileSystem()
        s3.mkdir("inbox")
        s3.mkdir("outbox")
        s3.put(f"{photos}/", "inbox/photos/", recursive=True)

        assert main(arguments("s3://inbox/photos", "s3://outbox/clean", network)) == 1

        s3.invalidate_cache()
        assert [path.removeprefix("outbox/clean/") for path in s3.find("outbox/clean") if "_ledger" not in path] == GOOD
        with s3.open(s3.glob("outbox/clean/_ledger/*.parquet")[0]) as file:
            assert parquet.read_table(file).column("input")[0].as_py().startswith("s3://inbox/photos/")
    finally:
        server.stop()


def test_a_killed_worker_loses_nothing(many: Path, network: Path, tmp_path: Path) -> None:
    run = started(many, tmp_path / "out", network)
    wait_for(lambda: list((tmp_path / "out").glob("*.png")), run)
    killed = workers_of(run)
    os.kill(killed[0], signal.SIGKILL)

    assert run.wait(300) == 0
    assert {path.name for path in (tmp_path / "out").glob("*.png")} == {path.name for path in many.iterdir()}
    assert all(row["error"] == "" for row in ledger_of(tmp_path / "out").values())


def test_a_stopped_run_goes_on_where_it_was(many: Path, network: Path, tmp_path: Path) -> None:
    run = started(many, tmp_path / "out", network)
    wait_for(lambda: list((tmp_path / "out/_ledger").glob("*.parquet")), run)
    run.send_signal(signal.SIGINT)
    said = run.communicate(timeout=120)[0]
    assert run.returncode == 130, said
    done = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.png")}
    known = {Path(row["output"]).name for row in ledger_of(tmp_path / "out").values()}

    assert main(arguments(many, tmp_path / "out", network, *SLOWER)) == 0

    assert known
    assert {path.name for path in (tmp_path / "out").glob("*.png")} == {path.name for path in many.iterdir()}
    assert all((tmp_path / "out" / name).stat().st_mtime_ns == done[name] for name in known)


@pytest.fixture
def many(photos: Path, tmp_path: Path) -> Path:
    """Four hundred photos, for which the toy network needs longer than the ledger keeps rows."""
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(400):
        (folder / f"{number:03}.png").write_bytes((photos / "a.png").read_bytes())
    return folder


def started(inputs: Path, outputs: Path, network: Path) -> subprocess.Popen:
    command = [sys.executable, "-m", "diffir", *arguments(inputs, outputs, network, *SLOWER)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def wait_for(condition, run: subprocess.Popen) -> None:
    end = time.monotonic() + 240
    while not condition():
        assert run.poll() is None, run.communicate()[0]
        assert time.monotonic() < end, "no photo was restored"
        time.sleep(0.05)


def workers_of(run: subprocess.Popen) -> list[int]:
    """Process ids of the workers on this machine, which Ray names after their class."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdecimal() and b"ray::MapWorker" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found
