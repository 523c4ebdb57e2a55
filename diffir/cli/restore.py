"""``diffir restore``: restore photos, animations and videos.

This module defines the flags and turns them into arguments of the library. The first line of the output names network
and device, then each file has a line, and the last line is a summary; ``--json`` prints the same for programs. Exit
code 0: all restored or skipped; 1: some files failed; 2: wrong usage; 130: interrupted.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from diffir.cli.restore_report import JSON_FIELDS, JsonReport, Report, Tally, TextReport
from diffir.cli.system_flags import add_system_flags, foreign_options, given_options
from diffir.errors import UsageError, WeightsError

if TYPE_CHECKING:
    from torch import Tensor

    from diffir.batch.events import Settings
    from diffir.batch.jobs import Job
    from diffir.inference.restorer import Restorer

DEFAULT_OUTPUT = "restored"
_EPILOG = f"""\
-o names a file if it ends like one (out.png, out.mp4) and one file is restored; otherwise it names a folder, which
is created if it is missing. A slash at its end always means a folder.
Without -o, results go to the folder "restored". Inputs are never overwritten, and no result is left incomplete.
After Ctrl-C the current file is finished; a second Ctrl-C stops at once. The same call with --skip_existing continues.

--json prints objects with a field "event":
{JSON_FIELDS}

exit codes: 0 done, 1 some files failed, 2 wrong usage, 130 interrupted
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``diffir restore``, in groups."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.usage = "diffir restore INPUT ... [-o OUT] [flags]"
    parser.epilog = _EPILOG
    parser.set_defaults(positional="inputs")
    _add_file_flags(parser.add_argument_group("files"))
    _add_format_flags(parser.add_argument_group("results"))
    _add_network_flags(parser.add_argument_group("network"))
    _add_prior_flags(parser.add_argument_group("prior"))
    _add_machine_flags(parser.add_argument_group("machine"))
    add_system_flags(parser)


def _add_file_flags(files: argparse._ArgumentGroup) -> None:
    files.add_argument(
        "inputs", nargs="*", metavar="INPUT", help="photos, animations, videos, folders of photos, or patterns"
    )
    files.add_argument("-i", "--input", nargs="+", action="extend", default=[], metavar="INPUT", help="more inputs")
    files.add_argument("-o", "--output", type=_name, default=DEFAULT_OUTPUT, metavar="OUT", help="file or folder")
    files.add_argument("-r", "--recursive", action="store_true", help="include subfolders, and create the same in OUT")
    files.add_argument("--suffix", default="", metavar="TEXT", help="added to each name: photo.jpg -> photoTEXT.jpg")
    files.add_argument("--skip_existing", action="store_true", help="skip photos whose result exists already")
    files.add_argument(
        "--mask",
        type=_mask,
        metavar="MASK",
        help="for inpainting, above 0 in the missing region: one file, or a folder with masks named like the photos; "
        "or the word alpha (the transparent parts) or infrared (dust on a film scan that has this channel)",
    )
    files.add_argument(
        "--mask_grow",
        type=_whole,
        default=0,
        metavar="PIXELS",
        help="also restore this margin around the mask and blend it into the photo, against rims and hard edges",
    )
    files.add_argument(
        "--max_pixels", type=_positive, metavar="N", help="refuse larger photos before decoding (default: 500000000)"
    )


def _add_format_flags(results: argparse._ArgumentGroup) -> None:
    results.add_argument(
        "--ext",
        choices=["auto", "png", "jpg", "webp", "tif", "avif", "gif", "bmp"],
        default="auto",
        help="format of photos; auto (default): that of the input, or another one if it cannot hold the result",
    )
    results.add_argument(
        "--quality",
        type=_quality,
        default=95,
        metavar="1-100",
        help="quality of JPEG, WebP, AVIF and videos (default: 95)",
    )
    results.add_argument("--strip_metadata", action="store_true", help="do not copy EXIF, XMP and resolution")
    results.add_argument("--json", action="store_true", help="print JSON for programs, see below")


