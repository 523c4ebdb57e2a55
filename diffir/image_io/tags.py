"""The tree of tagged values that TIFF files and EXIF blocks share: read it, and write it again.

In: the bytes of a file or a block. Out: ``Tag`` with its value's raw bytes, in the order of bytes of the whole, or the
directory it points to. Source: TIFF 6.0, section 2; BigTIFF; EXIF 2.32, section 4.6 (pointers). Damage is a ValueError.
"""

import struct
from dataclasses import dataclass
from typing import Literal

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
POINTERS = {34665, 34853, 40965}
"""Tags that point to a directory: EXIF, GPS, interoperability."""
_DEEPEST = 3  # first directory, EXIF, interoperability

SHORT, LONG, LONG8 = 3, 4, 16


@dataclass(frozen=True)
class Layout:
    """How a tree is written: the order of bytes, and whether places have 32 or 64 bits."""

    order: Literal["<", ">"]
    """``<`` or ``>``, as ``struct`` has it."""
    is_big: bool = False

    @property
    def place(self) -> str:
        """The code of a place or a count; it holds that many bytes of a value itself."""
        return self.order + ("Q" if self.is_big else "I")

    @property
    def place_size(self) -> int:
        return 8 if self.is_big else 4

    @property
    def count(self) -> str:
        """The code of the number of entries."""
        return self.order + ("Q" if self.is_big else "H")

    @property
    def count_size(self) -> int:
        return 8 if self.is_big else 2

    @property
    def entry_size(self) -> int:
        return 20 if self.is_big else 12


@dataclass(frozen=True)
class Tag:
    """One entry of a directory."""

    code: int
    kind: int
    count: int
    value: bytes
    """Raw; of a pointer to a directory: the pointer."""
    at: int
    """Where its entry begins."""
    value_at: int
    """Where its value begins."""
    below: "tuple[Tag, ...]" = ()
    """The directory a pointer leads to."""

    def number(self, order: str) -> int | None:
        """The value, if it is one whole number."""
        codes = {1: "B", SHORT: "H", LONG: "I", 13: "I", LONG8: "Q", 18: "Q"}
        if self.count != 1 or self.kind not in codes:
            return None
        return int(struct.unpack(order + codes[self.kind], self.value)[0])


def layout_of(content: bytes) -> tuple[Layout, int]:
    """The layout a header names, and where the first directory is."""
    orders: dict[bytes, Literal["<", ">"]] = {b"II": "<", b"MM": ">"}
    order = orders.get(content[:2])
    if order is None or len(content) < 16:
        raise ValueError("neither II nor MM")
    layout = Layout(order, is_big=struct.unpack_from(order + "H", content, 2)[0] == 43)
    return layout, struct.unpack_from(layout.place, content, 8 if layout.is_big else 4)[0]


def read_directory(content: bytes, at: int, layout: Layout, depth: int = 1) -> tuple[tuple[Tag, ...], int]:
    """The tags of a directory, and where it says where the next one is."""
    entries = _unpack(layout.count, content, at)
    first = at + layout.count_size
    end = first + entries * layout.entry_size
    if end > len(content):
        raise ValueError("a directory beyond the end")
    tags: dict[int, Tag] = {}
    room = len(content)  # values that overlap could make gigabytes of a small file
    for entry in range(first, end, layout.entry_size):
        code = struct.unpack_from(layout.order + "H", content, entry)[0]
        tag = _read_tag(content, entry, layout, depth) if code not in tags else None
        if tag is not None:
            tags[code] = tag
            room -= len(tag.value)
        if room < 0:
            raise ValueError("values that overlap")
    return tuple(tags.values()), end


def write_directory(tags: "tuple[Tag, ...]", at: int, layout: Layout) -> bytes:
    """A directory for the place ``at`` (even), with all values and directories below behind it."""
    tags = tuple(sorted(tags, key=lambda tag: tag.code))
    entries = [struct.pack(layout.count, len(tags))]
    behind = bytearray()
    start = at + layout.count_size + len(tags) * layout.entry_size + layout.place_size
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


def _read_tag(content: bytes, at: int, layout: Layout, depth: int) -> Tag | None:
    """None for a kind nobody knows, or a value beyond the end."""
    code, kind = struct.unpack_from(layout.order + "HH", content, at)
    count = _unpack(layout.place, content, at + 4)
    value_at = at + 4 + layout.place_size
    size = _SIZES.get(kind, 0) * count
    if size > layout.place_size:
        value_at = _unpack(layout.place, content, value_at)
    if not size or value_at + size > len(content):
        return None
    tag = Tag(code, kind, count, bytes(content[value_at : value_at + size]), at, value_at)
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
