"""What ``tools.speed.gpu`` measures: facts of the card, equality of results, restoring, training, latent diffusion.

In: ``Sizes`` and what to measure. Out: ``Found``, the lines to print and the rows of the JSON document.
"""

import gc
import math
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from diffir.api import load, load_config
from diffir.errors import DiffIRError
from diffir.image_io import read_image
from diffir.inference.restorer import Restorer
from diffir.pixels import to_float
from diffir.system import Precision
from diffir.systems.diffir.engine.triton_blocks import has_triton
from tools.speed.first_stage import FirstStage
from tools.speed.gpu_contenders import MODES, TRITON, UNCOMPILED, Build, builds, compiled
from tools.speed.gpu_rows import HEAD, Cell, Speed
from tools.speed.machine import Card, Machine, ceiling, copy_bandwidth, has_fast_bf16
from tools.speed.reference import Choice, gflop_of, random_photo
from tools.speed.traffic import bytes_moved_by
from tools.speed.training_throughput import works_of
from tools.speed.turns import Spread, in_turns, synchronise, timed

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "datasets" / "samples"
TOLERANCE = 1e-3  # largest difference between card and CPU in fp32 that passes; white is 1, a level of 8 bits 4e-3
_WARM_UP = 3  # calls of everything before it is timed: CUDA graphs are recorded in the second or third
_MOST_CALLS = 100  # of one turn
_LATENT = "ldm_sr_x4"


@dataclass(frozen=True)
class Sizes:
    """How much is measured, and where."""

    device: str
    precisions: tuple[Precision, ...]
    side: int
    """Pixels a side of the photos; training patches are at most as large, and latent diffusion takes half of it."""
    batches: tuple[int, ...]
    """Photos of a call of restoring."""
    rounds: int
    """Turns that count."""
    steps: int
    """Training steps of a turn."""
    turn_seconds: float
    """A turn of restoring repeats its call until it takes about so long."""
    deadline: float = math.inf
    """Reading of ``time.monotonic`` after which no further contender is built."""

    @property
    def is_cuda(self) -> bool:
        return torch.device(self.device).type == "cuda"

    def peak(self, precision: str) -> float | None:
        """The GFLOP/s of the fastest matrix product; None on devices without units for the precision."""
        if precision == "bf16" and not has_fast_bf16(self.device):
            return None
        return ceiling(self.device, precision, torch.get_num_threads())


@dataclass(frozen=True)
class Found:
    """The outcome of a part."""

    lines: list[str]
    rows: list[dict[str, Any]]
    is_right: bool = True
    """False if a result is not what it must be, or a contender failed."""


def facts(sizes: Sizes) -> Found:
    """Describe machine and card, and measure matrix products and copies."""
    device, threads = sizes.device, torch.get_num_threads()
    machine, card = Machine.of(device), Card.of(device) if sizes.is_cuda else None
    measured = {kind: sizes.peak(kind) for kind in ("fp32", *(["tf32"] if sizes.is_cuda else []), "bf16")}
    gflops = {kind: speed for kind, speed in measured.items() if speed is not None}
    bandwidth = copy_bandwidth(device, threads)
    lines = [f"{machine.device}, torch {machine.torch}, {machine.cpu} with {machine.cores} cores, {machine.system}"]
    if card is not None:
        units = f"{card.multiprocessors} multiprocessors, compute capability {card.capability}"
        lines += [
            f"{card.memory / 2**30:.1f} GiB, {units}",
            f"driver {card.driver}, CUDA {card.cuda}, cuDNN {card.cudnn}, bf16 {'yes' if card.has_bf16 else 'no'}",
        ]
    products = ", ".join(f"{kind} {speed:.0f}" for kind, speed in gflops.items())
    lines += [f"fastest matrix product, GFLOP/s: {products}", f"copy, read and written: {bandwidth:.1f} GB/s"]
    row = {"machine": asdict(machine), "card": card and asdict(card), "threads": threads}
    return Found(lines, [{**row, "gflop_per_second": gflops, "copy_gigabytes_per_second": bandwidth}])


