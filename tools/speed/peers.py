"""Compare diffir's networks with those of others: parameters, multiply-adds, seconds and quality, by task.

    python -m tools.speed.peers [--only denoising,enlarging] [--rounds 5] [--threads 1] [--json FILE]
    python -m tools.speed.peers --table FILE                   # print the table of a file again

Networks of others run in eager torch with random weights, since weights do not change the speed; those that spandrel
has come from there (pip install spandrel). Ours run as `diffir restore` runs them, in fp32. All take turns.
Seconds are those of the processor for a result of 384 x 384 pixels, so that other work on the machine matters less, and
are stated for a megapixel of the result, as are the multiply-adds. Quality is taken from datasets/published.yml for
others, and from docs/benchmarks for ours.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from importlib import import_module
from pathlib import Path

import torch
from torch import Tensor, nn

if not __package__:  # called as "python tools/speed/peers.py", which finds only the modules beside this file
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from diffir._spandrel import load_spandrel
from diffir.allocator import keep_freed_memory
from diffir.api import load
from diffir.data.cards.published_rows import load_published
from diffir.evaluation.document import Result, read_document
from diffir.inference.multiply_adds import SIDE as SIDE_OF_PAPERS
from diffir.inference.multiply_adds import multiply_adds_of
from tools.speed import peer_networks as small
from tools.speed.machine import Machine
from tools.speed.turns import in_turns

SIDE = 384  # pixels a side of each result
BENCHMARKS = Path(__file__).resolve().parents[2] / "docs" / "benchmarks"


@dataclass(frozen=True)
class Quality:
    """Which score stands beside the seconds of a task."""

    label: str
    dataset: str
    degradation: str
    metric: str
    file: str
    """File in docs/benchmarks with the scores of ours."""


@dataclass(frozen=True)
class Task:
    """Networks with the same purpose."""

    scale: int
    quality: Quality
    others: dict[str, Callable[[], nn.Module]]
    ours: tuple[str, ...]
    """Names of shipped weights; those of other projects are among them where they ship."""


@dataclass(frozen=True)
class Row:
    """What was measured of one network; multiply-adds and seconds are for a megapixel of the result."""

    task: str
    network: str
    runs: str
    """``torch`` for a network of others, ``diffir`` for one that ships."""
    parameters: int
    multiply_adds: float
    seconds: list[float]
    score: float | None


def of_spandrel(architecture: str, **settings: int | str) -> nn.Module:
    """A network of spandrel by the name of its architecture.

    Raises:
        MissingDependency: spandrel is not installed.
    """
    load_spandrel("tools.speed.peers")
    network: nn.Module = getattr(import_module(f"spandrel.architectures.{architecture}"), architecture)(**settings)
    return network


class _WithLevel(nn.Module):
    """Adds a map of the noise level to the image, as DRUNet reads it."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        restored: Tensor = self.network(torch.cat([x, torch.full_like(x[:, :1], 25 / 255)], dim=1))
        return restored


TASKS = {
    "denoising": Task(
        1,
        Quality("CBSD68, sigma 25, PSNR", "CBSD68", "sigma 25", "psnr", "denoising"),
        {
            "DnCNN": lambda: of_spandrel("DnCNN", in_nc=3, out_nc=3, nc=64, nb=20, act_mode="R"),
            "FFDNet": small.FFDNet,
            "DRUNet": lambda: _WithLevel(of_spandrel("DRUNet", in_nc=4, out_nc=3)),
        },
        ("denoise",),
    ),
    "enlarging": Task(
        4,
        Quality("Set5, bicubic x4, PSNR", "Set5", "bicubic x4", "psnr", "enlarging_x4"),
        {"PAN": small.PAN, "IMDN": small.IMDN},
        ("sr_x4",),
    ),
    "real-world enlarging": Task(
        4,
        Quality("Kodak24, recipe realesrgan, NIQE", "Kodak24", "recipe realesrgan", "niqe", "enlarging_damaged"),
        {"RealESRGAN_x4plus": lambda: of_spandrel("ESRGAN", in_nc=3, out_nc=3, num_filters=64, num_blocks=23, scale=4)},
        ("realesrgan_general_x4", "realsr_x4"),
    ),
    "deraining": Task(
        1, Quality("Rain100L, PSNR", "Rain100L", "as given", "psnr", "pairs"), {"PReNet": small.PReNet}, ("derain",)
    ),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the tasks that are asked for, or print the table of a file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", default=",".join(TASKS), help="tasks, separated by commas")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each network that count")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--side", type=int, default=SIDE, help="pixels a side of the result, a multiple of 64")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--table", type=Path)
    args = parser.parse_args(arguments)
    if args.table is not None:
        print(table([Row(**row) for row in json.loads(args.table.read_text("utf-8"))["rows"]]))
        return
    if unknown := [name for name in args.only.split(",") if name not in TASKS]:
        parser.error(f"no task {unknown[0]!r}; known: {', '.join(TASKS)}")

    # Measure task by task, and save after each.
    keep_freed_memory()
    torch.set_num_threads(args.threads)
    rows: list[Row] = []
    for name in args.only.split(","):
        rows += measured(name, args.side, args.rounds)
        if args.json is not None:
            document = {"machine": asdict(Machine.of("cpu")), "threads": args.threads, "side": args.side}
            args.json.write_text(json.dumps({**document, "rows": [asdict(row) for row in rows]}, indent=1) + "\n")
    print(table(rows))


