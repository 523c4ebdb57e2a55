"""Read checkpoint files of other projects into a dict of tensors without running code from them.

In: .pth, .pt, .ckpt or .safetensors, recognised by their first bytes. Out: name -> tensor on the CPU, with wrappers and
prefixes removed. Foreign classes in a Lightning file (OmegaConf settings, callbacks) are replaced by inert stand-ins:
the classes are neither imported nor called, and their objects are dropped.
"""

import pickle
import struct
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals

from diffir.errors import UsageError, WeightsError
from diffir.weights.header import is_safetensors, read_header

# Keys under which projects in this field store weights; the first one found is used, as averaged weights are better.
WRAPPERS = ("params_ema", "params-ema", "params", "state_dict", "model_state_dict", "model", "net")
_ZIP = b"PK\x03\x04"
_LEGACY_PICKLE = b"\x80\x02"  # torch.save before 1.6
_NOT_WEIGHTS = {
    b"<": "a web page (the download was answered by a page, not by the file)",
    b"version https://git-lfs": "a Git LFS pointer (fetch the file itself with git lfs pull)",
}
# What torch.load raises for a damaged pickle, depending on where it is damaged.
_DAMAGE = (
    pickle.UnpicklingError,
    RuntimeError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    EOFError,
    struct.error,
)


class _Inert:
    """Stand-in for a foreign class: accepts any arguments and any state, and ignores them."""

    def __new__(cls, *args: object, **kwargs: object) -> "_Inert":
        return super().__new__(cls)

    def __init__(self, *args: object, **kwargs: object) -> None: ...

    def __setstate__(self, state: object) -> None: ...


class _InertDict:
    """Stand-in for a foreign dict class; creates an OrderedDict, because torch can fill only known dict classes."""

    def __new__(cls, *args: object, **kwargs: object) -> "OrderedDict[object, object]":  # type: ignore[misc]
        return OrderedDict()


def read_checkpoint(path: str | Path) -> dict[str, Tensor]:
    """Read the tensors of a foreign checkpoint.

    If a Lightning file has tensors ``generator.*``, only these are kept: its discriminator, losses, evaluator and
    stage-1 network are not needed to restore.

    Raises:
        UsageError: the file does not exist.
        WeightsError: the file is no checkpoint, is cut short, or holds no tensors with names.
    """
    path = Path(path)
    if not path.is_file():
        raise UsageError(f"no such weights file: {path}")
    # Recognise the format by the first bytes, since suffixes are often wrong.
    with path.open("rb") as file:
        start = file.read(64)
    if is_safetensors(path):
        return unwrap(read_tensors(path), str(path))
    if start.startswith((_ZIP, _LEGACY_PICKLE)):
        return unwrap(_load(path, is_zip=start.startswith(_ZIP)), str(path))

    # Say what else the file is.
    for signature, what in _NOT_WEIGHTS.items():
        if start.lstrip().startswith(signature):
            raise WeightsError(f"{path} is not a checkpoint but {what}")
    raise WeightsError(
        f"{path} is not a checkpoint ({path.stat().st_size:,} bytes); known: .pth .pt .ckpt .safetensors"
    )


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read all tensors of a safetensors file to the CPU.

    Raises:
        WeightsError: the file is not in this format, is cut short or damaged.
    """
    read_header(path)
    try:
        return load_file(path)
    except SafetensorError as error:  # the header contradicts itself
        raise WeightsError(f"{path} is damaged ({error}): copy or download it again") from error


def unwrap(content: object, source: str) -> dict[str, Tensor]:
    """Return the tensors inside one of ``WRAPPERS`` if there is one, and remove ``module.`` and ``generator.``."""
    if not isinstance(content, Mapping):
        raise WeightsError(f"{source} holds a {type(content).__name__}, not a dict of tensors: save its state_dict()")
    # Find the tensors.
    wrapper = next((name for name in WRAPPERS if isinstance(content.get(name), Mapping)), None)
    inner = content[wrapper] if wrapper else content
    state = {name: value for name, value in inner.items() if isinstance(name, str) and isinstance(value, Tensor)}
    if not state:
        names = ", ".join(map(str, list(inner)[:5])) or "nothing"
        raise WeightsError(
            f"{source} holds no weights: found {names}; expected {', '.join(WRAPPERS)} or tensors by name"
        )

    # Remove prefixes; DataParallel may have been applied more than once.
    while all(name.startswith("module.") for name in state):
        state = {name.removeprefix("module."): tensor for name, tensor in state.items()}
    generator = {name.removeprefix("generator."): t for name, t in state.items() if name.startswith("generator.")}
    return generator or state


def _load(path: Path, *, is_zip: bool) -> object:
    try:
        foreign = get_unsafe_globals_in_checkpoint(path) if is_zip else []
        with safe_globals([_stand_in(name) for name in foreign]):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip)
    except _DAMAGE as error:
        reason = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
        if "central directory" in str(error) or isinstance(error, EOFError):
            raise WeightsError(f"{path} is cut short ({path.stat().st_size:,} bytes): download it again") from error
        raise WeightsError(f"{path} cannot be read as a checkpoint without running code from it ({reason})") from error


def _stand_in(name: str) -> type:
    """Create an inert class with the full name of a foreign class; torch compares nothing but the name."""
    module, _, last = name.rpartition(".")
    base = _InertDict if last.lower().endswith("dict") else _Inert
    return type(last, (base,), {"__module__": module, "__qualname__": last})
