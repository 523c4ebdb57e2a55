"""``diffir doctor``: what this installation has, and what an issue report needs.

Versions, device, compiled kernels or why there are none, file formats, ffmpeg, weights and caches. Exit code 1 if
something is missing without which photos cannot be restored.
"""

import argparse
import json
import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from diffir._version import __version__
from diffir.cli.terminal import say_lines

_PACKAGES = ("numpy", "opencv-python", "pillow", "tifffile", "scipy", "safetensors", "einops")
# Optional packages: what each is for, and the extra that installs it.
_OPTIONAL = (
    ("pillow-heif", "HEIC and HEIF", "heif"),
    ("pillow-jxl-plugin", "JPEG XL", "jxl"),
    ("rawpy", "camera raw", "raw"),
    ("lmdb", "training photos in LMDB", "lmdb"),
    ("spandrel", "networks of other projects", "spandrel"),
    ("gradio", "the page in the browser", "web"),
    ("onnx", "export to ONNX", "onnx"),
    ("onnxruntime", "engine onnx", "onnx"),
    ("huggingface_hub", "weights on the Hugging Face Hub", "hub"),
    ("pyiqa", "no-reference metrics", "pyiqa"),
    ("tensorboard", "curves of trainings", ""),
    ("shtab", "shell completion", "completion"),
)
_MEGA, _GIGA = 1e6, 2**30


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``diffir doctor``."""
    parser.add_argument("--json", action="store_true", help="print JSON instead of lines")


def run(args: argparse.Namespace) -> int:
    """Print what was found; return 1 if restoring cannot work."""
    problems: list[str] = []
    found = {
        "diffir": f"{__version__} in {Path(__file__).parents[1]}",
        "python": f"{platform.python_version()} in {sys.prefix}",
        "system": f"{platform.platform()}, {os.cpu_count()} CPU cores{_memory()}",
        **_torch(problems),
        "packages": ", ".join(f"{name} {_version_of(name, problems)}" for name in _PACKAGES),
        "optional": "; ".join(_optional()),
        **_formats(),
        "ffmpeg": _ffmpeg(),
        "weights": _weights(problems),
        "caches": "; ".join(_caches()),
    }
    if args.json:
        say_lines(json.dumps(found | {"problems": problems}, indent=2).splitlines())
    else:
        say_lines([f"{key:<11}{text}" for key, text in found.items()])
        say_lines([f"problem    {problem}" for problem in problems] or ["no problem found"])
    return 1 if problems else 0


def _memory() -> str:
    try:
        return f", {os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / _GIGA:.0f} GiB of memory"
    except (AttributeError, ValueError, OSError):  # Windows
        return ""


def _version_of(package: str, problems: list[str]) -> str:
    for name in (package, f"{package}-headless"):
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    problems.append(f"the package {package} is not installed")
    return "missing"


def _torch(problems: list[str]) -> dict[str, str]:
    """Describe torch, the devices, the precision that is chosen, and the compiled kernels."""
    try:
        import torch

        from diffir.inference.device import resolve_device, resolve_precision
    except (ImportError, OSError) as error:  # OSError: a library of CUDA that is broken
        problems.append(f"torch cannot be loaded: {' '.join(str(error).split())}")
        return {"torch": "missing"}
    build = f"CUDA {torch.version.cuda}" if torch.version.cuda else "without CUDA"
    devices = ["cpu", *(f"cuda:{n} ({torch.cuda.get_device_name(n)})" for n in range(torch.cuda.device_count()))]
    devices += ["mps"] if torch.backends.mps.is_available() else []
    device = resolve_device()
    return {
        "torch": f"{torch.__version__}, {build}, {torch.get_num_threads()} threads",
        "devices": f"{', '.join(devices)}; auto takes {device} with {resolve_precision('auto', device)}",
        "kernels": _kernels(),
    }


def _kernels() -> str:
    """Say which compiled kernels run here, or why none does."""
    from diffir.native import bindings

    kinds = [str(kernels.number).removeprefix("torch.") for kernels in bindings.kernels_here()]
    if kinds:
        return f"compiled, for {' and '.join(sorted(set(kinds)))}"
    path = Path(bindings.__file__).parent / "_kernels.so"
    if path.is_file():
        return "compiled, but the processor lacks AVX2 or the file is of another version: torch does their work"
    if sys.platform != "linux" or platform.machine() not in ("x86_64", "AMD64"):
        return "none for this system: torch does their work"
    return "none: the wheel for every system has none, and building them needs a C++ compiler; torch does their work"


def _optional() -> list[str]:
    lines = []
    for package, purpose, extra in _OPTIONAL:
        try:
            lines.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            how = f"pip install '.[{extra}]'" if extra else f"pip install {package}"
            lines.append(f"no {package} ({purpose}: {how})")
    return lines


def _formats() -> dict[str, str]:
    from diffir.image_io import IMAGE_SUFFIXES, WRITABLE_SUFFIXES
    from diffir.image_io.formats import format_of

    modules = {"HEIF": "pillow_heif", "JXL": "pillow_jxl", "RAW": "rawpy"}
    names = {suffix: row.name for suffix in IMAGE_SUFFIXES if (row := format_of(suffix)) is not None}
    readable = [suffix for suffix, name in names.items() if name not in modules or find_spec(modules[name])]
    return {"reads": " ".join(readable), "writes": " ".join(WRITABLE_SUFFIXES)}


def _ffmpeg() -> str:
    import shutil

    from diffir.errors import DiffIRError
    from diffir.video.ffmpeg import require_programs, run

    try:
        require_programs()
        return f"{run('ffmpeg', ['-version'], 'the version check').split(' Copyright')[0]} in {shutil.which('ffmpeg')}"
    except DiffIRError as error:
        return str(error)


def _weights(problems: list[str]) -> str:
    from diffir.errors import DiffIRError
    from diffir.weights.catalogue import PRETRAINED, default_name

    try:
        default = default_name()
    except DiffIRError as error:
        problems.append(str(error))
        return "none"
    names = sorted(path.stem for path in PRETRAINED.glob("*.safetensors"))
    return f"{', '.join(names)}; without -n: {default}"


def _caches() -> list[str]:
    """Describe the folders in which weights of others are looked for, with their size."""
    from diffir.public_files import cache_folder

    torch_home = Path(os.environ.get("TORCH_HOME", "~/.cache/torch")).expanduser()
    lines = []
    for folder in (cache_folder(), torch_home):
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else 0
        lines.append(f"{folder} ({size / _MEGA:.0f} MB)" if folder.is_dir() else f"{folder} (not made yet)")
    return lines
