"""The header of a safetensors file, read without torch and without touching the tensors.

In: a path. Out: names, dtypes and shapes of its tensors, and its metadata. Checks that the file is whole. Layout of
the safetensors format 0.4: 8 bytes of length (little endian), JSON of that length, tensor bytes.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diffir.errors import WeightsError

_LENGTH_BYTES = 8
_LARGEST_HEADER = 100_000_000  # the limit of the safetensors library itself


@dataclass(frozen=True)
class Header:
    """What a safetensors file says of itself."""

    shapes: dict[str, tuple[int, ...]]
    dtypes: dict[str, str]
    """Spelled as in the file: F16, BF16, F32 ..."""
    metadata: dict[str, str]
    size: int
    """Bytes of the whole file."""
    data_start: int
    """Where the tensors begin."""

    @property
    def parameters(self) -> int:
        return sum(math.prod(shape) for shape in self.shapes.values())

    @property
    def storage(self) -> str:
        """Dtype of the tensors in words, such as "fp16"."""
        return "/".join(sorted({name.lower().replace("f", "fp") for name in self.dtypes.values()}))


def is_safetensors(path: Path) -> bool:
    """Whether the file begins like safetensors: a length, then an opening brace."""
    with path.open("rb") as file:
        start = file.read(_LENGTH_BYTES + 1)
    return len(start) > _LENGTH_BYTES and start[-1:] == b"{" and _length(start) <= _LARGEST_HEADER


def read_header(path: Path) -> Header:
    """Header of a whole, well-formed file.

    Raises:
        WeightsError: not safetensors, or cut short.
    """
    if not is_safetensors(path):
        raise WeightsError(f"{path} is not a safetensors file")
    size = path.stat().st_size
    with path.open("rb") as file:
        length = _length(file.read(_LENGTH_BYTES))
        text = file.read(length)
    if len(text) < length:
        raise _truncated(path, size)
    try:
        entries = json.loads(text)
        metadata = _texts(entries.pop("__metadata__", None) or {})
        shapes = {name: _counts(entry["shape"]) for name, entry in entries.items()}
        dtypes = _texts({name: entry["dtype"] for name, entry in entries.items()})
        end = max((_counts(entry["data_offsets"])[1] for entry in entries.values()), default=0)
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise WeightsError(f"{path} is not a safetensors file: its header cannot be read ({error})") from error
    if size < _LENGTH_BYTES + length + end:
        raise _truncated(path, size, _LENGTH_BYTES + length + end)
    return Header(shapes, dtypes, metadata, size, _LENGTH_BYTES + length)


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
