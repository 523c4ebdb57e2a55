"""``diffir eval``: score methods on a benchmark, with every convention printed beside the numbers.

A method is a baseline, a network of the catalogue or a weights file. The protocol comes from the task of the first
network, else from the first baseline; flags override it. All methods of one call are scored with this one protocol;
networks of different protocols or methods of different scales in one call are an error.
"""

from __future__ import annotations

import argparse
import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffir.cli.score import (
    add_metric_arguments,
    check_json_target,
    metrics_from,
    protocol_from,
    scores_table,
    write_json,
)
from diffir.errors import ImageError, UsageError

if TYPE_CHECKING:
    import numpy as np

    from diffir.baselines.table import Method
    from diffir.data.cards import DatasetCard, ImageFiles
    from diffir.evaluation import DownscaleTest, Evaluation, LowResolution, NoiseTest, Sample
    from diffir.metrics.protocol import Protocol


@dataclass(frozen=True)
class Contestant:
    """A method and what it brings along."""

    method: Method
    protocol: Protocol
    summary: str
    round_output: bool = True
    network: dict[str, Any] = field(default_factory=dict)
    """Of a network: its weights and how it runs, in plain types; empty for a baseline."""

    @property
    def is_network(self) -> bool:
        return bool(self.network)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of ``diffir eval``."""
    parser.add_argument(
        "-n",
        "--model_name",
        required=True,
        metavar="NAME[,NAME]",
        help="baselines (input, bicubic_x2, bicubic_x3, bicubic_x4, nlm, dct), networks (diffir models), weights files",
    )
    parser.add_argument("-d", "--dataset", required=True, metavar="SET", help="a card's name or path, or a folder")
    parser.add_argument("--data_root", type=Path, help="where the sets lie; default: $DIFFIR_DATA, else datasets/")
    parser.add_argument("--sigma", type=float, help="add Gaussian noise of this standard deviation, in 1/255")
    parser.add_argument(
        "--lr",
        choices=["rgb8", "y_float"],
        help="input of super-resolution: 8-bit RGB, or float luma as for the published bicubic rows",
    )
    add_metric_arguments(parser)
    parser.add_argument("--limit", type=int, metavar="N", help="the first N images only")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps (networks)")
    parser.add_argument(
        "--precision",
        default="fp32",
        choices=["auto", "fp32", "bf16", "fp16"],
        help="of networks; default: fp32 on every device, unlike diffir restore, so that scores can be compared",
    )
    parser.add_argument("-t", "--tile", type=int, default=0, help="side of tiles in pixels; 0: by memory, -1: none")
    parser.add_argument(
        "--stats",
        default="auto",
        choices=["auto", "tile", "global", "local"],
        help="where attention of networks looks; auto: local for diffir's weights, global for released checkpoints",
    )
    parser.add_argument("-x", "--tta", action="store_true", help="self-ensemble of networks: mean over the eight turns")


def run(args: argparse.Namespace) -> int:
    """Evaluate and print."""
    from diffir.data.cards import find_images, load_card

    metrics = metrics_from(args)
    if args.sigma is not None and not 0 <= args.sigma < math.inf:
        raise UsageError(f"--sigma must be a number of 0 or more, got {args.sigma:g}")
    check_json_target(args.json)
    card = load_card(args.dataset)
    files = find_images(card, args.data_root)
    if args.limit is not None and args.limit < 1:
        raise UsageError(f"--limit must be 1 or more, got {args.limit}")
    files = files[: args.limit]
    contestants = [_load(name, args) for name in args.model_name.split(",")]
    protocol = _choose_protocol(args, contestants)
    test = _choose_test(args, card, contestants, protocol)

    results = [_evaluate(contestant, files, test, metrics, protocol) for contestant in contestants]
    number = f"{len(files)} of {card.count}" if card.count else f"{len(files)}"
    images = "image" if number == "1" else "images"
    line = _protocol_line(f"{card.name}, mean over {number} {images}", test, contestants, protocol, metrics)
    rows = [(c.method.name, result) for c, result in zip(contestants, results, strict=True)]
    print(scores_table(rows, metrics))
    print(f"protocol: {line}")
    print("\n".join(f"{c.method.name}: {c.summary}" for c in contestants))
    if args.json:
        methods = [
            {"name": c.method.name, "summary": c.summary, "network": c.network or None, **r.to_dict()}
            for c, r in zip(contestants, results, strict=True)
        ]
        degradation = {"description": str(test), **asdict(test)} if test else None
        facts = {"dataset": card.name, "count": len(files), "degradation": degradation, "protocol": line}
        write_json(args.json, {**facts, "methods": methods})
    return 0


def _load(name: str, args: argparse.Namespace) -> Contestant:
    """A baseline of that name, else a network."""
    from diffir.baselines.table import BASELINES, get_baseline

    if name in BASELINES:
        row = BASELINES[name]
        knowledge = ", told the true sigma" if args.sigma is not None else ", sigma estimated from each image"
        summary = row.summary + (knowledge if row.takes_sigma else "")
        return Contestant(get_baseline(name, args.sigma), row.protocol, summary, row.round_output)
    from diffir.inference.restorer import load
    from diffir.metrics.protocol import Protocol
    from diffir.tasks import get_task
    from diffir.weights.load import locate

    try:
        path = locate(name)
        restorer = load(
            path, device=args.device, precision=args.precision, tile=args.tile, stats=args.stats, tta=args.tta
        )
    except UsageError as error:
        raise UsageError(f"{error}; baselines: {', '.join(BASELINES)}") from error
    scale = restorer.scale
    without_task = Protocol(crop_border=scale, test_y_channel=True) if scale > 1 else Protocol()
    protocol = get_task(restorer.task).protocol if restorer.task else without_task
    facts = (
        f"task {restorer.task or 'unknown'}, {restorer.device}, {restorer.precision}, {restorer.stats} statistics, "
        f"{'self-ensemble, ' if restorer.tta else ''}prior seed {restorer.seed}"
    )
    network = {
        "weights": path.name,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "task": restorer.task,
        "device": str(restorer.device),
        "precision": restorer.precision,
        "tile": restorer.tile,
        "tile_overlap": restorer.tile_overlap,
        "stats": restorer.stats,
        "tta": restorer.tta,
        "seed": restorer.seed,
    }
    return Contestant(restorer, protocol, f"network; {facts}", network=network)


def _choose_protocol(args: argparse.Namespace, contestants: Sequence[Contestant]) -> Protocol:
    """That of the networks, else of the first baseline, with the flags laid over it."""
    leaders = [c for c in contestants if c.is_network] or contestants[:1]
    protocols = [protocol_from(args, c.protocol) for c in leaders]
    if len(set(protocols)) > 1:
        listing = "; ".join(f"{c.method.name}: {p}" for c, p in zip(leaders, protocols, strict=True))
        raise UsageError(f"networks of different protocols cannot share a table without flags that decide: {listing}")
    return protocols[0]


def _choose_test(
    args: argparse.Namespace, card: DatasetCard, contestants: Sequence[Contestant], protocol: Protocol
) -> NoiseTest | DownscaleTest | None:
    """How inputs are made from clean images; None for a set that has them."""
    from diffir.evaluation import DownscaleTest, NoiseTest

    scales = {c.method.scale for c in contestants}
    if len(scales) > 1:
        listing = ", ".join(f"{c.method.name} x{c.method.scale}" for c in contestants)
        raise UsageError(f"methods of different scale cannot share a table: {listing}")
    scale = scales.pop()
    if args.sigma is not None and (scale > 1 or card.input):
        reason = f"{card.name} has its own inputs" if card.input else f"the methods enlarge x{scale}"
        raise UsageError(f"--sigma makes noisy inputs of the same size, but {reason}")
    if args.lr and (scale == 1 or card.input):
        raise UsageError("--lr is for methods that enlarge, on a set of clean images")
    if card.input:
        return None
    if scale > 1:
        return DownscaleTest(scale, _choose_low_resolution(args.lr, contestants, protocol))
    if args.sigma is None:
        raise UsageError(f"{card.name} holds clean images: say how to degrade them, such as --sigma 25")
    return NoiseTest(args.sigma)


def _choose_low_resolution(
    asked: LowResolution | None, contestants: Sequence[Contestant], protocol: Protocol
) -> LowResolution:
    """``y_float`` where every method is a baseline scored on rounded luma; elsewhere the 8-bit RGB of the field."""
    fits = protocol.test_y_channel and protocol.convention == "matlab" and not any(c.is_network for c in contestants)
    if asked == "y_float" and not fits:
        raise UsageError("--lr y_float is rounded luma alone: only for baselines, on Y with --convention matlab")
    return asked or ("y_float" if fits else "rgb8")


def _evaluate(
    contestant: Contestant,
    files: Sequence[ImageFiles],
    test: NoiseTest | DownscaleTest | None,
    metrics: Sequence[str],
    protocol: Protocol,
) -> Evaluation:
    from tqdm import tqdm

    from diffir.evaluation import evaluate

    samples = tqdm(_read(files, test), contestant.method.name, len(files), leave=False, unit="image", disable=None)
    restore = contestant.method.restore
    return evaluate(lambda sample: restore(sample.lq), samples, metrics, protocol, round_output=contestant.round_output)


def _read(files: Sequence[ImageFiles], test: NoiseTest | DownscaleTest | None) -> Iterator[Sample]:
    from diffir.evaluation import Sample

    for file in files:
        gt = _read_8bit(file.gt)
        if test is not None:
            yield test(file.name, gt)
        elif file.input is not None:
            yield Sample(file.name, _read_8bit(file.input), gt)


def _read_8bit(path: Path) -> np.ndarray:
    from diffir.image_io import read_image

    pixels = read_image(path).pixels
    if pixels.dtype != "uint8":
        raise ImageError(f"{path}: benchmarks are 8-bit images, this one is {pixels.dtype}")
    return pixels


def _protocol_line(
    dataset: str,
    test: NoiseTest | DownscaleTest | None,
    contestants: Sequence[Contestant],
    protocol: Protocol,
    metrics: Sequence[str],
) -> str:
    """Every convention behind the scores."""
    from diffir.metrics.table import get_metrics

    kept = [c.method.name for c in contestants if not c.round_output]
    output = "output clipped and rounded to 8 bit" + (f" ({', '.join(kept)}: scored as it is)" if kept else "")
    parts = [
        dataset,
        str(test or "inputs of the set"),
        output,
        str(protocol),
        *(m.definition for m in get_metrics(metrics)),
    ]
    return "; ".join(parts)
