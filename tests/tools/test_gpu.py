"""``tools.speed.gpu`` measures all its parts, keeps what it has when the time is over, and says what failed."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from diffir.system import Precision
from tools.speed import gpu, gpu_parts
from tools.speed.gpu_parts import Found, Sizes
from tools.speed.reference import Choice

TINY = ["--side", "32", "--batches", "1", "--rounds", "2", "--steps", "1", "--training_batches", "1"]
TINY += ["--turn_seconds", "0", "--rows", "denoise_tiny", "--networks", "denoise", "inpaint"]
UNCOMPILED = ["eager", "eager-bf16", "network", "network-bf16", "engine", "engine-bf16", "restorer", "restorer-bf16"]


def sizes_of(*precisions: Precision, deadline: float = float("inf")) -> Sizes:
    return Sizes("cpu", precisions, 32, (1,), rounds=1, steps=1, turn_seconds=0, deadline=deadline)


def measured(path: Path, *words: str) -> dict[str, Any]:
    assert gpu.main(["--device", "cpu", *TINY, *words, "--json", str(path)]) == 0
    return json.loads(path.read_text("utf-8"))


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("gpu") / "found.json"
    return measured(path, "--only", "facts", "equality", "restoring", "--precisions", "fp32", "bf16")


@pytest.fixture(scope="module")
def larger_document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("gpu") / "larger.json"
    return measured(path, "--only", "training", "latent", "--precisions", "fp32")


def test_the_groups_that_were_asked_for_have_rows_and_the_others_none(
    document: dict[str, Any], larger_document: dict[str, Any]
) -> None:
    assert [group for group in gpu.GROUPS if document[group]] == ["facts", "equality", "restoring"]
    assert [group for group in gpu.GROUPS if larger_document[group]] == ["training", "latent"]
    assert not document["failed"] and not document["not_run"]


def test_facts_hold_the_peaks_of_products_and_copies(document: dict[str, Any]) -> None:
    (row,) = document["facts"]

    assert row["gflop_per_second"]["fp32"] > 0 and row["copy_gigabytes_per_second"] > 0
    assert row["card"] is None and row["machine"]["torch"] == torch.__version__


def test_each_shipped_network_is_compared_in_both_precisions(document: dict[str, Any]) -> None:
    assert [row["network"] for row in document["equality"]] == ["denoise", "inpaint"]
    for row in document["equality"]:
        assert row["passed"] and row["fp32_largest"] < row["bf16_largest"] < 0.1


def test_every_contender_restores_the_same_photo(document: dict[str, Any]) -> None:
    found = {row["contender"]: row["difference"] for row in document["restoring"]}

    assert list(found) == UNCOMPILED
    assert all(difference < (0.1 if name.endswith("bf16") else 1e-5) for name, difference in found.items())


def test_ratios_and_shares_follow_from_the_seconds(document: dict[str, Any]) -> None:
    rows = {row["contender"]: row for row in document["restoring"]}
    bandwidth = document["facts"][0]["copy_gigabytes_per_second"]

    for row in rows.values():
        for first, ratios in (("eager", row["ratios"]), ("eager-bf16", row["ratios_bf16"])):
            pairs = zip(rows[first]["seconds"], row["seconds"], strict=True)
            assert ratios == pytest.approx([slow / fast for slow, fast in pairs])
        copied = row["gigabytes_moved"] / row["time"]["median"] / bandwidth
        assert row["share_of_copy_bandwidth"] == pytest.approx(copied) and copied > 0


def test_steps_and_the_whole_loop_are_measured_for_both_option_files(larger_document: dict[str, Any]) -> None:
    rows = larger_document["training"]

    assert [(row["options"], row["kind"]) for row in rows] == [
        (options, kind) for options in gpu.OPTIONS for kind in ("step", "loop")
    ]
    for row in rows:
        speeds = sorted(row["batch"] / seconds for seconds in row["seconds"])  # there is one step in a turn
        assert (row["images_per_second"]["least"], row["images_per_second"]["greatest"]) == (speeds[0], speeds[-1])


@pytest.mark.slow
def test_training_in_bf16_is_measured_in_turns_with_fp32() -> None:
    found = gpu_parts.training("denoise/small.yml", 1, sizes_of("fp32", "bf16"))

    kinds = [("step", "fp32"), ("loop", "fp32"), ("step", "bf16"), ("loop", "bf16")]
    assert [(row["kind"], row["precision"]) for row in found.rows] == kinds


def test_latent_diffusion_enlarges_half_the_side_four_times(larger_document: dict[str, Any]) -> None:
    (row,) = larger_document["latent"]

    assert (row["network"], row["side"], row["result_side"], len(row["seconds"])) == ("ldm_sr_x4", 16, 64, 2)


@pytest.mark.slow
def test_compiled_networks_are_measured_beside_eager(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))  # traces without a compiler

    found = gpu_parts.compiling(Choice("denoise_tiny"), 1, "compiled", sizes_of("fp32"))

    assert [row["contender"] for row in found.rows] == ["eager", "compiled"]
    assert found.rows[1]["difference"] < 1e-5 and found.rows[1]["gigabytes_moved"] is None


def test_contenders_that_fail_are_named_and_the_others_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise RuntimeError("no compiler\nhere")

    monkeypatch.setattr(gpu_parts, "UNCOMPILED", {"broken": fail, "eager": gpu_parts.UNCOMPILED["eager"]})

    found = gpu_parts.restoring(Choice("denoise_tiny"), 1, sizes_of("fp32"))

    assert not found.is_right and found.lines[-1] == "broken failed: RuntimeError: no compiler here"
    assert [row["contender"] for row in found.rows] == ["eager", "broken"]


def test_a_result_that_differs_fails_the_call(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(gpu_parts, "TOLERANCE", -1.0)
    only = ["--only", "equality", "--networks", "denoise", "--precisions", "fp32"]

    assert gpu.main(["--device", "cpu", *TINY, *only, "--json", str(tmp_path / "e.json")]) == 1

    assert not json.loads((tmp_path / "e.json").read_text("utf-8"))["equality"][0]["passed"]


def part_that_takes(seconds: float, name: str, clock: list[float]) -> gpu.Part:
    def run() -> Found:
        clock[0] += seconds
        return Found([f"{name} is measured"], [{"name": name}])

    return gpu.Part("equality", name, run)


def test_no_part_begins_after_the_time_and_those_left_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    now, found = [0.0], {}
    planned = [part_that_takes(4, name, now) for name in ("first", "second", "third", "fourth")]

    assert gpu.run_parts(planned, found, tmp_path / "t.json", deadline=5, clock=lambda: now[0])

    saved = json.loads((tmp_path / "t.json").read_text("utf-8"))
    assert [row["name"] for row in saved["equality"]] == ["first", "second"]
    assert saved["not_run"] == ["equality: third", "equality: fourth"]
    assert "the time is over; not run: equality: third, equality: fourth" in capsys.readouterr().out


def test_what_is_measured_is_saved_before_the_next_part_begins(tmp_path: Path) -> None:
    path, now, found = tmp_path / "t.json", [0.0], {}

    def stop() -> Found:
        assert [row["name"] for row in json.loads(path.read_text("utf-8"))["equality"]] == ["first"]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        planned = [part_that_takes(1, "first", now), gpu.Part("latent", "", stop)]
        gpu.run_parts(planned, found, path, deadline=9, clock=lambda: now[0])


def test_a_part_that_fails_is_recorded_and_the_next_ones_run() -> None:
    now, found = [0.0], {}

    def fail() -> Found:
        raise RuntimeError("out of memory")

    planned = [gpu.Part("latent", "", fail), part_that_takes(1, "after", now)]
    assert not gpu.run_parts(planned, found, None, deadline=9, clock=lambda: now[0])

    assert found["failed"] == {"latent": "RuntimeError: out of memory"} and found["equality"] == [{"name": "after"}]


def test_contenders_that_are_not_built_in_time_are_named() -> None:
    found = gpu_parts.restoring(Choice("denoise_tiny"), 1, sizes_of("fp32", deadline=0))

    assert found.is_right and "engine was not run: the time is over" in found.lines


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (["--side", "40"], "--side must be a multiple of 32 from 32 to 256, got 40"),
        (["--rounds", "0"], "--rounds, --steps and the numbers of photos must be 1 or more"),
        (["--rows", "denoise_tin"], "unknown task 'denoise_tin'; did you mean 'denoise_tiny'?"),
        (["--networks", "denose"], "unknown network 'denose'; did you mean 'denoise'?"),
        (["--device", "cuda:99"], "device cuda:99 is not available"),
    ],
)
def test_a_wrong_call_is_one_line_and_exit_code_2(
    capsys: pytest.CaptureFixture[str], wrong: list[str], said: str
) -> None:
    assert gpu.main(["--device", "cpu", *TINY, *wrong]) == 2

    printed = capsys.readouterr()
    assert printed.err.startswith(f"gpu: {said}") and printed.err.count("\n") == 1
    assert not printed.out


@pytest.mark.gpu
def test_all_parts_run_on_a_card(tmp_path: Path) -> None:
    path = tmp_path / "card.json"

    assert gpu.main(["--device", "cuda", *TINY, "--minutes", "60", "--json", str(path)]) == 0

    found = json.loads(path.read_text("utf-8"))
    assert all(found[group] for group in gpu.GROUPS) and not found["failed"]
    assert all(row["peak_megabytes"] > 0 for row in found["restoring"] + found["compiled"])
