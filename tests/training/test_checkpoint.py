"""Training states: the newest undamaged one is loaded, and old ones are deleted."""

import pytest
import torch

from diffir.errors import TrainingError
from diffir.training.checkpoint import Checkpoints


def test_the_newest_state_of_a_stage_is_loaded(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=3)
    for stage, step in ((1, 900), (2, 100), (1, 1000)):
        checkpoints.save(stage, step, {"params": {"w": torch.tensor(step)}})

    state = checkpoints.load_latest(1)

    assert (state["stage"], state["step"], state["params"]["w"]) == (1, 1000, 1000)


def test_old_states_of_the_same_stage_are_deleted(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=2)
    checkpoints.save(2, 1, {})
    for step in (1, 2, 3):
        checkpoints.save(1, step, {})

    assert checkpoints.paths(2)
    assert [path.name for path in checkpoints.paths(1)] == ["stage1_00000002.state", "stage1_00000003.state"]


def test_a_torn_state_is_passed_over_for_the_one_before(tmp_path, caplog):
    checkpoints = Checkpoints(tmp_path, keep=2)
    checkpoints.save(1, 1, {"params": {"w": torch.ones(1000)}})
    torn = checkpoints.save(1, 2, {"params": {"w": torch.ones(1000)}})
    torn.write_bytes(torn.read_bytes()[:1500])

    assert checkpoints.load_latest(1)["step"] == 1
    assert "stage1_00000002.state is damaged" in caplog.text


def test_one_flipped_bit_is_noticed(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=2)
    checkpoints.save(1, 1, {"params": {"w": torch.ones(1000)}})
    path = checkpoints.save(1, 2, {"params": {"w": torch.ones(1000)}})
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1  # in the middle of the numbers, where no parser would mind
    path.write_bytes(content)

    assert checkpoints.load_latest(1)["step"] == 1


def test_states_that_are_all_damaged_do_not_start_the_stage_anew(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=1)
    checkpoints.save(1, 5, {}).write_bytes(b"")

    with pytest.raises(TrainingError, match="every state of stage 1"):
        checkpoints.load_latest(1)


def test_a_half_written_file_is_never_taken_for_a_state(tmp_path):
    (tmp_path / ".diffir-stage1_00000005.state.tmp").write_bytes(b"half")

    assert Checkpoints(tmp_path, keep=2).load_latest(1) is None
