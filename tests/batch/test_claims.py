"""Processes that share an output folder restore every file once, and a claim ends with its process."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from diffir.batch.batch import run_jobs
from diffir.batch.claims import Claims
from diffir.batch.events import Settings, Stop
from diffir.batch.jobs import Job, plan_jobs
from diffir.batch.queue_items import Message, Reporter
from diffir.batch.read_stage import FileReader
from diffir.image_io import write_image

HOLD = """
import sys, time, pathlib
from diffir.batch.claims import Claims
assert Claims([]).take(0, pathlib.Path(sys.argv[1]))
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def jobs(tmp_path: Path):
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 256, (16, 16, 3), dtype=np.uint8)
        write_image(tmp_path / f"in/{number}.png", pixels)
    return plan_jobs([str(tmp_path / "in")], tmp_path / "out")


def outcomes(restorer, jobs, settings=None) -> list[str]:
    return [event.outcome for event in run_jobs(restorer, jobs, settings)]


def test_a_file_that_another_run_restores_is_skipped(make_restorer, jobs) -> None:
    other = Claims([])
    assert other.take(0, jobs[1].target)

    events = list(run_jobs(make_restorer(), jobs))

    assert [event.outcome for event in events] == ["done", "skipped", "done"]
    assert events[1].notes == ("another process restores it",)
    assert not jobs[1].target.exists()


def test_a_file_that_another_run_wrote_meanwhile_is_skipped_and_an_older_one_is_made_again(jobs) -> None:
    write_image(jobs[1].target, np.zeros((4, 4, 3), np.uint8))  # of an earlier run
    messages: list[Message] = []
    claims = Claims(jobs)
    reporter = Reporter(messages.append, lambda: None, claims.release)
    reader = FileReader(jobs, Settings(batch_size=1), Stop(), reporter, claims, scale=1, group_pixels=0)

    write_image(jobs[2].target, np.zeros((4, 4, 3), np.uint8))  # by another process
    read = [group[0].job for group in reader.groups()]

    assert read == jobs[:2]
    assert [message.event.notes for message in messages] == [("another process has written it",)]
    claims.release_all()


def test_nothing_is_left_in_the_folder(make_restorer, jobs) -> None:
    bad = [*jobs, *plan_jobs([str(jobs[0].source.parent / "absent.png")], jobs[0].target.parent)]

    assert outcomes(make_restorer(), bad) == ["done", "done", "done", "failed"]

    assert sorted(path.name for path in jobs[0].target.parent.iterdir()) == ["0.png", "1.png", "2.png"]


def test_a_run_that_is_left_gives_up_its_claims(make_restorer, jobs) -> None:
    events = run_jobs(make_restorer(), jobs, Settings(batch_size=1))
    next(events)
    events.close()

    assert all(Claims([]).take(number, job.target) for number, job in enumerate(jobs))


def test_a_target_that_changed_since_the_start_is_new(tmp_path) -> None:
    target = tmp_path / "a.png"
    target.write_bytes(b"old")
    os.utime(target, (1, 1))

    claims = Claims([Job(tmp_path / "in.png", target)])

    assert not claims.is_new(target)
    target.write_bytes(b"newer")
    assert claims.is_new(target)
    assert not claims.is_new(tmp_path / "absent.png")


@pytest.mark.skipif(os.name == "nt", reason="the process is killed by a signal")
def test_a_killed_process_holds_nothing(tmp_path) -> None:
    target = tmp_path / "a.png"
    with subprocess.Popen([sys.executable, "-c", HOLD, str(target)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        claims = Claims([])

        while_it_lives = claims.take(0, target)
        process.send_signal(signal.SIGKILL)
        process.wait()

        assert (while_it_lives, claims.take(0, target)) == (False, True)
