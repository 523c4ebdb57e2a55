"""``diffir restore``: photos in, restored photos out.

One line that says what runs where, one line per file, a summary. Results go to stdout, failures and the progress bar
to stderr. Exit code 0: all restored; 1: some files failed; 2: wrong usage.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from diffir.errors import UsageError

if TYPE_CHECKING:
    from diffir.inference.batch import Event, Job
    from diffir.inference.restorer import Restorer

DEFAULT_OUTPUT = Path("restored")
_EPILOG = """\
-o is a file if it ends like an image (out.png) and one file is restored; otherwise it is a folder, made if missing.
Without -o results go to the folder "restored". Inputs are never overwritten.
exit codes: 0 all restored, 1 some files failed, 2 wrong usage
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of ``diffir restore``."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    files = parser.add_argument_group("files")
    files.add_argument("inputs", nargs="*", metavar="INPUT", help="photos, folders of photos, patterns")
    parser.set_defaults(positional="inputs")
    files.add_argument(
        "-i", "--input", nargs="+", action="extend", default=[], metavar="INPUT", help="the same, as a flag"
    )
    files.add_argument("-o", "--output", type=Path, default=DEFAULT_OUTPUT, metavar="OUT", help="file or folder")
    files.add_argument("-r", "--recursive", action="store_true", help="folders below folders, the tree kept")
    files.add_argument("--suffix", default="", metavar="TEXT", help="added to each name: photo.jpg -> photoTEXT.jpg")
    files.add_argument(
        "--ext",
        choices=["auto", "png", "jpg", "webp", "tif"],
        default="auto",
        help="format of results; auto: the input's, png where that cannot be written",
    )
    files.add_argument(
        "--mask",
        type=Path,
        metavar="MASK",
        help="for inpainting, above 0 where a hole is: a file for all, or a folder of masks named as the photos",
    )
    network = parser.add_argument_group("network")
    choice = network.add_mutually_exclusive_group()
    choice.add_argument("-n", "--model_name", metavar="NAME", help="a name that diffir models lists; default: shipped")
    choice.add_argument("--model_path", type=Path, metavar="FILE", help="a weights file: .safetensors, .pth, .ckpt")
    network.add_argument("--seed", type=int, default=0, help="of the noise the prior starts from (default: 0)")
    machine = parser.add_argument_group("machine")
    machine.add_argument(
        "-t",
        "--tile",
        type=int,
        default=0,
        metavar="PIXELS",
        help="side of tiles in pixels of the input; 0: by free memory, whole if it fits (default); -1: never tile",
    )
    machine.add_argument(
        "--tile_overlap", type=int, default=32, metavar="PIXELS", help="shared by neighbouring tiles (default: 32)"
    )
    machine.add_argument("--device", default="auto", metavar="NAME", help="auto, cpu, cuda, cuda:N or mps")
    precision = machine.add_mutually_exclusive_group()
    precision.add_argument(
        "--precision",
        choices=["auto", "fp32", "bf16", "fp16"],
        default="auto",
        help="auto: bf16 on CUDA, fp32 elsewhere",
    )
    precision.add_argument("--fp32", dest="precision", action="store_const", const="fp32", help="--precision fp32")


def run(args: argparse.Namespace) -> int:
    """Restore and print."""
    from diffir.inference.batch import plan_jobs
    from diffir.inference.restorer import load

    jobs = plan_jobs(
        [*args.inputs, *args.input],
        args.output,
        suffix=args.suffix,
        ext=args.ext,
        recursive=args.recursive,
        mask=args.mask,
    )
    restorer = load(
        args.model_path or args.model_name,
        device=args.device,
        precision=args.precision,
        tile=args.tile,
        tile_overlap=args.tile_overlap,
        seed=args.seed,
    )
    if restorer.has_mask != (args.mask is not None):
        needs = "fills holes and needs --mask" if restorer.has_mask else "takes no --mask"
        raise UsageError(f"{restorer.name} {needs}")
    print(_headline(restorer))
    return _restore_all(restorer, jobs)


def _headline(restorer: Restorer) -> str:
    tile = {0: "by memory", -1: "never"}.get(restorer.tile, f"{restorer.tile} overlap {restorer.tile_overlap}")
    enlarged = f" x{restorer.scale}" if restorer.scale > 1 else ""
    return (
        f"model {restorer.name}{enlarged}, device {restorer.device}, precision {restorer.precision}, tile {tile}, "
        f"seed {restorer.seed}"
    )


def _restore_all(restorer: Restorer, jobs: Sequence[Job]) -> int:
    from tqdm import tqdm

    failed, seconds = 0, 0.0
    for event in _with_progress(restorer, jobs):
        seconds += event.seconds
        failed += bool(event.error)
        if event.error:
            tqdm.write(f"diffir: {event.error}", file=sys.stderr)
        else:
            tqdm.write(_result_line(event), file=sys.stdout)
    if len(jobs) > 1:
        print(f"{len(jobs) - failed} restored, {failed} failed, {seconds:.1f} s")
    return 1 if failed else 0


def _with_progress(restorer: Restorer, jobs: Sequence[Job]) -> Iterator[Event]:
    """Events, under a bar on stderr that tells the time left; tiles move it too. No bar where nobody watches."""
    from tqdm import tqdm

    from diffir.inference.batch import run_jobs

    layout = "{percentage:3.0f}%|{bar}| {elapsed}<{remaining}"
    with tqdm(total=len(jobs), unit="photo", leave=False, disable=None, bar_format=layout) as bar:
        finished = 0

        def on_tile(done: int, total: int) -> None:
            bar.update(finished + done / total - bar.n)

        for event in run_jobs(restorer, jobs, on_tile):
            finished += 1
            bar.update(finished - bar.n)
            yield event


def _result_line(event: Event) -> str:
    width, height = event.size
    tile = "whole" if event.tile is None else f"tile {event.tile}"
    losses = f" ({event.losses})" if event.losses else ""
    return f"{event.job.source} -> {event.job.target}  {width} x {height}, {event.seconds:.1f} s, {tile}{losses}"