def _add_network_flags(network: argparse._ArgumentGroup) -> None:
    choice = network.add_mutually_exclusive_group()
    choice.add_argument("-n", "--model_name", metavar="NAME", help="a name from diffir models; default: shipped")
    choice.add_argument("--model_path", type=_path, metavar="FILE", help="a weights file: .safetensors, .pth, .ckpt")
    network.add_argument(
        "--strength",
        type=float,
        default=1.0,
        metavar="0-1",
        help="0: the input, 1: restored (default), or a mix of both",
    )
    network.add_argument("--seamless", action="store_true", help="for textures that are tiled: opposite edges meet")
    network.add_argument("-x", "--tta", action="store_true", help="mean of 8 turned and mirrored runs: 8 x the time")
    network.add_argument("--seed", type=int, default=0, help="seed of the prior's initial noise (default: 0)")


def _add_prior_flags(priors: argparse._ArgumentGroup) -> None:
    priors.add_argument(
        "--save_prior",
        type=_path,
        metavar="OUT",
        help="save the estimated prior (IPR) of each photo: a .safetensors file, or a folder for many",
    )
    choice = priors.add_mutually_exclusive_group()
    choice.add_argument("--prior", type=_path, nargs="+", metavar="FILE", help="use saved priors; several are mixed")
    choice.add_argument("--share_prior", action="store_true", help="use the first frame's prior for all frames")
    priors.add_argument(
        "--prior_mix", type=float, nargs="+", metavar="W", help="weights of the mixed priors (default: equal parts)"
    )


def _add_machine_flags(machine: argparse._ArgumentGroup) -> None:
    device = machine.add_mutually_exclusive_group()
    device.add_argument("--device", default="auto", metavar="NAME", help="auto, cpu, cuda, cuda:N or mps")
    device.add_argument(
        "-g", "--gpu_id", type=_gpu_ids, metavar="N[,N...]", help="use cuda:N; several GPUs share the files"
    )
    precision = machine.add_mutually_exclusive_group()
    precision.add_argument(
        "--precision",
        choices=["auto", "fp32", "bf16", "fp16"],
        default="auto",
        help="auto: bf16 on CUDA and on CPUs that are faster with it, otherwise fp32",
    )
    precision.add_argument("--fp32", dest="precision", action="store_const", const="fp32", help="--precision fp32")
    machine.add_argument(
        "-t",
        "--tile",
        type=int,
        default=0,
        metavar="PIXELS",
        help="side of tiles in pixels of the input; 0 (default): tiles only if memory requires them; -1: never",
    )
    machine.add_argument(
        "--tile_overlap", type=int, default=32, metavar="PIXELS", help="overlap of neighbouring tiles (default: 32)"
    )
    machine.add_argument(
        "--batch_size",
        type=_positive,
        metavar="N",
        help="photos of the same size restored together (default: 1 on the CPU, up to 4 on CUDA)",
    )


def run(args: argparse.Namespace) -> int:
    """Check the arguments, restore all inputs, and report."""
    from diffir.batch.jobs import plan_jobs
    from diffir.batch.own_mask import own_mask_kind

    if args.prior_mix and not args.prior:
        raise UsageError("--prior_mix needs --prior: it gives the weights of its files")
    if args.mask_grow and args.mask is None:
        raise UsageError("--mask_grow needs --mask: it widens the mask")

    # Plan which input becomes which file.
    jobs = plan_jobs(
        [*args.inputs, *args.input],
        args.output,
        suffix=args.suffix,
        ext=args.ext,
        recursive=args.recursive,
        mask=None if own_mask_kind(args.mask) else args.mask,
        save_prior=args.save_prior,
        skip_existing=args.skip_existing,
        protected_paths=[path for path in (*(args.prior or ()), args.model_path) if path is not None],
    )
    video = next((job.source for job in jobs if job.is_video), None)
    if args.strip_metadata and video is not None:
        raise UsageError(f"--strip_metadata is for photos, and {video} is a video")

    # Load the network once per device, and check that it suits the inputs.
    restorers = _load(args)
    restorer = restorers[0]
    if restorer.has_mask != (args.mask is not None):
        needs = "fills holes and needs --mask" if restorer.has_mask else "takes no --mask"
        raise UsageError(f"{restorer.name} {needs}")

    # Restore, and report on the terminal or as JSON.
    settings = _settings(args, _given_prior(args, restorer))
    return _restore_all(restorers, jobs, settings, JsonReport() if args.json else TextReport())


