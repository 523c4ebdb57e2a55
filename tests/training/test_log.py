"""The log of a run: JSON lines, TensorBoard files, and no output from other processes than the first."""

import json

import numpy as np
import pytest
import torch

from diffir.training.log import Meter, RunLog


def log(folder, **changes) -> RunLog:
    return RunLog(folder, **{"stage": 2, "total_iter": 10, "first_step": 0, "use_tb_logger": False, **changes})


def test_a_record_is_one_json_object_a_line(tmp_path):
    with log(tmp_path) as record:
        record.record(5, "train", {"l_pix": 0.25, "skipped": 0})
        record.record(10, "validation", {"psnr": 30.0, "verdict": "better"})

    lines = [json.loads(line) for line in (tmp_path / "train_log.jsonl").read_text("utf-8").splitlines()]
    assert [(line["stage"], line["step"], line["event"]) for line in lines] == [
        (2, 5, "train"),
        (2, 10, "validation"),
    ]
    assert (lines[0]["l_pix"], lines[1]["verdict"]) == (0.25, "better")


def steps_in_log(folder) -> list[tuple[int, int, str]]:
    lines = [json.loads(line) for line in (folder / "train_log.jsonl").read_text("utf-8").splitlines()]
    return [(line["stage"], line["step"], line["event"]) for line in lines]


@pytest.mark.parametrize(
    ("resumed_at", "kept"),
    [
        (10, [(2, 0, "validation"), (2, 10, "train"), (2, 10, "validation")]),
        (5, [(2, 0, "validation")]),
        (0, []),  # without a state the stage begins again, with its validation at step 0
    ],
)
def test_a_resumed_run_cuts_what_it_will_do_again(tmp_path, resumed_at, kept):
    with log(tmp_path, stage=1) as record:
        record.record(25, "train", {})
    with log(tmp_path) as record:
        for step, event in [(0, "validation"), (10, "train"), (10, "validation"), (20, "train")]:
            record.record(step, event, {"psnr": 30.0})

    with log(tmp_path, first_step=resumed_at):
        pass

    assert steps_in_log(tmp_path) == [(1, 25, "train"), *kept]


def test_a_line_that_a_kill_left_incomplete_is_cut(tmp_path):
    with log(tmp_path) as record:
        record.record(10, "train", {})
    with (tmp_path / "train_log.jsonl").open("a") as file:
        file.write('{"time": 1.0, "stage": 2, "st')

    with log(tmp_path, first_step=10) as record:
        record.record(20, "train", {})

    assert steps_in_log(tmp_path) == [(2, 10, "train"), (2, 20, "train")]


@pytest.mark.parametrize(
    "line", [b"\xff\n", b"[1, 2]\n", b'{"step": 99}\n', b'{"stage": 2, "step": "many"}\n', b"[" * 9000 + b"\n"]
)
def test_lines_that_are_not_of_the_log_stay(tmp_path, line):
    (tmp_path / "train_log.jsonl").write_bytes(line)

    with log(tmp_path, first_step=10):
        pass

    assert (tmp_path / "train_log.jsonl").read_bytes() == line


def test_training_from_python_needs_no_stderr(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.stderr", None)

    with log(tmp_path) as record:
        record.advance()
        record.record(1, "train", {"l_pix": 0.5})

    assert steps_in_log(tmp_path) == [(2, 1, "train")]


def test_other_processes_than_the_first_write_nothing(tmp_path):
    with log(tmp_path, is_first=False, use_tb_logger=True) as record:
        record.record(5, "train", {"l_pix": 0.25})
        record.picture(5, "photo", np.zeros((4, 4, 3), np.uint8))

    assert not list(tmp_path.iterdir())


def test_tensorboard_gets_curves_and_pictures(tmp_path):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with log(tmp_path, use_tb_logger=True) as record:
        record.record(5, "validation", {"psnr": 30.0})
        record.picture(5, "photo", np.zeros((4, 6, 3), np.uint8))

    events = EventAccumulator(str(tmp_path / "tb_logger"))
    events.Reload()
    assert events.Scalars("stage2/validation/psnr")[0].value == 30.0
    assert events.Images("stage2/photo")[0].width == 6


def test_a_meter_gives_means_and_forgets_them():
    meter = Meter()
    for value in (1.0, 3.0):
        meter.add({"l_pix": torch.tensor(value)}, images=4)

    means = meter.read()

    assert means["l_pix"] == 2.0
    assert means["images_per_s"] > 0
    assert list(meter.read()) == ["images_per_s"]
