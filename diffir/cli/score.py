"""``diffir score RESTORED GT``: PSNR and SSIM of a folder of restored images (or one file) against its ground truth.

Files are matched by name without suffix; a missing partner on either side is an error, never a skipped image. Also
holds what ``diffir eval`` prints alike: metric flags, the table, the JSON file.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffir.errors import UsageError

if TYPE_CHECKING:
    from diffir.evaluation import Evaluation, Sample
    from diffir.metrics.protocol import Protocol


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of ``diffir score``."""
    parser.add_argument("restored", type=Path, help="folder of restored images, or one image")
    parser.add_argument("gt", type=Path, help="folder of ground truths, or one image")
    parser.add_argument("--suffix", default="", help="what restored names end in beyond the ground truth's: _restored")
    add_metric_arguments(parser)


def add_metric_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags that every command with scores takes."""
    parser.add_argument("--metrics", default="psnr,ssim", help="comma-separated: psnr, ssim")
    parser.add_argument("--crop_border", type=int, metavar="PIXELS", help="cut from each side before comparing")
    parser.add_argument(
        "--test_y_channel",
        type=_truth,
        nargs="?",
        const=True,
        metavar="true|false",
        help="compare BT.601 luma (16-235) instead of RGB",
    )
    parser.add_argument(
        "--convention", choices=["basicsr", "matlab"], help="luma in float (basicsr) or rounded to 8 bit (matlab)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write scores of every image and the protocol")


def run(args: argparse.Namespace) -> int:
    """Score and print."""
    from tqdm import tqdm

    from diffir.evaluation import evaluate
    from diffir.metrics.protocol import Protocol
    from diffir.metrics.table import get_metrics

    protocol, metrics = protocol_from(args, Protocol()), metrics_from(args)
    pairs = _match(args.restored, args.gt, args.suffix)
    check_json_target(args.json)
    samples = _read(tqdm(pairs, "score", leave=False, unit="image", disable=None))
    result = evaluate(lambda sample: sample.lq, samples, metrics, protocol, round_output=False)
    definitions = [metric.definition for metric in get_metrics(metrics)]
    number = f"{len(pairs)} image{'s' if len(pairs) > 1 else ''}"
    line = "; ".join([f"mean over {number} against {args.gt}, as stored", str(protocol), *definitions])
    print(scores_table([(args.restored.name, result)], metrics, timed=False))
    print(f"protocol: {line}")
    if args.json:
        write_json(args.json, {"protocol": line, **result.to_dict(timed=False)})
    return 0


def protocol_from(args: argparse.Namespace, default: Protocol) -> Protocol:
    """The default with the flags that were given laid over it."""
    given = {name: getattr(args, name) for name in ("crop_border", "test_y_channel", "convention")}
    return replace(default, **{name: value for name, value in given.items() if value is not None})


def metrics_from(args: argparse.Namespace) -> list[str]:
    """Names of the metrics asked for, all of which exist."""
    from diffir.metrics.table import get_metrics

    return [metric.name for metric in get_metrics(args.metrics.split(","))]


def scores_table(rows: Sequence[tuple[str, Evaluation]], metrics: Sequence[str], *, timed: bool = True) -> str:
    """Aligned text: one row per method with its means and seconds per image."""
    from diffir.metrics.table import get_metrics

    columns = get_metrics(metrics)
    lines = [["method", *(column.heading for column in columns), *(["s/image"] if timed else [])]]
    for name, result in rows:
        means = [f"{result.means[column.name]:.{column.digits}f}" for column in columns]
        lines.append([name, *means, *([f"{result.seconds:.3f}"] if timed else [])])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]) for line in lines)


def check_json_target(path: Path | None) -> None:
    """Find out before the work starts whether its result can be written.

    Raises:
        UsageError: a folder, or a place where no file can be made.
    """
    if path is None or (path.exists() and not path.is_file() and not path.is_dir()):  # a device, such as /dev/null
        return
    if path.is_dir():
        raise UsageError(f"--json {path} is a folder: name a file")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise UsageError(f"--json {path} cannot be written: {error.strerror}") from error


def write_json(path: Path, result: Mapping[str, Any]) -> None:
    """Write a result with the versions behind it.

    Raises:
        UsageError: the disk refuses.
    """
    import platform
    from importlib.metadata import version

    from diffir import __version__
    from diffir.files import write_atomically

    versions = {"diffir": __version__, "python": platform.python_version()}
    versions |= {name: version(name) for name in ("numpy", "torch")}
    text = json.dumps({"versions": versions, **result}, indent=1, ensure_ascii=False)
    try:
        with write_atomically(path) as file:
            file.write(f"{text}\n".encode())
    except OSError as error:
        raise UsageError(f"--json {path} cannot be written: {error.strerror}") from error


def _match(restored: Path, gt: Path, suffix: str) -> list[tuple[str, Path, Path]]:
    """Name, restored file, ground-truth file."""
    from diffir.data.cards import files_by_id, matched_ids

    if restored.is_file() and gt.is_file():
        return [(gt.stem, restored, gt)]
    for path in (restored, gt):
        if not path.is_dir():
            raise UsageError(f"{path} is not a folder; RESTORED and GT are two folders or two image files")
    lefts, rights = files_by_id(restored, "{id}" + suffix), files_by_id(gt)
    if not rights:
        raise UsageError(f"no image in {gt}")
    names = matched_ids(lefts, rights, f"restored images in {restored}", f"ground truths in {gt}")
    return [(name, lefts[name], rights[name]) for name in names]


def _read(pairs: Iterable[tuple[str, Path, Path]]) -> Iterator[Sample]:
    """The restored image stands for the input that nothing is done to."""
    from diffir.evaluation import Sample
    from diffir.image_io import read_image
    from diffir.pixels import as_rgb

    for name, *paths in pairs:
        images = [read_image(path).pixels for path in paths]
        if images[0].shape[2] != images[1].shape[2]:  # one of the two was stored as grey
            images = [as_rgb(image) for image in images]
        yield Sample(name, *images)


def _truth(text: str) -> bool:
    """argparse type: true or false, as option files spell it."""
    if text.lower() not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"expected true or false, got {text!r}")
    return text.lower() == "true"
