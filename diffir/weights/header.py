"""Read the header of a safetensors file without torch and without reading its tensors; write one with sorted metadata.

In: a path. Out: names, dtypes and shapes of its tensors, and its metadata. The file is checked for missing bytes.
Layout of the safetensors format 0.4: 8 bytes of length (little endian), JSON of that length, bytes of the tensors.
"""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diffir.errors import WeightsError

DESCRIPTION = "diffir_card"
"""Name of a tensor of bytes in published weights that repeats the facts of the card which decide a result, for programs
that read tensors alone. It is no part of a network, so a ``Header`` does not list it."""
_LENGTH_BYTES = 8
_LARGEST_HEADER = 100_000_000  # the limit of the safetensors library itself
_SHOWN = 40  # characters of a name in a message
_LONGEST_NAME = 300  # characters; those of tensors in networks have up to a hundred
_ALIGNMENT = 8  # bytes; the library pads the header with spaces, so that tensors begin at a multiple of it


@dataclass(frozen=True)
class Header:
    """Tensors and metadata listed in a safetensors file, and its size."""

    shapes: dict[str, tuple[int, ...]]
    dtypes: dict[str, str]
    """Dtype of each tensor as spelled in the file: F16, BF16, F32 ..."""
    metadata: dict[str, str]
    size: int
    """Size of the whole file in bytes."""
    data_start: int
    """Position of the first tensor in the file, in bytes."""
    description: tuple[int, int] = (0, 0)
    """Start and stop of the tensor ``DESCRIPTION``, in bytes from ``data_start``; equal if there is none."""

    @property
    def parameters(self) -> int:
        """Number of values in all tensors, buffers included."""
        return sum(math.prod(shape) for shape in self.shapes.values())

    @property
    def storage(self) -> str:
        """Dtypes of the tensors in short form, such as "fp16"."""
        return "/".join(sorted({name.lower().replace("f", "fp") for name in self.dtypes.values()}))


def with_sorted_metadata(content: bytes) -> tuple[bytes, memoryview]:
    """Return the start of a safetensors file with its metadata sorted by key, and the bytes of the tensors behind it.

    The safetensors library writes metadata in an order that differs from call to call. Everything else in its files,
    such as the order of the tensors, follows from their names and types.

    Args:
        content: a whole file, as ``safetensors.torch.save`` returns it.
    """
    end = _LENGTH_BYTES + _length(content)
    entries = json.loads(content[_LENGTH_BYTES:end])
    if "__metadata__" in entries:
        entries["__metadata__"] = dict(sorted(entries["__metadata__"].items()))
    text = json.dumps(entries, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    return len(text).to_bytes(_LENGTH_BYTES, "little") + text, memoryview(content)[end:]


def check_names(names: Iterable[str]) -> None:
    """Refuse names of tensors that no network has, since they would be printed and searched for numbers.

    Raises:
        ValueError: a name is too long, or holds control characters or line ends.
    """
    for name in names:
        if len(name) > _LONGEST_NAME or not name.isprintable():
            raise ValueError(f"no tensor is called {name[:_SHOWN]!r}")


def is_safetensors(path: Path) -> bool:
    """Return True if the file begins with a length and an opening brace, as safetensors files do; folders do not."""
    if path.is_dir():
        return False
    with path.open("rb") as file:
        start = file.read(_LENGTH_BYTES + 1)
    return len(start) > _LENGTH_BYTES and start[-1:] == b"{" and _length(start) <= _LARGEST_HEADER


def read_header(path: Path) -> Header:
    """Read and check the header of a safetensors file.

    Raises:
        WeightsError: the file has another format, or it is cut short.
    """
    if not is_safetensors(path):
        raise WeightsError(f"{path} is not a safetensors file")

    # Read the bytes of the header.
    size = path.stat().st_size
    with path.open("rb") as file:
        length = _length(file.read(_LENGTH_BYTES))
        if _LENGTH_BYTES + length > size:  # before memory for it is asked for
            raise _truncated(path, size)
        text = file.read(length)

    # Parse it, and compare the end of the last tensor with the size of the file.
    try:
        entries = json.loads(text)
        metadata = _texts(entries.pop("__metadata__", None) or {})
        end = max((_counts(entry["data_offsets"])[1] for entry in entries.values()), default=0)
        start, stop = _counts(entries.pop(DESCRIPTION, {}).get("data_offsets", [0, 0]))
        shapes = {name: _counts(entry["shape"]) for name, entry in entries.items()}
        check_names(entries)
        dtypes = _texts({name: entry["dtype"] for name, entry in entries.items()})
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise WeightsError(f"{path} is not a safetensors file: its header cannot be read ({error})") from error
    if size < _LENGTH_BYTES + length + end:
        raise _truncated(path, size, _LENGTH_BYTES + length + end)
    return Header(shapes, dtypes, metadata, size, _LENGTH_BYTES + length, (start, stop))


def _counts(values: Any) -> tuple[int, ...]:
    if not isinstance(values, list) or not all(type(value) is int and value >= 0 for value in values):
        raise ValueError(f"{values!r} are not numbers from 0")
    return tuple(values)


def _texts(values: Any) -> dict[str, str]:
    if not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
        raise ValueError(f"{values!r} are not texts by name")
    return values


def _length(start: bytes) -> int:
    return int.from_bytes(start[:_LENGTH_BYTES], "little")


def _truncated(path: Path, size: int, expected: int | None = None) -> WeightsError:
    of = f" of {expected:,}" if expected else ""
    return WeightsError(f"{path} is cut short ({size:,}{of} bytes): copy or download it again")