@torch.inference_mode()
def measured(name: str, side: int, rounds: int) -> list[Row]:
    """Measure the networks of a task in turns."""
    task = TASKS[name]
    image, megapixels = torch.rand(1, 3, side // task.scale, side // task.scale), side**2 / 1e6
    calls: dict[str, Callable[[], object]] = {}
    facts: dict[str, tuple[str, int, float, float | None]] = {}  # what runs it, parameters, multiply-adds, score
    for network, make in task.others.items():
        module = make().eval()
        calls[network] = partial(module, image)
        work = multiply_adds_of(calls[network]) / megapixels
        facts[network] = "torch", parameters_of(module), work, published(task.quality, network)
    for network in task.ours:
        calls[network] = partial(load(network, device="cpu", precision="fp32").restore_tensor, image)
        result = scored(task.quality, network)
        assert result.multiply_adds is not None and result.parameters is not None
        work = result.multiply_adds / (SIDE_OF_PAPERS * task.scale) ** 2 * 1e6
        score = result.evaluation.scores[task.quality.metric].value
        facts[network] = "diffir", int(result.parameters), work, score

    rows = []
    for network, turns in in_turns(calls, rounds, "cpu", clock=time.process_time).items():
        runs, parameters, work, score = facts[network]
        seconds = [found / megapixels for found in turns.seconds]
        rows.append(Row(name, network, runs, parameters, work, seconds, score))
    return rows


def parameters_of(network: nn.Module) -> int:
    """The number of parameters."""
    return sum(parameter.numel() for parameter in network.parameters())


def published(quality: Quality, method: str) -> float | None:
    """The score that others published, None if they published none."""
    key = method, quality.dataset.casefold(), quality.degradation
    rows = [row for row in load_published() if (row.method, row.dataset.casefold(), row.degradation) == key]
    return rows[0].scores.get(quality.metric) if rows else None


def scored(quality: Quality, network: str) -> Result:
    """The result of one of our networks in docs/benchmarks."""
    found = read_document(BENCHMARKS / f"{quality.file}.json").results
    asked = network, quality.dataset.casefold(), quality.degradation
    return next(result for result in found if (result.method, result.dataset, result.degradation) == asked)


def table(rows: Sequence[Row]) -> str:
    """Rows as a table in Markdown, those of each task from fewest to most multiply-adds."""
    lines = [
        "| task | network | million parameters | G multiply-adds / megapixel | seconds / megapixel | quality |",
        "|---|---|---|---|---|---|",
    ]
    for name, task in TASKS.items():
        for row in sorted((row for row in rows if row.task == name), key=lambda row: row.multiply_adds):
            score = "-" if row.score is None else f"{row.score:.2f}"
            label = f"**`{row.network}`**" if row.runs == "diffir" else row.network
            lines.append(
                f"| {name} | {label} | {row.parameters / 1e6:.2f} | {row.multiply_adds / 1e9:.0f} | "
                f"{statistics.median(row.seconds):.1f} ({min(row.seconds):.1f} to {max(row.seconds):.1f}) | "
                f"{score} ({task.quality.label}) |"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
