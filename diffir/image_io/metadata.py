"""Correct EXIF and XMP in place: only entries that the new pixels make wrong are changed, every other byte stays.

In: blocks as files hold them. Out: the orientation they state, and the blocks with orientation 1 and without the
thumbnail, which shows the photo before restoration (perhaps turned, perhaps with content that inpainting removed).
Width and height are set when a photo is written. A block that cannot be parsed stays unchanged. Source: EXIF 2.32,
section 4.6; XMP part 2.
"""

import re
import struct

from diffir.image_io.tags import LONG, SHORT, Tag, TagLayout, layout_of, read_directory, write_directory

EXIF_PREFIX = b"Exif\0\0"
ORIENTATION = 274
_LENGTHS = {256: 0, 257: 1, 0xA002: 0, 0xA003: 1}
"""Tags that repeat the size of the picture: 0 stands for width, 1 for height."""
_THUMBNAIL_AT, _THUMBNAIL_SIZE = 513, 514
_XMP_ORIENTATION = re.compile(rb"""(tiff:Orientation\s*(?:=\s*["']|>\s*))([1-8])(?=\s*["'<])""")
# Tags of a TIFF's first directory that are not copied to EXIF: they describe how the pixels are stored, or a field of
# ``Photo`` holds them already (resolution, XMP, profile); 330 points to other images.
_OF_THE_FILE = {
    *range(254, 267), 269, *range(273, 285), *range(288, 302), *range(317, 348), *range(512, 533), 330, 700, 33421,
    33422, 33723, 34377, 34675, 37724, *range(50706, 51200),
}  # fmt: skip
_LONGEST_DESCRIPTION = 65_536  # bytes; longer values of a TIFF are private data of programs, such as layers


def upright_exif(exif: bytes | None) -> tuple[int | None, bytes | None]:
    """Return the orientation (1-8, None if not stated), and the block with its prefix corrected for upright pixels."""
    if not exif:
        return None, None
    block = bytearray(exif.removeprefix(EXIF_PREFIX))
    orientation = None
    try:
        layout, at = layout_of(bytes(block))
        tags, next_at = read_directory(bytes(block), at, layout)
        orientation = _turn_upright(block, tags, layout)
        _remove_thumbnail(block, next_at, layout)
    except (ValueError, struct.error):
        pass
    return orientation, EXIF_PREFIX + bytes(block)


def sized_exif(exif: bytes | None, width: int, height: int) -> bytes | None:
    """Return the block with its prefix; where it states a width and height, they become the given ones."""
    if not exif:
        return None
    block = bytearray(exif.removeprefix(EXIF_PREFIX))
    try:
        layout, at = layout_of(bytes(block))
        tags, _ = read_directory(bytes(block), at, layout)
    except (ValueError, struct.error):
        return EXIF_PREFIX + bytes(block)
    # Overwrite the entries in place, those of directories below as well.
    for tag in (*tags, *(inner for outer in tags for inner in outer.below)):
        if tag.code in _LENGTHS and tag.kind in (SHORT, LONG) and tag.count == 1 and not layout.is_big:
            length = (width, height)[_LENGTHS[tag.code]]
            kind = tag.kind if length < 65536 else LONG  # an entry has room for four bytes, whatever its kind
            struct.pack_into(layout.order + "H", block, tag.at + 2, kind)
            struct.pack_into(layout.order + ("I" if kind == LONG else "H"), block, tag.at + 8, length)
    return EXIF_PREFIX + bytes(block)


def upright_xmp(xmp: bytes | None) -> tuple[int | None, bytes | None]:
    """Return the orientation (1-8, None if not stated), and the packet of the same length with orientation 1."""
    found = _XMP_ORIENTATION.search(xmp) if xmp else None
    if xmp is None or found is None:
        return None, xmp or None
    return int(found[2]), _XMP_ORIENTATION.sub(rb"\g<1>1", xmp)


def exif_of_tiff(content: bytes, page_at: int | None = None) -> bytes | None:
    """Build an EXIF block from the tags of a TIFF (or of a raw file like it) that describe the photo; None if none do.

    Values are copied unchanged; only their offsets are new, since a TIFF counts them from its own beginning.

    Args:
        page_at: offset in bytes of the directory of a page; None for the first one.
    """
    try:
        layout, first_at = layout_of(content)
        tags = described(read_directory(content, first_at if page_at is None else page_at, layout)[0])
        if not tags:
            return None
        if layout.is_big:
            tags = tuple(tag for tag in tags if tag.kind < 16)  # kinds from 16 on exist in BigTIFF only
        small = TagLayout(layout.order)
        head = (b"II*\0" if layout.order == "<" else b"MM\0*") + struct.pack(small.place, 8)
        return EXIF_PREFIX + head + write_directory(tags, 8, small)
    except (ValueError, struct.error):
        return None


def described(tags: tuple[Tag, ...]) -> tuple[Tag, ...]:
    """Select the tags of a first directory that describe the photo rather than the file."""
    return tuple(tag for tag in tags if tag.code not in _OF_THE_FILE and len(tag.value) <= _LONGEST_DESCRIPTION)


def exif_tags(exif: bytes | None) -> tuple[TagLayout, tuple[Tag, ...]]:
    """Return layout and tags of an EXIF block, to be written into a TIFF; no tags if it cannot be parsed."""
    try:
        block = (exif or b"").removeprefix(EXIF_PREFIX)
        layout, at = layout_of(block)
        return layout, described(read_directory(block, at, layout)[0])
    except (ValueError, struct.error):
        return TagLayout("<"), ()


def _turn_upright(block: bytearray, tags: tuple[Tag, ...], layout: TagLayout) -> int | None:
    """Set the orientation in the block to 1 and return the one it had; None if it had none."""
    for tag in tags:
        found = tag.number(layout.order) if tag.code == ORIENTATION and tag.kind in (SHORT, LONG) else None
        if found is not None and 1 <= found <= 8:
            struct.pack_into(layout.order + ("H" if tag.kind == SHORT else "I"), block, tag.value_at, 1)
            return found
    return None


def _remove_thumbnail(block: bytearray, next_at: int, layout: TagLayout) -> None:
    """Remove the link to the second directory, and overwrite the picture it refers to with zeros."""
    second = struct.unpack_from(layout.place, block, next_at)[0]
    if not second:
        return
    struct.pack_into(layout.place, block, next_at, 0)
    numbers = {tag.code: tag.number(layout.order) or 0 for tag in read_directory(bytes(block), second, layout, 2)[0]}
    at, size = numbers.get(_THUMBNAIL_AT, 0), numbers.get(_THUMBNAIL_SIZE, 0)
    if at and size and at + size <= len(block):
        block[at : at + size] = bytes(size)
