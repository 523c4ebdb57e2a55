"""Write still frames with exact time stamps as a Matroska stream (RFC 9559) that ffmpeg reads from a pipe.

A raw pipe has a frame rate but no time stamps, so a clip with a variable rate would lose them. Matroska states the time
of each frame; here in microseconds, finer than any container stores. In: PNG files as bytes. Out: bytes to be written
one after the other: one track, one cluster per frame and no index, since a pipe is read only once.
"""

import struct

STAMPS_PER_SECOND = 1_000_000
_UNKNOWN_SIZE = b"\x01" + b"\xff" * 7  # size of the segment, which ends with the stream
# RFC 9559 section 5.1 and RFC 8794 (EBML): identifiers of the elements used.
_EBML, _DOC_TYPE = "1A45DFA3", "4282"
_SEGMENT, _SEGMENT_HEAD, _TIMESTAMP_SCALE = "18538067", "1549A966", "2AD7B1"
_TRACKS, _TRACK, _TRACK_NUMBER, _TRACK_UID, _TRACK_TYPE = "1654AE6B", "AE", "D7", "73C5", "83"
_CODEC, _CODEC_PRIVATE, _DEFAULT_DURATION = "86", "63A2", "23E383"
_VIDEO, _WIDTH, _HEIGHT = "E0", "B0", "BA"
_CLUSTER, _TIMESTAMP, _SIMPLE_BLOCK = "1F43B675", "E7", "A3"


def stream_head(width: int, height: int, frame_rate: float) -> bytes:
    """The bytes before the first frame; the frame rate (frames per second) is only a hint for the encoder."""
    # A Windows bitmap header names the codec, since Matroska has no name of its own for PNG.
    bitmap = struct.pack("<IiiHH4sIiiII", 40, width, height, 1, 24, b"MPNG", 0, 0, 0, 0, 0)
    track = (
        _number(_TRACK_NUMBER, 1)
        + _number(_TRACK_UID, 1)
        + _number(_TRACK_TYPE, 1)
        + _element(_CODEC, b"V_MS/VFW/FOURCC")
        + _element(_CODEC_PRIVATE, bitmap)
        + _number(_DEFAULT_DURATION, round(1e9 / frame_rate))
        + _element(_VIDEO, _number(_WIDTH, width) + _number(_HEIGHT, height))
    )
    return (
        _element(_EBML, _element(_DOC_TYPE, b"matroska"))
        + bytes.fromhex(_SEGMENT)
        + _UNKNOWN_SIZE
        + _element(_SEGMENT_HEAD, _number(_TIMESTAMP_SCALE, 10**9 // STAMPS_PER_SECOND))
        + _element(_TRACKS, _element(_TRACK, track))
    )


def frame_block(stamp: int, png: bytes) -> bytes:
    """The bytes of one frame; ``stamp`` is its time in microseconds, 0 or more."""
    # The four bytes mean: track 1, the time of the cluster plus 0, a key frame.
    return _element(_CLUSTER, _number(_TIMESTAMP, stamp) + _element(_SIMPLE_BLOCK, b"\x81\0\0\x80" + png))


def _element(identifier: str, content: bytes) -> bytes:
    return bytes.fromhex(identifier) + (1 << 56 | len(content)).to_bytes(8, "big") + content


def _number(identifier: str, value: int) -> bytes:
    return _element(identifier, value.to_bytes(8, "big"))
