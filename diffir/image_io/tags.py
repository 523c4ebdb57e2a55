"""Read and write the tree of tagged values that TIFF files and EXIF blocks share.

In: the bytes of a file or of an EXIF block. Out: tags, each with the raw bytes of its value in the byte order of the
file, or with the directory it points to. Damaged data raise a ValueError. Source: TIFF 6.0, section 2; BigTIFF; EXIF
2.32, section 4.6 (pointers).
"""

import struct
from dataclasses import dataclass, replace
from typing import Literal

# Bytes of one value, by its kind.
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
POINTERS = {34665, 34853, 40965}
"""Tags that point to a directory: EXIF, GPS, interoperability."""
_DEEPEST = 3  # levels: first directory, EXIF, interoperability

SHORT, LONG, LONG8 = 3, 4, 16  # kinds of whole numbers: 16, 32 and 64 bit


@dataclass(frozen=True)
class TagLayout:
    """How numbers are stored: the byte order, and whether offsets have 32 bits or (BigTIFF) 64."""

    order: Literal["<", ">"]
    """The byte order in the notation of ``struct``: ``<`` little-endian, ``>`` big-endian."""
    is_big: bool = False

    @property
    def place(self) -> str:
        """The ``struct`` code of an offset or of a count of values."""
        return self.order + ("Q" if self.is_big else "I")

    @property
    def place_size(self) -> int:
        """Bytes of an offset; a value that is no longer is stored in its place."""
        return 8 if self.is_big else 4

    @property
    def count(self) -> str:
        """The ``struct`` code of the number of entries in a directory."""
        return self.order + ("Q" if self.is_big else "H")

    @property
    def count_size(self) -> int:
        """Bytes of the number of entries in a directory."""
        return 8 if self.is_big else 2

    @property
    def entry_size(self) -> int:
        """Bytes of one entry of a directory."""
        return 20 if self.is_big else 12


@dataclass(frozen=True)
class Tag:
    """One entry of a directory; ``kind`` and ``count`` give the type and the number of its values."""

    code: int
    kind: int
    count: int
    value: bytes
    """Raw bytes of the value; for a pointer to a directory, those of the pointer."""
    at: int
    """Offset in bytes at which the entry begins."""
    value_at: int
    """Offset in bytes at which the value begins."""
    below: "tuple[Tag, ...]" = ()
    """The tags of the directory that a pointer refers to; empty for other tags."""

    def number(self, order: str) -> int | None:
        """Return the value if it is one whole number, else None."""
        codes = {1: "B", SHORT: "H", LONG: "I", 13: "I", LONG8: "Q", 18: "Q"}
        if self.count != 1 or self.kind not in codes:
            return None
        return int(struct.unpack(order + codes[self.kind], self.value)[0])


def layout_of(content: bytes) -> tuple[TagLayout, int]:
    """Return the layout that the header states, and the offset of the first directory."""
    orders: dict[bytes, Literal["<", ">"]] = {b"II": "<", b"MM": ">"}
    order = orders.get(content[:2])
    if order is None or len(content) < 16:
        raise ValueError("neither II nor MM")
    layout = TagLayout(order, is_big=struct.unpack_from(order + "H", content, 2)[0] == 43)
    return layout, struct.unpack_from(layout.place, content, 8 if layout.is_big else 4)[0]


def read_directory(content: bytes, at: int, layout: TagLayout, depth: int = 1) -> tuple[tuple[Tag, ...], int]:
    """Return the tags of the directory at an offset, and the offset at which that of the next directory is stored."""
    # Find where the entries begin and end.
    entries = _unpack(layout.count, content, at)
    first = at + layout.count_size
    end = first + entries * layout.entry_size
    if end > len(content):
        raise ValueError("a directory beyond the end")
    # Read them; the first of several entries with one code counts.
    tags: dict[int, Tag] = {}
    room = len(content)  # a small file with overlapping values could otherwise take gigabytes of memory
    for entry in range(first, end, layout.entry_size):
        code = struct.unpack_from(layout.order + "H", content, entry)[0]
        tag = _read_tag(content, entry, layout, depth) if code not in tags else None
        if tag is not None:
            tags[code] = tag
            room -= len(tag.value)
        if room < 0:
            raise ValueError("values that overlap")
    return tuple(tags.values()), end


def write_directory(tags: "tuple[Tag, ...]", at: int, layout: TagLayout) -> bytes:
    """Return the bytes of a directory to be stored at the even offset ``at``; its values and subdirectories follow."""
    tags = tuple(sorted(tags, key=lambda tag: tag.code))
    entries = [struct.pack(layout.count, len(tags))]
    behind = bytearray()
    start = at + layout.count_size + len(tags) * layout.entry_size + layout.place_size
    # Values longer than an offset, and subdirectories, go behind the entries; entries then hold their offset.
    for tag in tags:
        value = tag.value
        if tag.below:
            value = struct.pack(layout.place, start + len(behind))
            behind += write_directory(tag.below, start + len(behind), layout)
        elif len(value) > layout.place_size:
            value = struct.pack(layout.place, start + len(behind))
            behind += tag.value + bytes(len(tag.value) % 2)
        kind = (LONG8 if layout.is_big else LONG) if tag.below else tag.kind
        head = struct.pack(layout.order + "HH", tag.code, kind) + struct.pack(layout.place, tag.count)
        entries.append(head + value.ljust(layout.place_size, b"\0"))
    return b"".join([*entries, bytes(layout.place_size), bytes(behind)])


def reordered(tag: Tag, order: str, wanted: str) -> Tag:
    """Return a tag, and those below it, with values in another byte order, in the notation of ``struct``."""
    if order == wanted:
        return tag
    width = {5: 4, 10: 4}.get(tag.kind, _SIZES.get(tag.kind, 1))  # a ratio is two numbers of 4 bytes
    value = b"".join(tag.value[at : at + width][::-1] for at in range(0, len(tag.value), width))
    return replace(tag, value=value, below=tuple(reordered(inner, order, wanted) for inner in tag.below))


def _read_tag(content: bytes, at: int, layout: TagLayout, depth: int) -> Tag | None:
    """Read one entry; None if its kind is unknown, its value lies beyond the end, or its directory is damaged."""
    code, kind = struct.unpack_from(layout.order + "HH", content, at)
    count = _unpack(layout.place, content, at + 4)
    value_at = at + 4 + layout.place_size
    size = _SIZES.get(kind, 0) * count
    if size > layout.place_size:
        value_at = _unpack(layout.place, content, value_at)
    if not size or value_at + size > len(content):
        return None
    tag = Tag(code, kind, count, bytes(content[value_at : value_at + size]), at, value_at)
    # Follow a pointer to a directory.
    if code not in POINTERS or depth >= _DEEPEST:
        return tag
    target = tag.number(layout.order)
    try:
        below = read_directory(content, target, layout, depth + 1)[0] if target else ()
    except ValueError:
        below = ()
    return Tag(code, kind, count, tag.value, at, value_at, below) if below else None


def _unpack(code: str, content: bytes, at: int) -> int:
    if not 0 <= at <= len(content) - struct.calcsize(code):
        raise ValueError("a place beyond the end")
    return int(struct.unpack_from(code, content, at)[0])
