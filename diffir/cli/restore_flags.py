"""The flags of ``diffir restore``, in groups, with flags of other programs that mean the same.

In: a parser. Out: the same parser with the flags. Values that cannot be meant are refused here in one line.
"""

import argparse
from pathlib import Path
from typing import Any

from diffir.cli.foreign_flags import ANSWERS
from diffir.cli.parser import Parser
from diffir.cli.restore_report import JSON_FIELDS
from diffir.cli.system_flags import add_system_flags

DEFAULT_OUTPUT = "restored"
_LARGEST_OUTSCALE = 64  # a matter of taste, against typing errors
_EPILOG = f"""\
-o names a file if it ends like one (out.png, out.mp4) and one file is restored; otherwise it names a folder, which
is created if it is missing. A slash at its end always means a folder.
Without -o, results go to the folder "restored", or from standard input to standard output.
Inputs are never overwritten, and no result is left incomplete.
After Ctrl-C the current file is finished; a second Ctrl-C stops at once. The same call with --skip_existing continues.

--json prints objects with a field "event":
{JSON_FIELDS}

exit codes: 0 done, 1 some files failed, 2 wrong usage, 130 interrupted
"""


def add_arguments(parser: Parser) -> None:
    """Add the flags of ``diffir restore``, in groups."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.usage = "diffir restore INPUT ... [-o OUT] [flags]"
    parser.epilog = _EPILOG
    parser.set_defaults(positional="inputs", enlarges=False)
    parser.answers = ANSWERS
    _add_file_flags(parser.add_argument_group("files"))
    results, network = parser.add_argument_group("results"), parser.add_argument_group("network")
    add_format_flags(results)
    _add_output_flags(results)
    add_network_flags(network)
    _add_sample_flags(network)
    _add_prior_flags(parser.add_argument_group("prior"))
    machine = parser.add_argument_group("machine")
    _add_device_flags(machine)
    add_memory_flags(machine)
    add_system_flags(parser)


def _add_file_flags(files: argparse._ArgumentGroup) -> None:
    files.add_argument(
        "inputs",
        nargs="*",
        metavar="INPUT",
        help="photos, animations, videos, folders, or patterns; - is standard input",
    )
    more: dict[str, Any] = {"nargs": "+", "action": "extend", "default": [], "metavar": "INPUT"}
    files.add_argument("-i", "--input", help="more inputs", **more)
    files.add_argument("--input_dir", dest="input", help=argparse.SUPPRESS, **more)  # Restormer's
    output: dict[str, Any] = {"type": _name, "metavar": "OUT"}
    files.add_argument("-o", "--output", help="file or folder; - is standard output", **output)
    files.add_argument("--result_dir", dest="output", help=argparse.SUPPRESS, **output)  # Restormer's
    files.add_argument("-r", "--recursive", action="store_true", help="include subfolders, and create the same in OUT")
    files.add_argument("--suffix", default="", metavar="TEXT", help="added to each name: photo.jpg -> photoTEXT.jpg")
    files.add_argument("--skip_existing", action="store_true", help="skip photos whose result exists already")
    files.add_argument(
        "--dry_run",
        action="store_true",
        help="write nothing, and say what would be written, what each format loses and how long it would take",
    )
    files.add_argument(
        "--shard",
        type=_shard,
        metavar="I/N",
        help="restore part I of N parts of the files, such as 1/4; processes that write to one folder share the files "
        "without it, too",
    )
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


def add_format_flags(results: argparse._ArgumentGroup) -> None:
    """Add the flags that say what is read, and in which form results are written."""
    results.add_argument(
        "--max_pixels", type=positive, metavar="N", help="refuse larger photos before decoding (default: 500000000)"
    )
    results.add_argument(
        "-f",
        "--ext",
        "--format",
        type=_format,
        choices=["auto", "png", "jpg", "webp", "tif", "avif", "gif", "bmp"],
        metavar="FORMAT",
        default="auto",
        help="png, jpg, webp, tif, avif, gif, bmp; auto (default): that of the input, or another one if it cannot hold "
        "the result",
    )
    results.add_argument(
        "--quality",
        type=_quality,
        default=95,
        metavar="1-100",
        help="quality of JPEG, WebP, AVIF and videos (default: 95)",
    )
    results.add_argument(
        "-s",
        "--outscale",
        type=_outscale,
        metavar="FACTOR",
        help="size of photos as a factor of the input's, such as 2 or 1.5: what the network makes is resampled",
    )
    results.add_argument("--strip_metadata", action="store_true", help="do not copy EXIF, XMP and resolution")


def _add_output_flags(results: argparse._ArgumentGroup) -> None:
    words = results.add_mutually_exclusive_group()
    words.add_argument("--json", action="store_true", help="print JSON for programs, see below")
    words.add_argument("-q", "--quiet", action="store_true", help="print failures only")
    words.add_argument(
        "-v", "--verbose", action="store_true", help="also print skipped files, and where in the program a file failed"
    )


def add_network_flags(network: argparse._ArgumentGroup) -> None:
    """Add the flags that name the network and say how it is used."""
    choice = network.add_mutually_exclusive_group()
    choice.add_argument(
        "-n",
        "--model_name",
        metavar="NAME",
        help="a name from diffir models, instead of the usual one, or hf:OWNER/NAME on the Hugging Face Hub; several "
        "joined by commas restore one after the other; auto looks at each photo and chooses",
    )
    choice.add_argument(
        "--model_path", type=_path, metavar="FILE", help="weights: .safetensors, .pth, .ckpt or a folder"
    )
    choice.add_argument("--weights", dest="model_path", type=_path, help=argparse.SUPPRESS)  # Restormer's
    network.add_argument(
        "--strength",
        type=float,
        default=1.0,
        metavar="0-1",
        help="0: the input, 1: restored (default), or a mix of both",
    )
    add_denoise_strength(network)
    network.add_argument("--seamless", action="store_true", help="for textures that are tiled: opposite edges meet")
    network.add_argument("-x", "--tta", action="store_true", help="mean of 8 turned and mirrored runs: 8 x the time")
    network.add_argument("--seed", type=int, default=0, help="determines every random number (default: 0)")


def add_denoise_strength(network: argparse._ActionsContainer) -> None:
    """Add the flag that mixes a network and its weaker twin; it has the name that Real-ESRGAN's program gave it."""
    network.add_argument(
        "-dn",
        "--denoise_strength",
        type=float,
        metavar="0-1",
        help="0 keeps the grain, 1 removes noise and grain, for networks with a weaker twin (diffir models NAME)",
    )


