"""Compare the size in pixels that a header states with what the packed bytes can unpack to, before memory is asked for.

In: bytes of the unpacked picture, bytes of the packed one. Out: nothing, or one line. Each method of packing has a
largest ratio; a header that asks for more is damaged or forged. WebP, AVIF, JPEG XL, JPEG 2000, GIF, fax codes and
arithmetic JPEG have none: a few bytes of them may stand for one colour in any size. There, only what no photo has is
refused: a large picture with next to nothing in it.
"""

import struct

from diffir.errors import ImageError

LARGEST_RATIO = {
    "no compression": 1,
    "PackBits": 64,  # two bytes for at most 128 (TIFF 6.0, section 9)
    "deflate": 1032,  # a match of 258 bytes takes two bits at least (RFC 1951)
    "LZW": 4096,  # a code of at least nine bits stands for less than 4,096 bytes
    "JPEG": 512,  # a block of 64 pixels takes a bit at least, its mean
}
"""Bytes that one packed byte can stand for; for JPEG pixels of the component with the most."""

_LARGE = 32_000_000  # pixels; smaller ones are read in any case, a matter of taste
_MOST_PIXELS_A_BYTE = 50_000  # a matter of taste; the darkest night has a hundred times more bytes

_GIF_HEADER = 13  # bytes of signature and screen descriptor
_FRAMES = {0xC0 + kind for kind in range(16)} - {0xC4, 0xC8, 0xCC}  # markers that begin a picture (T.81, B.1.1.3)
_ARITHMETIC = {0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}
_WITHOUT_LENGTH = {0x01, *range(0xD0, 0xD9)}


def check_enough(unpacked: int, packed: int, method: str) -> None:
    """Check the number of packed bytes against the bytes that they shall unpack to.

    Args:
        method: a key of ``LARGEST_RATIO``.
    Raises:
        ImageError: they cannot unpack to so many.
    """
    if unpacked > LARGEST_RATIO[method] * packed:
        raise ImageError(
            f"damaged or truncated ({packed:,} bytes of {method} cannot hold the {unpacked:,} that its header states)"
        )


def check_file(content: bytes, kind: str, width: int, height: int) -> None:
    """Check a file of a format whose pixels another library unpacks.

    Args:
        kind: name of the format, as in ``formats``.
    Raises:
        ImageError: the file is too short for the width and height, in pixels, that its header states.
    """
    if kind == "GIF":
        _check_gif_frames(content, width, height)
    if kind == "JPEG" and _frame_marker(content) not in _ARITHMETIC:
        check_enough(width * height, len(content), "JPEG")
    elif width * height > max(_LARGE, _MOST_PIXELS_A_BYTE * len(content)):
        raise ImageError(f"no photo, or damaged: {width} x {height} pixels in {len(content):,} bytes")


def _check_gif_frames(content: bytes, width: int, height: int) -> None:
    """Check that all frames lie inside the picture, which Pillow would enlarge (GIF89a, sections 18 to 23)."""
    at = _GIF_HEADER + _colour_table(content[10:11])
    while at < len(content) and content[at : at + 1] != b";":
        block = content[at : at + 1]
        at += 1
        if block == b",":
            left, top, across, down = struct.unpack_from("<4H", content[at : at + 8].ljust(8, b"\0"))
            if left + across > width or top + down > height:
                raise ImageError("damaged (a frame reaches beyond the picture)")
            at += 9 + _colour_table(content[at + 8 : at + 9]) + 1
        elif block == b"!":
            at += 1
        else:  # no block; Pillow looks for the next one in the same way
            continue
        while content[at : at + 1] not in (b"", b"\0"):
            at += 1 + content[at]
        at += 1


def _colour_table(flags: bytes) -> int:
    """Return the bytes of a GIF's colour table, from the byte of flags that announces it."""
    return 3 << (flags[0] & 7) + 1 if flags and flags[0] & 0x80 else 0


def _frame_marker(content: bytes) -> int:
    """Return the second byte of the marker that begins the picture, which tells its coding; 0 if there is none."""
    at = 2
    while at + 4 <= len(content) and content[at] == 0xFF:
        marker = content[at + 1]
        if marker in _FRAMES:
            return marker
        if marker == 0xFF:  # filler
            at += 1
        elif marker in _WITHOUT_LENGTH:
            at += 2
        else:
            at += 2 + struct.unpack_from(">H", content, at + 2)[0]
    return 0
