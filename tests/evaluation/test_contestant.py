"""Contestants: the facts beside the scores."""

import mmap
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from diffir.api import restorer_of
from diffir.errors import UsageError
from diffir.evaluation import Sample
from diffir.evaluation.contestant import baseline, chain, network
from diffir.evaluation.peak_memory import PeakMemory
from diffir.inference.chain import Chain
from diffir.inference.multiply_adds import SIDE, multiply_adds_of
from diffir.systems.diffir import DiffIR
from diffir.systems.diffir.engine.operation_count import count_multiply_adds
from diffir.systems.diffir.tasks import get_task

GREY = np.full((16, 16, 3), 100, np.uint8)


@pytest.mark.parametrize(
    ("task", "billions"), [("deblur", 121.0), ("sr_x2", 180.8), ("realsr_x1", 45.4), ("inpaint", 50.6)]
)
def test_multiply_adds_are_those_counted_on_the_reference_networks(task: str, billions: float) -> None:
    assert count_multiply_adds(DiffIR(get_task(task).arch), side=SIDE) / 1e9 == pytest.approx(billions, abs=0.06)


def test_a_matrix_product_is_counted_by_hand() -> None:
    assert multiply_adds_of(lambda: torch.ones(2, 3) @ torch.ones(3, 5)) == 2 * 3 * 5


def test_a_baseline_is_told_sigma_only_if_it_asks_for_it() -> None:
    assert "given the true sigma" in baseline("nlm", 25).summary
    assert "estimated from each image" in baseline("nlm", None).summary
    assert baseline("input", 25).settings == {"baseline": "input", "sigma": None}


def test_a_baseline_has_learnt_nothing() -> None:
    assert (baseline("nlm", None).parameters, baseline("nlm", None).multiply_adds) == (None, None)


def test_a_method_that_fills_holes_asks_for_holes() -> None:
    with pytest.raises(UsageError, match=r"telea fills holes.*--mask thin"):
        baseline("telea", None).restore(Sample("a", GREY, GREY))


def test_a_network_tells_what_its_results_depend_on(tmp_path: Path) -> None:
    (tmp_path / "w.safetensors").write_bytes(b"weights")
    settings = get_task("denoise_tiny").arch
    one = network(restorer_of(DiffIR(settings), device="cpu", precision="fp32"), tmp_path / "w.safetensors")

    assert one.parameters == sum(parameter.numel() for parameter in DiffIR(settings).parameters())
    assert one.settings["weights"] == "w.safetensors" and len(one.settings["fingerprint"]) == 64
    assert (one.settings["prior"], one.settings["precision"]) == ("diffusion", "fp32")


def test_a_chain_tells_what_each_of_its_networks_depends_on_and_costs(tmp_path: Path) -> None:
    weights = [tmp_path / "a.safetensors", tmp_path / "b.safetensors"]
    for path in weights:
        path.write_bytes(path.stem.encode())
    enlarging = replace(get_task("denoise_tiny").arch, unshuffle=1, upsample=2, global_skip="nearest")
    members = [restorer_of(DiffIR(enlarging), device="cpu", name=name) for name in ("first", "second")]
    alone = [network(member, path) for member, path in zip(members, weights, strict=True)]

    both = chain(Chain(members), weights)

    assert (both.name, both.scale, both.settings["weights"]) == ("first+second", 4, "a.safetensors+b.safetensors")
    assert both.settings["fingerprint"] == "+".join(one.settings["fingerprint"] for one in alone)
    assert both.parameters == sum(one.parameters for one in alone)
    assert both.count_multiply_adds(32) == alone[0].count_multiply_adds(32) + alone[1].count_multiply_adds(64)
    assert np.array_equal(both.restore(Sample("a", GREY, GREY)), Chain(members).restore(GREY))


def test_the_peak_of_memory_rises_with_what_was_held_and_falls_when_set_back() -> None:
    memory = PeakMemory()
    memory.reset()
    before = memory.megabytes()
    if before is None:
        pytest.skip("this system does not say the peak of a process")
    with mmap.mmap(-1, 80_000_000) as held:  # pages of its own, whatever else is free in the process
        held.write(bytes(80_000_000))
        risen = memory.megabytes()
    memory.give_back()
    memory.reset()

    assert risen is not None and risen > before + 30
    assert memory.megabytes() < risen - 30