def _load(args: argparse.Namespace) -> list[Restorer]:
    """A restorer for each device."""
    from diffir.api import load, system_of_source

    source = args.model_path or args.model_name
    devices = [args.device] if args.gpu_id is None else [f"cuda:{number}" for number in args.gpu_id]
    try:
        system = system_of_source(source)
        for option in foreign_options(args, [system]):
            raise UsageError(f"--{option} is no option of {system.name} networks: drop it")
        return [
            load(
                source,
                device=device,
                precision=args.precision,
                tile=args.tile,
                tile_overlap=args.tile_overlap,
                tta=args.tta,
                strength=args.strength,
                seed=args.seed,
                seamless=args.seamless,
                mask_grow=args.mask_grow,
                **given_options(args, system),
            )
            for device in devices
        ]
    except WeightsError as error:  # the file that a flag names is at fault
        raise UsageError(str(error)) from error


def _given_prior(args: argparse.Namespace, restorer: Restorer) -> Tensor | None:
    if args.prior is None:
        return None
    from diffir.inference.prior_file import load_prior, mix_priors

    priors = []
    for path in args.prior:
        prior, name = load_prior(path)
        if name != restorer.name:
            raise UsageError(f"{path} is a prior of {name}, which {restorer.name} cannot use")
        priors.append(prior)
    return mix_priors(priors, args.prior_mix)


def _settings(args: argparse.Namespace, prior: Tensor | None) -> Settings:
    from diffir.batch.events import AUTO_BATCH, Settings
    from diffir.batch.own_mask import own_mask_kind
    from diffir.image_io import MAX_PIXELS

    return Settings(
        quality=args.quality,
        max_pixels=args.max_pixels or MAX_PIXELS,
        strip_metadata=args.strip_metadata,
        skip_existing=args.skip_existing,
        batch_size=args.batch_size or AUTO_BATCH,
        mask_from=own_mask_kind(args.mask),
        share_prior=args.share_prior,
        prior=prior,
    )


def _restore_all(restorers: Sequence[Restorer], jobs: Sequence[Job], settings: Settings, report: Report) -> int:
    from diffir.batch.batch import run_jobs
    from diffir.batch.events import Stop
    from diffir.cli.interrupts import EXIT_INTERRUPTED, stopping_on_signals

    # A signal requests a stop; the file in progress is finished.
    stop, tally, start = Stop(), Tally(len(jobs)), time.perf_counter()
    report.start(restorers, len(jobs))
    with stopping_on_signals(stop):
        events = run_jobs(
            restorers,
            jobs,
            settings,
            on_progress=lambda job, share: report.progress(job.source, share),
            stop=stop,
        )
        with closing(events):
            for event in events:
                tally.count(event)
                report.event(event)
        tally.seconds, tally.is_interrupted = time.perf_counter() - start, stop.is_requested
        report.finish(tally)
    if stop.is_requested:
        return EXIT_INTERRUPTED
    return 1 if tally.failed else 0


def _name(text: str) -> str:
    if not text:
        raise argparse.ArgumentTypeError("must not be empty; the current folder is .")
    return text


def _path(text: str) -> Path:
    return Path(_name(text))


def _mask(text: str) -> Path | str:
    return text if text in ("alpha", "infrared") else _path(text)


def _whole(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"must be a whole number, 0 or more, not {text!r}")
    return int(text)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number above 0, not {text!r}")
    return int(text)


def _quality(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 100:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 to 100, not {text!r}")
    return int(text)


def _gpu_ids(text: str) -> list[int]:
    words = text.split(",")
    if not all(word.isdecimal() for word in words) or len(set(words)) < len(words):
        raise argparse.ArgumentTypeError(f"must be different numbers such as 0 or 0,1, not {text!r}")
    return [int(word) for word in words]
