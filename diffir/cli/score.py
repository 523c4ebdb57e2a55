"""``diffir score RESTORED GT``: score a folder of restored images (or one file) against its ground truth.

Files are matched by name without suffix. An image without a partner is an error; it is never skipped. Without GT, only
metrics that need no ground truth are used.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from diffir.cli.scores import (
    add_metric_arguments,
    check_target,
    meter_from,
    metrics_from,
    protocol_from,
    scores_table,
    skipped_lines,
    write_json,
)
from diffir.cli.terminal import progress_bar, say_lines, say_paragraph
from diffir.errors import UsageError

if TYPE_CHECKING:
    from diffir.evaluation import Evaluation, Sample
    from diffir.evaluation.document import Result


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``diffir score`` to a parser."""
    parser.add_argument("restored", type=Path, help="folder of restored images, or one image")
    parser.add_argument("gt", type=Path, nargs="?", help="folder of ground truths, or one image")
    parser.add_argument(
        "--suffix",
        default="",
        help="ending of restored names that the ground truth's names lack, such as _restored (default: nothing)",
    )
    add_metric_arguments(parser)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write scores of every image and the protocol")


def run(args: argparse.Namespace) -> int:
    """Score, print and write the JSON file; return the exit code."""
    check_target(args.json, "--json")
    from diffir.evaluation import evaluate
    from diffir.evaluation.document import conventions, document_of, document_to_json
    from diffir.metrics.protocol import Protocol
    from diffir.report.sections import left_out_images

    # Match the files and load the metrics.
    names = metrics_from(args, "niqe" if args.gt is None else "psnr,ssim")
    protocol = protocol_from(args, Protocol())
    pairs = _alone(args.restored) if args.gt is None else _match(args.restored, args.gt, args.suffix)
    meter = meter_from(args, names)

    # Score the images as they are stored: nothing is restored, rounded or timed.
    samples = _read(progress_bar("score", len(pairs), iterable=pairs, unit="image"))
    evaluation = evaluate(lambda sample: sample.lq, samples, meter, protocol, round_output=False, timed=False)

    # Print the table with its conventions.
    number = f"{len(pairs)} image{'s' if len(pairs) > 1 else ''}"
    against = "without ground truth" if args.gt is None else f"against {args.gt.name}"
    line = "; ".join([f"mean over {number} {against}, as stored", *conventions(protocol, list(evaluation.scores))])
    say_lines(scores_table("images", [(args.restored.name, evaluation)]))
    say_paragraph(f"protocol: {line}")
    result = _result(args, pairs, evaluation, line)
    for sentence in (*skipped_lines(evaluation.skipped), *left_out_images(result)):
        say_paragraph(sentence)
    if args.json:
        write_json(args.json, document_to_json(document_of([result])))
    return 0


def _result(
    args: argparse.Namespace, pairs: Sequence[tuple[Path | str, ...]], evaluation: Evaluation, line: str
) -> Result:
    """Combine the scores with the facts about what was compared, in the form of ``diffir eval``."""
    from diffir.evaluation.cache import hash_of
    from diffir.evaluation.document import Result

    # Hashes of the ground truth, so that several folders compared with the same one share a table.
    hashes = [
        [name, hashlib.sha256(Path(paths[-1]).read_bytes()).hexdigest() if args.gt else ""] for name, *paths in pairs
    ]
    return Result(
        method=args.restored.name,
        kind="folder",
        summary="images as they were stored",
        network={},
        parameters=None,
        multiply_adds=None,
        dataset=(args.gt or args.restored).name,
        count=len(pairs),
        of=len(pairs),
        data_sha256=hash_of({"images": hashes}),
        degradation="as stored",
        degradation_facts={"kind": "given", "description": "inputs are not known"},
        evaluation=evaluation,
        protocol_line=line,
    )


def _alone(restored: Path) -> list[tuple[str, Path]]:
    """List images without ground truth as (name, file)."""
    from diffir.data.cards.cards import files_by_id

    if restored.is_file():
        return [(restored.stem, restored)]
    found = files_by_id(restored) if restored.is_dir() else {}
    if not found:
        raise UsageError(f"{restored} is neither an image nor a folder with images")
    return list(found.items())


def _match(restored: Path, gt: Path, suffix: str) -> list[tuple[str, Path, Path]]:
    """Match images as (name, restored file, ground-truth file)."""
    from diffir.data.cards.cards import files_by_id, matched_ids

    if restored.is_file() and gt.is_file():
        return [(gt.stem, restored, gt)]
    # Both are folders: match names, and report every image without a partner.
    for path in (restored, gt):
        if not path.is_dir():
            raise UsageError(f"{path} is not a folder; RESTORED and GT are two folders or two image files")
    lefts, rights = files_by_id(restored, "{id}" + suffix), files_by_id(gt)
    if not rights:
        raise UsageError(f"no image in {gt}")
    names = matched_ids(lefts, rights, f"restored images in {restored}", f"ground truths in {gt}")
    return [(name, lefts[name], rights[name]) for name in names]


def _read(files: Iterable[tuple[str, Path, Path] | tuple[str, Path]]) -> Iterator[Sample]:
    """Read the samples; the restored image takes the place of the input, which is then scored unchanged."""
    from diffir.evaluation import Sample
    from diffir.image_io import read_image
    from diffir.pixels import as_rgb

    for name, *paths in files:
        images = [read_image(path).pixels for path in paths]
        if len({image.shape[2] for image in images}) > 1:  # one of the two was stored as grey
            images = [as_rgb(image) for image in images]
        yield Sample(name, images[0], images[1] if len(images) > 1 else None)
