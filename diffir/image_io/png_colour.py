"""The chunks of a PNG that state colour space and brightness: which are kept, and which say other than sRGB.

In: chunks by their kind. Out: those of the right length, which go into a new PNG byte for byte, and the names of those
that a file without them would lose. A file may state its colour space several times. The order cICP, iCCP, sRGB, gAMA
with cHRM decides. Source: PNG specification, third edition, sections 4.3 and 11.3.2.
"""

import struct
from collections.abc import Mapping

_LENGTHS = {"cICP": 4, "sRGB": 1, "gAMA": 4, "cHRM": 32, "mDCV": 24, "cLLI": 8}
KINDS = tuple(kind.encode() for kind in _LENGTHS)
_SRGB_CICP = ((1, 13, 0, 1), (1, 1, 0, 1))  # BT.709 primaries with sRGB's or BT.709's curve, full range
_SRGB_GAMMA, _GAMMA_CLOSE = 45455, 0.05  # 1/2.2 in 1/100000; relative tolerance, a matter of taste
_SRGB_POINTS = (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)  # white, red, green, blue of BT.709 in 1/100000
_POINTS_CLOSE = 1000  # a hundredth of x or y; a matter of taste


def colour_chunks(found: Mapping[bytes, bytes]) -> dict[str, bytes] | None:
    """Return the chunks that state colours by their kind, without those of a wrong length; None if there are none."""
    chunks = {kind: found[kind.encode()] for kind in _LENGTHS if len(found.get(kind.encode(), b"")) == _LENGTHS[kind]}
    return chunks or None


def other_than_srgb(chunks: Mapping[str, bytes], *, has_profile: bool) -> list[str]:
    """Return the kinds of those chunks without which the pixels would be shown in other colours.

    Args:
        has_profile: the photo also has an ICC profile, which comes before all chunks except cICP.
    """
    if "cICP" in chunks:
        return [] if tuple(chunks["cICP"]) in _SRGB_CICP else ["cICP"]
    if has_profile or "sRGB" in chunks:
        return []
    others = []
    gamma, points = int.from_bytes(chunks.get("gAMA", b""), "big"), chunks.get("cHRM", b"")
    if gamma and abs(gamma / _SRGB_GAMMA - 1) > _GAMMA_CLOSE:
        others.append("gAMA")
    if points:
        pairs = zip(struct.unpack(">8I", points), _SRGB_POINTS, strict=True)
        others += ["cHRM"] if any(abs(point - of_srgb) > _POINTS_CLOSE for point, of_srgb in pairs) else []
    return others
