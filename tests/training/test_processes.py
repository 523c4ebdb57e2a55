"""Training with one process, and the environment variables of torchrun."""

import pytest
import torch

from diffir.errors import TrainingError
from diffir.training.processes import Processes


def test_without_torchrun_a_process_is_alone(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)

    alone = Processes.from_environment()

    assert (alone.rank, alone.size, alone.is_first) == (0, 1, True)


def test_alone_nothing_is_averaged_and_everything_is_shared():
    tensor = torch.tensor([1.0, 2.0])

    Processes().average([tensor])

    assert tensor.tolist() == [1.0, 2.0]
    assert Processes().share({"step": 5}) == {"step": 5}


def test_a_broken_environment_is_one_clear_error(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "many")

    with pytest.raises(TrainingError, match="start with torchrun"):
        Processes.from_environment()


def test_several_processes_take_one_cuda_device_each(monkeypatch):
    chosen = []
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    third = Processes(rank=6, size=8, local_rank=2)

    assert third.device(torch.device("cuda")) == torch.device("cuda:2")
    assert third.device(torch.device("cpu")) == torch.device("cpu")
    assert chosen == [2]
