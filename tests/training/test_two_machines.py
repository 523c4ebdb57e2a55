"""Training on two machines: one is lost, the other ends, and the same command goes on bit for bit.

The machines are network namespaces of this one with a cable between them. Slow, and for root on Linux alone.
"""

import itertools
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from diffir.training.checkpoint import Checkpoints

REPOSITORY = Path(__file__).resolve().parents[2]
ADDRESSES = ("10.99.0.1", "10.99.0.2")
STAGE, STEPS = 1, 60
OPTIONS = ["train", "-opt", str(REPOSITORY / "options/debug/tiny.yml"), "stages=[1]", f"train.total_iter={STEPS}"]
OPTIONS += ["datasets.train.gt_size=16", "datasets.train.batch_size_per_gpu=1", "datasets.val=null", "device=cpu"]
OPTIONS += ["logger.save_checkpoint_freq=2"]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        sys.platform != "linux" or os.geteuid() != 0 or not shutil.which("ip"), reason="needs Linux, root and iproute2"
    ),
]


@pytest.fixture
def machines() -> Iterator[list[str]]:
    """Names of two network namespaces that reach each other and nothing else."""
    names = [f"diffir{os.getpid()}{end}" for end in "ab"]
    cable = [f"dv{os.getpid()}{end}" for end in "ab"]
    try:
        for name in names:
            ip("netns", "add", name)
        ip("link", "add", cable[0], "type", "veth", "peer", "name", cable[1])
        for name, end, address in zip(names, cable, ADDRESSES, strict=True):
            ip("link", "set", end, "netns", name)
            for words in (
                ("addr", "add", f"{address}/24", "dev", end),
                ("link", "set", end, "up"),
                ("link", "set", "lo", "up"),
            ):
                ip("-n", name, *words)
        yield names
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "delete", name], check=False)


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def started(machines: list[str], folder: Path, port: int) -> list[subprocess.Popen]:
    """Start torchrun on both machines with one folder for the run."""
    runs = []
    for rank, machine in enumerate(machines):
        torchrun = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--node_rank", str(rank)]
        torchrun += ["--nproc_per_node", "1", "--master_addr", ADDRESSES[0], "--master_port", str(port), "-m", "diffir"]
        words = [
            "ip",
            "netns",
            "exec",
            machine,
            *torchrun,
            *OPTIONS,
            f"path.experiments_root={folder}",
            "--auto_resume",
        ]
        environment = {**os.environ, "GLOO_SOCKET_IFNAME": f"dv{os.getpid()}{'ab'[rank]}", "OMP_NUM_THREADS": "1"}
        runs.append(
            subprocess.Popen(
                words,
                env=environment,
                cwd=REPOSITORY,
                start_new_session=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
    return runs


def kill_machine(name: str) -> None:
    """Kill every process on a machine at once."""
    for pid in subprocess.run(["ip", "netns", "pids", name], check=True, capture_output=True, text=True).stdout.split():
        os.kill(int(pid), signal.SIGKILL)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return Checkpoints(folder / "tiny/training_states", 1).load_latest(STAGE)["params"]


def test_a_lost_machine_costs_the_steps_since_the_last_state(machines: list[str], tmp_path: Path) -> None:
    ports = itertools.count(29500)
    for run in started(machines, tmp_path / "whole", next(ports)):
        assert run.wait(400) == 0, run.communicate()[0]

    # The second machine is lost as soon as a state is saved.
    runs = started(machines, tmp_path / "lost", next(ports))
    end = time.monotonic() + 400
    while not list((tmp_path / "lost").glob("tiny/training_states/*")):
        assert time.monotonic() < end and runs[0].poll() is None, runs[0].communicate()[0]
        time.sleep(0.02)
    kill_machine(machines[1])
    assert runs[0].wait(400) != 0

    # The same command continues.
    for run in started(machines, tmp_path / "lost", next(ports)):
        assert run.wait(400) == 0, run.communicate()[0]

    one, other = weights(tmp_path / "whole"), weights(tmp_path / "lost")
    assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())
