"""Tests of full-size networks against results of the reference implementation.

Weights are not loaded but generated: each tensor is drawn from a generator seeded with the CRC-32 of its upstream name.
"""

import json
import zlib
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from diffir.systems.diffir import DiffIR
from diffir.systems.diffir.released import read_official
from diffir.systems.diffir.tasks import TASKS
from tests.diffir_objects import filled_diffir

FIGURES = Path(__file__).parent / "figures"
ROWS = ("deblur", "inpaint", "inpaint_big", "realsr_x1", "sr_x2", "sr_x4")
pytestmark = pytest.mark.slow


def draw(name: str) -> np.random.RandomState:
    return np.random.RandomState(zlib.crc32(name.encode()))


@cache
def weight(key: str, shape: tuple[int, ...]) -> Tensor:
    z = draw(key).standard_normal(shape)
    if key.endswith("temperature") or (len(shape) == 1 and key.endswith(".body.weight")):
        z = 1 + 0.1 * z
    elif len(shape) == 1:
        z *= 0.1
    else:
        gain = 2 if ".kernel.0." in key else 0.2 if key in ("G.output.weight", "G.tail.1.weight") else 1
        z *= gain / np.prod(shape[1:]) ** 0.5
    return torch.from_numpy(z.astype(np.float32))


def inputs(task: str) -> tuple[Tensor, Tensor, Tensor]:
    """Generate lq, ground truth and noise in the same way."""
    arch = TASKS[task].arch
    gt = draw("input:gt").random_sample((1, 3, 64 * arch.scale, 64 * arch.scale)).astype(np.float32)
    lq = draw("input:lq").random_sample((1, 3, 64, 64)).astype(np.float32)
    if arch.has_mask:
        mask = (draw("input:mask").random_sample((1, 1, 64, 64)) < 0.4).astype(np.float32)
        lq = np.concatenate([gt * (1 - mask), mask], axis=1)
    noise = draw("input:noise").standard_normal((1, 256)).astype(np.float32)
    return torch.from_numpy(lq), torch.from_numpy(gt), torch.from_numpy(noise)


def assert_figures(tensor: Tensor, figures: dict, tolerance: float = 1e-5) -> None:
    flat = tensor.double().flatten()
    at = [k * (len(flat) - 1) // 63 for k in range(64)]
    found = {
        "mean": flat.mean(),
        "std": flat.std(correction=0),
        "min": flat.min(),
        "max": flat.max(),
        "first8": flat[:8],
        "samples64": flat[at],
    }
    for name, expected in figures.items():
        torch.testing.assert_close(found[name], torch.tensor(expected, dtype=torch.float64), rtol=0, atol=tolerance)


@pytest.fixture(scope="module", params=ROWS)
def figures(request):
    yield json.loads((FIGURES / f"fullsize_{request.param}.json").read_text("utf-8"))
    weight.cache_clear()


def network_by_rule(task: str, stage: int, upstream_state) -> DiffIR:
    """Generate weights under upstream's names, and read them like a released checkpoint."""
    with torch.device("meta"):
        names = upstream_state(DiffIR(TASKS[task].arch, stage))
    state = {k: weight(k, tuple(t.shape)) for k, t in names.items() if not k.startswith("diffusion.")}
    official = read_official(state, "rule")
    assert task in official.tasks
    return filled_diffir(official.state, official.settings, official.stage, "rule")


def assert_sums(network: DiffIR, figures: dict) -> None:
    parameters = [p.detach() for p in network.parameters()]
    assert sum(p.numel() for p in parameters) == figures["parameters"]
    assert sum(p.sum(dtype=torch.float64).item() for p in parameters) == pytest.approx(figures["sum"], rel=1e-8)
    total = sum(p.abs().sum(dtype=torch.float64).item() for p in parameters)
    assert total == pytest.approx(figures["sum_abs"], rel=1e-8)


@torch.no_grad()
def test_stage_1_reproduces_the_reference_figures(figures, upstream_state):
    network = network_by_rule(figures["task"], 1, upstream_state)
    lq, gt, _ = inputs(figures["task"])

    prior = network.oracle_prior(lq, gt)
    restored = network.restore(lq, prior)

    assert_sums(network, figures["stage1"])
    assert_figures(prior, figures["stage1"]["prior_steps"][0])
    assert_figures(restored, figures["stage1"]["out"])


@torch.no_grad()
def test_stage_2_reproduces_the_reference_figures(figures, upstream_state):
    network = network_by_rule(figures["task"], 2, upstream_state)
    lq, _, noise = inputs(figures["task"])

    chain = network.prior_chain(lq, noise=noise)
    restored = network.restore(lq, chain[-1])

    assert_sums(network, figures["stage2"])
    assert_figures(network.condition(lq), figures["stage2"].get("condition", {}))
    steps = figures["stage2"]["prior_steps"]
    for prior, step in zip(chain[-len(steps) :], steps, strict=True):
        assert_figures(prior, step)
    assert_figures(restored, figures["stage2"]["out"])
