"""The parts that ``diffir eval`` and ``diffir score`` share: metric flags, the printed table, the JSON file."""

from __future__ import annotations

import argparse
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffir.cli.terminal import printable
from diffir.errors import UsageError

if TYPE_CHECKING:
    from diffir.evaluation import Evaluation
    from diffir.metrics.protocol import Protocol
    from diffir.metrics.table import LoadedMetrics


def add_metric_arguments(group: argparse._ActionsContainer) -> None:
    """Add the flags that every command with scores takes."""
    group.add_argument("--metrics", metavar="M[,M]", help="default: psnr,ssim; docs/metrics.md lists all")
    group.add_argument("--crop_border", type=int, metavar="PIXELS", help="cut from each side before comparing")
    group.add_argument(
        "--test_y_channel",
        type=_truth,
        nargs="?",
        const=True,
        metavar="true|false",
        help="compare BT.601 luma (16-235) instead of RGB",
    )
    group.add_argument(
        "--convention", choices=["basicsr", "matlab"], help="luma in float (basicsr) or rounded to 8 bit (matlab)"
    )
    group.add_argument(
        "--metric_file",
        action="append",
        default=[],
        metavar="NAME=FILE",
        help="weights of a metric, such as alexnet=FILE; may be repeated",
    )
    group.add_argument("--download", action="store_true", help="download missing weights of metrics")


def protocol_from(args: argparse.Namespace, default: Protocol) -> Protocol:
    """Return the default protocol, with the fields that flags override."""
    given = {name: getattr(args, name) for name in ("crop_border", "test_y_channel", "convention")}
    return replace(default, **{name: value for name, value in given.items() if value is not None})


def metrics_from(args: argparse.Namespace, default: str = "psnr,ssim") -> list[str]:
    """Return the names of the requested metrics; all of them exist."""
    from diffir.metrics.table import get_metrics

    return [metric.name for metric in get_metrics((args.metrics or default).split(","))]


def meter_from(args: argparse.Namespace, names: Sequence[str], device: str = "cpu") -> LoadedMetrics:
    """Load the metrics and their weights.

    Raises:
        UsageError: a ``--metric_file`` is not NAME=FILE, or none of the metrics can be computed.
    """
    from diffir.metrics.table import LoadedMetrics

    files = {}
    for given in args.metric_file:
        name, equals, path = given.partition("=")
        if not equals:
            raise UsageError(f"--metric_file {given} is not NAME=FILE, such as alexnet=alexnet-owt-7be5be79.pth")
        files[name] = Path(path)
    meter = LoadedMetrics.prepare(names, files=files, download=args.download, device=device)
    if not meter.names:
        raise UsageError("; ".join(skipped_lines(meter.skipped)))
    return meter


def skipped_lines(skipped: Mapping[str, str]) -> list[str]:
    """Write one line for each metric that could not be computed."""
    return [f"{name} skipped: {reason}" for name, reason in skipped.items()]


def scores_table(title: str, rows: Sequence[tuple[str, Evaluation]]) -> list[str]:
    """Format an aligned table as lines: a row per method with its means, an interval and seconds per image.

    Args:
        rows: name of the method, and its scores.
    """
    from diffir.metrics.table import get_metrics

    # The columns that at least one row can fill.
    columns = get_metrics(list(rows[0][1].scores))
    timed = any(evaluation.seconds is not None for _, evaluation in rows)
    sure = any(interval(evaluation) for _, evaluation in rows)

    # The head, then a line for each method.
    head = [column.heading for column in columns]
    lines = [[title, *head, *(["95 % of " + columns[0].title] if sure else []), *(["s/image"] if timed else [])]]
    for name, evaluation in rows:
        means = [f"{evaluation.means[column.name]:.{column.digits}f}" for column in columns]
        seconds = "-" if evaluation.seconds is None else f"{evaluation.seconds:.3f}"
        lines.append([name, *means, *([interval(evaluation)] if sure else []), *([seconds] if timed else [])])

    # Align the first column to the left, the numbers to the right.
    lines = [[printable(cell) for cell in line] for line in lines]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ["  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]) for line in lines]


def interval(evaluation: Evaluation) -> str:
    """Format the 95 % interval of the first metric's mean; empty if it is not known or not finite."""
    from diffir.metrics.table import get_metrics

    name, score = next(iter(evaluation.scores.items()))
    if score.low is None or score.high is None or not (math.isfinite(score.low) and math.isfinite(score.high)):
        return ""
    digits = get_metrics([name])[0].digits
    return f"{score.low:.{digits}f} to {score.high:.{digits}f}"


def check_target(path: Path | None, flag: str) -> None:
    """Check before the work starts whether its result can be written; creates nothing.

    Raises:
        UsageError: the path is a folder, or no file can be created there.
    """
    if path is None or (path.exists() and not path.is_file() and not path.is_dir()):  # a device, such as /dev/null
        return
    if path.is_dir():
        raise UsageError(f"{flag} {path} is a folder: name a file")
    # The nearest folder that exists must be writable; missing folders are made later.
    above = next(folder for folder in path.absolute().parents if folder.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        reason = "not writable" if above.is_dir() else "no folder"
        raise UsageError(f"{flag} {path} cannot be written: {above} is {reason}")


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write a document as JSON.

    Raises:
        UsageError: the file cannot be written.
    """
    from diffir.files import write_atomically

    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)
    try:
        with write_atomically(path) as file:
            file.write(f"{text}\n".encode("utf-8", "backslashreplace"))  # half of a pair becomes \\udce9, as JSON wants
    except OSError as error:
        raise UsageError(f"--json {path} cannot be written: {error.strerror}") from error


def _truth(text: str) -> bool:
    """argparse type: true or false, as option files spell it."""
    if text.lower() not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"expected true or false, got {text!r}")
    return text.lower() == "true"