def _add_sample_flags(network: argparse._ArgumentGroup) -> None:
    network.add_argument(
        "--samples",
        type=_samples,
        default=1,
        metavar="N",
        help="make N results of each file, with this seed and those that follow: photo_s1.jpg, photo_s2.jpg ...",
    )
    network.add_argument(
        "--uncertainty",
        action="store_true",
        help="write the mean of the N results instead, and photo_std.png, a map of their standard deviation: its grey "
        "value is 8 times the deviation in levels of 255",
    )


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


def _add_device_flags(machine: argparse._ArgumentGroup) -> None:
    device = machine.add_mutually_exclusive_group()
    device.add_argument("--device", default="auto", metavar="NAME", help="auto, cpu, cuda, cuda:N or mps")
    device.add_argument(
        "-g", "--gpu_id", type=_gpu_ids, metavar="N[,N...]", help="use cuda:N; several GPUs share the files"
    )


def add_memory_flags(machine: argparse._ArgumentGroup) -> None:
    """Add the flags that say in which precision and in which pieces photos are restored."""
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
        type=positive,
        metavar="N",
        help="photos of the same size restored together (default: 1 on the CPU, up to 4 on CUDA)",
    )


def _name(text: str) -> str:
    if not text:
        raise argparse.ArgumentTypeError("must not be empty; the current folder is .")
    return text


def _path(text: str) -> Path:
    if "://" in text:
        raise argparse.ArgumentTypeError(f"{text} is an address, and this flag takes files only: download it first")
    return Path(_name(text))


def _format(text: str) -> str:
    return {"jpeg": "jpg", "tiff": "tif"}.get(text.lower().lstrip("."), text.lower().lstrip("."))


def _outscale(text: str) -> float:
    try:
        factor = float(text.lower().removeprefix("x"))
    except ValueError:
        factor = 0.0
    if not 0 < factor <= _LARGEST_OUTSCALE:
        raise argparse.ArgumentTypeError(f"must be a factor above 0 and up to {_LARGEST_OUTSCALE}, not {text!r}")
    return factor


def _mask(text: str) -> Path | str:
    return text if text in ("alpha", "infrared") else _path(text)


def _shard(text: str) -> tuple[int, int]:
    first, _, second = text.partition("/")
    if not first.isdecimal() or not second.isdecimal() or not 1 <= int(first) <= int(second):
        raise argparse.ArgumentTypeError(f"must be a part and the number of parts, such as 1/4 to 4/4, not {text!r}")
    return int(first), int(second)


def _whole(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"must be a whole number, 0 or more, not {text!r}")
    return int(text)


def positive(text: str) -> int:
    """Parse a whole number above 0."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number above 0, not {text!r}")
    return int(text)


def _samples(text: str) -> int:
    if not text.isdecimal() or int(text) < 2:
        raise argparse.ArgumentTypeError(f"must be a whole number from 2, not {text!r}")
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
