"""Read a file of ``torch.save`` without running code from it, and without asking for more memory than the file holds.

In: the path of a zip archive (torch 1.6 and later) or of the older sequence of pickles. Out: what was saved, with
tensors on the CPU that lie in the mapped file. Everything that is no tensor, number, text, list or dict is replaced by
a stand-in. Sizes are compared with the file before a tensor is made. ``torch.load`` reads beyond a storage whose size
is forged, or allocates the forged size, and raises errors of any type on a flipped bit.
"""

import io
import math
import mmap
import struct
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from diffir.errors import FaultError, WeightsError
from diffir.faults import description
from diffir.inert_pickle import ForeignObject, Name, read_pickle

_ZIP, _PICKLE = b"PK\x03\x04", b"\x80\x02"
_LOCAL_HEADER = struct.Struct("<4s22xHH")  # signature, lengths of the name and of the extra field (APPNOTE 4.3.7)
_LONGEST_REASON = 120  # characters
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
# Tensors may share memory: weights with their average, or tied layers. More repetition than this is a forgery.
_MOST_REPEATED = 8
_DTYPES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
    "ComplexFloatStorage": torch.complex64,
    "ComplexDoubleStorage": torch.complex128,
    "UntypedStorage": torch.uint8,
}


class _Cut(Exception):
    """Raised if bytes are missing at the end of a file."""


@dataclass(frozen=True)
class _Storage:
    """A row of numbers outside of the pickle; ``start`` and ``numel`` count in elements of ``dtype``."""

    key: str
    dtype: torch.dtype
    start: int
    numel: int
    whole: int
    """Number of elements that lie under ``key``."""


def is_torch_file(start: bytes) -> bool:
    """Return whether a file that begins with these bytes may be one of ``torch.save``."""
    return start.startswith((_ZIP, _PICKLE))