def equality(network: str, sizes: Sizes) -> Found:
    """Compare the result of a shipped network on the card with that of the CPU, and bf16 with fp32 on the card."""
    on_cpu = load(network, device="cpu", precision="fp32")
    lq = sample_photo(sizes.side // on_cpu.scale)
    mask = torch.zeros_like(lq[:, :1]) if on_cpu.has_mask else None
    if mask is not None:
        middle = slice(lq.shape[-1] * 3 // 8, lq.shape[-1] * 5 // 8)
        mask[..., middle, middle] = 1

    def restored(precision: Precision) -> Tensor:
        engine = {"engine": "torch"} if on_cpu.system == "diffir" else {}
        return _unchanged(load(network, device=sizes.device, precision=precision, **engine), lq, mask)

    exact, fp32 = _unchanged(on_cpu, lq, mask), restored("fp32")
    largest = (fp32 - exact).abs().max().item()
    is_right, row = largest <= TOLERANCE, {"network": network, "side": fp32.shape[-1], "tolerance": TOLERANCE}
    row |= {"fp32_largest": largest, "fp32_mean": (fp32 - exact).abs().mean().item(), "passed": is_right}
    verdict = "pass" if is_right else "FAIL"
    line = f"{network:24}fp32 {largest:.1e} from the CPU (at most {TOLERANCE:g}: {verdict})"
    if "bf16" in sizes.precisions:
        difference = (restored("bf16") - fp32).abs()
        row |= {"bf16_largest": difference.max().item(), "bf16_mean": difference.mean().item()}
        line += f", bf16 {row['bf16_largest']:.1e} from fp32 (mean {row['bf16_mean']:.1e})"
    return Found([line], [row], is_right)


def restoring(choice: Choice, batch: int, sizes: Sizes) -> Found:
    """Time the contenders that need no compiler, in turns."""
    device = torch.device(sizes.device)
    names = UNCOMPILED | (TRITON if device.type == "cuda" and has_triton(device) else {})
    return _raced(Cell(str(choice), batch, sizes.side), choice, names, sizes)


def compiling(choice: Choice, batch: int, way: str, sizes: Sizes) -> Found:
    """Time ``torch.compile`` in one of its ``MODES``, in turns with the literal network."""
    torch.compiler.reset()  # after eight versions of a function torch would silently run the next ones uncompiled
    names = {"eager": UNCOMPILED["eager"], way: partial(compiled, mode=MODES[way])}
    return _raced(Cell(str(choice), batch, sizes.side), choice, names, sizes)


def training(options: str, batch: int, sizes: Sizes) -> Found:
    """Count the images a second of the first stage of an option file with a batch size.

    ``step`` is a training step with one batch on the card. ``loop`` is that of `diffir train`, photos included. fp32 is
    torch's default, which computes convolutions in TF32.
    """
    path = ROOT / "options" / options
    patch = min(sizes.side, load_config(path).datasets.train.gt_size)
    shared = [f"datasets.train.dataroot_gt={SAMPLES / 'train'}", "datasets.val=null", f"device={sizes.device}"]
    shared += [f"datasets.train.gt_size={patch}", f"datasets.train.batch_size_per_gpu={batch}"]
    calls: dict[str, Callable[[], None]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for precision in sizes.precisions:
            stage = FirstStage.of(path, [*shared, f"train.precision={precision}"])
            works = works_of(stage, sizes.steps, Path(folder) / precision)
            calls |= {f"{kind} {precision}": works[kind] for kind in ("step", "loop")}
        turns = in_turns(calls, sizes.rounds, sizes.device)
    rows, lines = [], [f"{options}, {batch} patches of {patch} x {patch} a step, images/s:"]
    for name, found in turns.items():
        speed = Spread.of([batch * sizes.steps / seconds for seconds in found.seconds])
        kind, _, precision = name.partition(" ")
        row = {"options": options, "kind": kind, "precision": precision, "batch": batch, "patch": patch}
        rows.append({**row, "seconds": found.seconds, "images_per_second": asdict(speed)})
        lines.append(f"  {name:12}{speed:.1f}")
    return Found(lines, rows)


def latent_diffusion(sizes: Sizes) -> Found:
    """Time an enlargement by latent diffusion, from main memory to main memory."""
    lq = sample_photo(sizes.side // 2)
    runs = {kind: load(_LATENT, device=sizes.device, precision=kind) for kind in sizes.precisions}
    calls = {kind: partial(_unchanged, restorer, lq, None) for kind, restorer in runs.items()}
    rows, lines = [], []
    for precision, turns in in_turns(calls, sizes.rounds, sizes.device).items():
        time_of_one = Spread.of(turns.seconds)
        side = lq.shape[-1]
        row = {"network": _LATENT, "precision": precision, "side": side, "result_side": side * runs[precision].scale}
        rows.append({**row, "seconds": turns.seconds, "time": asdict(time_of_one)})
        lines.append(f"{side} -> {row['result_side']} pixels a side, {precision}: {time_of_one:.3f} s")
    return Found(lines, rows)


def sample_photo(side: int) -> Tensor:
    """Return the middle of a sample photo, (1, 3, side, side) float32 in [0, 1], RGB, on the CPU."""
    pixels = to_float(read_image(SAMPLES / "clean" / "parrots.png").pixels)
    top, left = ((length - side) // 2 for length in pixels.shape[:2])
    return torch.from_numpy(pixels[top : top + side, left : left + side]).permute(2, 0, 1)[None].contiguous()


def _unchanged(restorer: Restorer, lq: Tensor, mask: Tensor | None) -> Tensor:
    """Restore as the restorer was asked to.

    Raises:
        DiffIRError: it went to the CPU, a smaller tile or a higher precision, so that the result would mislead.
    """
    restored = restorer.restore_tensor(lq, mask)
    if notes := restorer.take_notes():
        raise DiffIRError("; ".join(notes))
    return restored


@dataclass(frozen=True)
class _Ready:
    """A contender that has warmed up."""

    call: Callable[[], Tensor]
    precision: Precision
    first_seconds: float
    """Seconds of building it and of its first call, which compiles where there is a compiler."""
    calls: int
    """Calls of a turn."""
    bytes_moved: int | None
    peak_megabytes: float | None
    restored: Tensor
    """What it returned, on the CPU."""

    def turn(self) -> None:
        for _ in range(self.calls):
            self.call()


def _raced(cell: Cell, choice: Choice, names: Mapping[str, Build], sizes: Sizes) -> Found:
    """Build the contenders of a cell, time them in turns and compare their results with the first one."""
    network = choice.open()
    if sizes.side % network.settings.multiple_of:
        raise DiffIRError(f"{choice} takes photos whose sides are multiples of {network.settings.multiple_of}")
    lq = random_photo(cell.batch, cell.side, cell.side, sizes.device)
    ready: dict[str, _Ready] = {}
    failed: dict[str, str] = {}
    too_late: list[str] = []
    for name, precision, build in builds(dict(names), sizes.precisions):
        if time.monotonic() >= sizes.deadline:
            too_late.append(name)
            continue
        try:
            ready[name] = _warmed_up(
                lambda build=build, kind=precision: build(network, lq, kind), precision, name, sizes
            )
        except Exception as error:  # noqa: BLE001 - it is reported, and the other contenders go on
            failed[name] = f"{type(error).__name__}: {error}"

    turns = in_turns({name: one.turn for name, one in ready.items()}, sizes.rounds, sizes.device)
    gflop = gflop_of(network, tuple(lq.shape))
    seconds = {name: [turn / ready[name].calls for turn in found.seconds] for name, found in turns.items()}
    bandwidth = copy_bandwidth(sizes.device, torch.get_num_threads())

    def speed(name: str, one: _Ready) -> Speed:
        median, peak = statistics.median(seconds[name]), sizes.peak(one.precision)
        moved = None if one.bytes_moved is None else one.bytes_moved / 1e9 / median / bandwidth
        return Speed(
            cell=cell,
            contender=name,
            seconds=seconds[name],
            ratios=_ratios(seconds, "eager", name),
            ratios_bf16=_ratios(seconds, "eager-bf16", name),
            first_seconds=one.first_seconds,
            gflop=gflop,
            share_of_matrix_peak=None if peak is None else gflop / median / peak,
            gigabytes_moved=None if one.bytes_moved is None else one.bytes_moved / 1e9,
            share_of_copy_bandwidth=moved,
            peak_megabytes=one.peak_megabytes,
            difference=(one.restored - ready["eager"].restored).abs().max().item() if "eager" in ready else None,
        )

    rows = [speed(name, one) for name, one in ready.items()]
    lines = ["", f"{cell}, {gflop:.3g} GFLOP", HEAD, *(row.line() for row in rows)]
    lines += [f"{name} failed: {' '.join(reason.split())[:300]}" for name, reason in failed.items()]
    lines += [f"{name} was not run: the time is over" for name in too_late]
    document = [row.figures() for row in rows]
    document += [{**asdict(cell), "contender": name, "not_run": "the time is over"} for name in too_late]
    document += [{**asdict(cell), "contender": name, "failed": reason} for name, reason in failed.items()]
    return Found(lines, document, is_right=not failed)


def _warmed_up(build: Callable[[], Callable[[], Tensor]], precision: Precision, name: str, sizes: Sizes) -> _Ready:
    """Build a contender and call it until it no longer changes; measure what needs no turns."""
    before = 0
    if sizes.is_cuda:
        gc.collect()  # what another contender left must not count as memory before the start
        torch.cuda.reset_peak_memory_stats(sizes.device)
        before = torch.cuda.memory_allocated(sizes.device)

    # Build it, and call it until nothing is compiled or recorded any more. The last result is the one that is compared.
    start = time.perf_counter()
    run = build()
    is_uncompiled = name.removesuffix("-bf16") not in MODES
    # Compiled graphs do without gradients anyway, and not every version of torch compiles in inference mode.
    call = (torch.inference_mode if is_uncompiled else torch.no_grad)()(run)
    call()
    synchronise(sizes.device)
    first = time.perf_counter() - start
    for _ in range(_WARM_UP - 2):
        call()
    restored = call().cpu()
    peak = (torch.cuda.max_memory_allocated(sizes.device) - before) / 1e6 if sizes.is_cuda else None

    # A turn has so many calls that starting and stopping the clock does not matter.
    once, _ = timed(call, sizes.device)
    calls = min(max(1, round(sizes.turn_seconds / max(once, 1e-6))), _MOST_CALLS)
    return _Ready(call, precision, first, calls, bytes_moved_by(run) if is_uncompiled else None, peak, restored)


def _ratios(seconds: Mapping[str, list[float]], first: str, name: str) -> list[float]:
    """Seconds of the contender ``first`` divided by those of another one, round by round; empty without the first."""
    return [slow / fast for slow, fast in zip(seconds[first], seconds[name], strict=True)] if first in seconds else []
