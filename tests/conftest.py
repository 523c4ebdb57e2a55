"""Fixtures for all tests: tiny networks, restorers with them, and checkpoints with upstream's tensor names."""

import itertools
import os
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from diffir.api import restorer_of
from diffir.inference.restorer import Restorer
from diffir.systems.diffir import ArchSettings, DiffIR
from diffir.systems.diffir.tasks import get_task

REPOSITORY = Path(__file__).resolve().parents[1]
MakeRestorer = Callable[..., Restorer]
TINY = ArchSettings(dim=8, num_blocks=(2, 1, 1, 1), num_refinement_blocks=1, cpen_blocks=2, prior_width=32)
UpstreamState = Callable[[DiffIR], dict[str, Tensor]]


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of reference results and evaluation images, which lies beside the repository on development machines."""
    folder = REPOSITORY.parent / "shared"
    if not folder.is_dir():
        pytest.skip("the reference folder ../shared is missing")
    return folder


def pytest_configure(config: pytest.Config) -> None:
    """Share the cores among the processes of pytest-xdist and the commands that they run; without a card, let Triton
    compute its kernels on the CPU, which it decides when it is imported first."""
    if not torch.cuda.is_available():
        os.environ.setdefault("TRITON_INTERPRET", "1")
    if hasattr(config, "workerinput"):
        threads = max(1, len(os.sched_getaffinity(0)) // config.workerinput["workercount"])
        torch.set_num_threads(threads)
        os.environ.setdefault("OMP_NUM_THREADS", str(threads))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Let every test and its fixtures draw the same random numbers, whichever tests ran before."""
    if item.get_closest_marker("gpu") and not torch.cuda.is_available():
        pytest.skip("needs a CUDA card")
    random.seed(0)
    np.random.seed(0)
    torch.default_generator.manual_seed(0)  # that of the CPU alone, fifty times as fast as torch.manual_seed


@pytest.fixture(scope="session")
def new_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Names of folders that do not exist; ``mktemp`` would list thousands of folders to find one."""
    folder = tmp_path_factory.mktemp("new")
    return (folder / str(number) for number in itertools.count())


@pytest.fixture(autouse=True)
def own_cache(new_folders: Iterator[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Give every test a cache folder of its own, so that it neither reads nor writes that of the user."""
    monkeypatch.setenv("DIFFIR_CACHE", str(next(new_folders)))


@pytest.fixture
def make_restorer() -> MakeRestorer:
    """Make a restorer with a toy network on the CPU.

    ``arch`` changes settings of the network; other arguments are passed to ``restorer_of``.
    """

    def make(arch: dict | None = None, **arguments: object) -> Restorer:
        torch.manual_seed(0)
        network = DiffIR(replace(get_task("denoise_tiny").arch, **(arch or {})))
        return restorer_of(network, **{"name": "toy", "device": "cpu", "precision": "fp32", **arguments})

    return make


def upstream_key(name: str, stage: int, cpen_blocks: int) -> str:
    """Translate a parameter name of ours into that of the released checkpoints."""
    rules = (
        (r"^dirformer\.patch_embed\.", lambda m: "G.patch_embed.proj."),
        (r"^dirformer\.output\.output\.", lambda m: "G.tail.1."),
        (r"^dirformer\.output\.upsample\.(\d)\.", lambda m: f"G.tail.0.{2 * int(m[1])}."),
        (r"^dirformer\.", lambda m: "G."),
        (r"\.(norm[12])\.", lambda m: f".{m[1]}.body."),
        (r"\.modulation\.linear\.", lambda m: ".kernel.0."),
        (r"\.((?:up|down)\d_\d)\.conv\.", lambda m: f".{m[1]}.body.0."),
        (r"^cpen\.head\.", lambda m: "cpen.E.0."),
        (r"^cpen\.blocks\.(\d+)\.conv([12])\.", lambda m: f"cpen.E.{int(m[1]) + 2}.body.{2 * int(m[2]) - 2}."),
        (r"^cpen\.widen\.(\d)\.", lambda m: f"cpen.E.{2 + cpen_blocks + 2 * int(m[1])}."),
        (r"^cpen\.mlp\.(\d)\.", lambda m: f"cpen.mlp.{2 * int(m[1])}."),
        (r"^cpen\.", lambda m: "E." if stage == 1 else "condition."),
        (r"^denoiser\.layers\.0\.", lambda m: "denoise.resmlp.0."),
        (r"^denoiser\.layers\.(\d+)\.", lambda m: f"denoise.resmlp.{int(m[1]) + 1}.resmlp.0."),
    )
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return name


@pytest.fixture
def upstream_state() -> UpstreamState:
    """A function that returns the state dict which upstream's network with the same settings and weights has."""

    def convert(network: DiffIR) -> dict[str, Tensor]:
        settings, stage = network.settings, network.stage
        state = {upstream_key(name, stage, settings.cpen_blocks): t for name, t in network.state_dict().items()}
        if stage == 2:
            # Upstream also saves constants of the schedule and second copies of CPEN and denoiser.
            constants = ("betas", "alphas_cumprod", "posterior_mean_coef1", "posterior_mean_coef2")
            state |= {f"diffusion.{name}": torch.tensor(getattr(network.schedule, name)) for name in constants}
            state |= {f"diffusion.{name}": t for name, t in state.items() if name.startswith("condition.")}
            state |= {f"diffusion.model{name[7:]}": t for name, t in state.items() if name.startswith("denoise.")}
        return state

    return convert


@pytest.fixture
def tiny_network() -> DiffIR:
    """A stage-2 network with random weights, whose settings differ from all rows of the task table."""
    torch.manual_seed(0)
    return DiffIR(TINY, 2).eval()


@pytest.fixture
def tiny_teacher() -> DiffIR:
    """A stage-1 network with the same settings as ``tiny_network``."""
    torch.manual_seed(0)
    return DiffIR(TINY, 1).eval()