def read_torch_file(path: Path) -> object:
    """Read what was saved to a file.

    Raises:
        WeightsError: the file is cut short or damaged, has another format, or asks for more than it holds.
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        start = file.read(len(_ZIP))
        if not is_torch_file(start):
            raise WeightsError(f"{path} is not a file of torch.save")
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)  # tensors may be written to, the file is not
    try:
        return _read_zip(path, content) if start == _ZIP else _read_legacy(content)
    except (_Cut, zipfile.BadZipFile) as error:
        raise WeightsError(f"{path} is cut short ({len(content):,} bytes): download it again") from error
    except (AttributeError, NameError, ImportError) as error:  # no bytes lead to these
        raise FaultError(f"{path}: {description(error)}") from error
    except Exception as error:  # what damaged bytes lead to
        reason = " ".join(str(error).split())[:_LONGEST_REASON] or type(error).__name__
        raise WeightsError(f"{path} is damaged or no plain checkpoint ({reason}): download it again") from error


def _read_zip(path: Path, content: mmap.mmap) -> object:
    with zipfile.ZipFile(path) as archive:
        records = {entry.filename: entry for entry in archive.infolist()}
    main = next((name for name in records if name.rpartition("/")[2] == "data.pkl"), None)
    if main is None:
        raise ValueError("a zip archive without data.pkl, which torch.save writes")
    folder = main.removesuffix("data.pkl")
    places = {name.removeprefix(folder): _place(content, entry) for name, entry in records.items()}
    at, length = places.get("byteorder", (0, 0))
    if length and content[at : at + length].decode() != sys.byteorder:
        raise ValueError("it was written on a machine of another byte order")

    def bytes_of(key: str) -> tuple[int, int]:
        return places[f"data/{key}"]

    at, length = places["data.pkl"]
    tensors = _Tensors(content, bytes_of)
    return read_pickle(io.BytesIO(content[at : at + length]), tensors.calls, _storage)


def _place(content: mmap.mmap, entry: zipfile.ZipInfo) -> tuple[int, int]:
    """Return position and length in bytes of a record, which must lie in the file as it is."""
    if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
        raise ValueError(f"{entry.filename} is compressed; write the file with torch.save")
    signature, name, extra = _LOCAL_HEADER.unpack_from(content, entry.header_offset)
    at = entry.header_offset + _LOCAL_HEADER.size + name + extra
    if signature != _ZIP or at + entry.file_size > len(content):
        raise _Cut
    return at, entry.file_size


def _read_legacy(content: mmap.mmap) -> object:
    """Read a magic number, a protocol, facts of the machine, the object, the order of the storages, and these."""

    def nothing(*_: object) -> None:
        return None

    # The storages lie behind the object that needs them, so the object is read twice: first for their names.
    found: dict[str, _Storage] = {}

    def recorded(identifier: object) -> _Storage:
        storage = _storage(identifier)
        return found.setdefault(storage.key, storage)

    magic, _, machine = (read_pickle(content, {}, nothing) for _ in range(3))
    if magic != _LEGACY_MAGIC:
        raise ValueError("a pickle, but not of torch.save")
    if isinstance(machine, dict) and machine.get("little_endian", True) != (sys.byteorder == "little"):
        raise ValueError("it was written on a machine of another byte order")
    begin = content.tell()
    read_pickle(content, {}, recorded)
    order = read_pickle(content, {}, nothing)

    # Each storage is its number of elements (8 bytes), then the elements.
    places: dict[str, tuple[int, int]] = {}
    at = content.tell()
    for key in order if isinstance(order, list) else []:
        storage = found[str(key)]
        if at + 8 > len(content):
            raise _Cut
        (numel,) = struct.unpack_from("<q", content, at)
        length = storage.whole * storage.dtype.itemsize
        if numel != storage.whole:
            raise ValueError(f"storage {key} is of {numel} and of {storage.whole} elements")
        if at + 8 + length > len(content):
            raise _Cut
        places[str(key)] = at + 8, length
        at += 8 + length
    content.seek(begin)
    return read_pickle(content, _Tensors(content, places.__getitem__).calls, _storage)


def _storage(identifier: object) -> _Storage:
    """Turn the persistent id of a storage into its description."""
    if not isinstance(identifier, tuple) or not 5 <= len(identifier) <= 6 or identifier[0] != "storage":
        raise ValueError("a reference to something that is no storage")
    kind, key, _, whole = identifier[1:5]
    if not isinstance(kind, Name) or kind.last not in _DTYPES or type(whole) is not int or whole < 0:
        raise ValueError(f"a storage of a kind that is not known ({kind}, {whole})")
    view = identifier[5] if len(identifier) == 6 else None  # a part of another storage: its key, first element, number
    start, numel = (view[1], view[2]) if isinstance(view, tuple) and len(view) == 3 else (0, whole)
    if type(start) is not int or type(numel) is not int or min(start, numel) < 0 or start + numel > whole:
        raise ValueError(f"storage {key} is viewed beyond its end")
    return _Storage(str(key), _DTYPES[kind.last], start, numel, whole)


class _Tensors:
    """Makes tensors from the arguments of the functions that pickles of torch call to rebuild them."""

    def __init__(self, content: mmap.mmap, bytes_of: Callable[[str], tuple[int, int]]) -> None:
        self._content = content
        self._bytes_of = bytes_of
        """Returns position and length in bytes of a storage by its key."""
        self._left = _MOST_REPEATED * len(content)
        self.calls: dict[str, Callable[..., object]] = {
            "torch._utils._rebuild_tensor": self._tensor,
            "torch._utils._rebuild_tensor_v2": self._tensor,
            "torch._utils._rebuild_tensor_v3": self._tensor_with_dtype,
            "torch._utils._rebuild_parameter": lambda tensor, *_: tensor,
            "torch._utils._rebuild_parameter_with_state": lambda tensor, *_: tensor,
            "torch._tensor._rebuild_from_type_v2": self._tensor_of_subclass,
            "torch.Size": lambda sizes=(), *_: sizes,
        }

    def _tensor(self, storage: object, offset: object, size: object, stride: object, *_: object) -> Tensor:
        if not isinstance(storage, _Storage):
            raise ValueError("a tensor without a storage")
        return self._view(storage, storage.dtype, storage.start, storage.numel, offset, size, stride)

    def _tensor_with_dtype(
        self, storage: object, offset: object, size: object, stride: object, *more: object
    ) -> Tensor:
        """Make a tensor of a dtype that has no storage class of its own, such as float8: the storage is of bytes."""
        dtype = getattr(torch, more[2].last, None) if isinstance(more[2], Name) else None
        if not isinstance(storage, _Storage) or not isinstance(dtype, torch.dtype):
            raise ValueError("a tensor of a dtype that is not known")
        count = storage.numel * storage.dtype.itemsize // dtype.itemsize
        return self._view(storage, dtype, 0, count, offset, size, stride)

    def _tensor_of_subclass(self, function: object, _: object, arguments: tuple[object, ...], *__: object) -> object:
        known = self.calls.get(str(function))
        return known(*arguments) if known else ForeignObject()

    def _view(
        self,
        storage: _Storage,
        dtype: torch.dtype,
        start: int,
        numel: int,
        offset: Any,
        size: Any,
        stride: Any,
    ) -> Tensor:
        """Return a tensor of the given size (any number of sides) over the elements of a storage."""
        # Compare with the file first.
        if not _are_counts(size):
            raise ValueError(f"a tensor of size {size!r}")
        if not _are_counts(stride) or len(stride) != len(size) or not _are_counts((offset,)):
            raise ValueError(f"a tensor of size {size} with strides {stride!r} from {offset!r} on")
        self._left -= math.prod(size) * dtype.itemsize
        if self._left < 0:
            raise ValueError("its tensors are far larger than the file")
        at, length = self._bytes_of(storage.key)
        at += start * storage.dtype.itemsize
        if (start + numel) * dtype.itemsize > length:
            raise ValueError(f"storage {storage.key} is of {length:,} bytes, not {numel * dtype.itemsize:,}")
        if not math.prod(size):
            return torch.empty(size, dtype=dtype)
        if offset + sum((side - 1) * step for side, step in zip(size, stride, strict=True)) >= numel:
            raise ValueError(f"a tensor reaches beyond storage {storage.key}")
        # Then lay the tensor over the file.
        is_aligned = at % dtype.itemsize == 0
        source = self._content if is_aligned else bytearray(self._content[at : at + numel * dtype.itemsize])
        flat = torch.frombuffer(source, dtype=dtype, count=numel, offset=at if is_aligned else 0)
        return flat.as_strided(size, stride, offset)


def _are_counts(values: object) -> bool:
    """Return whether the value is a tuple of whole numbers from 0."""
    return isinstance(values, tuple) and all(type(value) is int and value >= 0 for value in values)
