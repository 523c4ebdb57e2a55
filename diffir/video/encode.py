"""Encode restored frames into a new video file, together with the other streams of the source.

Decided here: codec, quality, chroma subsampling and bit depth of the result, and which streams a container can hold
without conversion. In: PNG files and the properties of the source. Out: a file with the source's time stamps to the
millisecond, its sound copied packet by packet, its subtitles, chapters, tags and colour tags.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from diffir.errors import DiffIRError, UsageError
from diffir.video.clip import SCALER, Stream, VideoClip, probe_packet_times
from diffir.video.ffmpeg import ffmpeg_pipe, file_url
from diffir.video.matroska import STAMPS_PER_SECOND, frame_block, stream_head

_MUXERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm", ".avi": "avi"}
VIDEO_SUFFIXES = tuple(_MUXERS)
_QUICKTIME = ("mp4", "mov")
# When the container changes: audio codecs that are copied into the new one, and the encoder for all others.
_SOUND = {
    "mp4": ({"aac", "mp3", "mp2", "ac3", "eac3", "alac", "opus"}, "aac"),
    "mov": ({"aac", "mp3", "mp2", "ac3", "eac3", "alac", "pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be"}, "aac"),
    "webm": ({"opus", "vorbis"}, "libopus"),
    "avi": ({"mp3", "mp2", "ac3", "pcm_s16le", "pcm_u8"}, "libmp3lame"),
}
_TEXTS = {"mov_text", "subrip", "ass", "ssa", "webvtt", "text"}
_TEXT_ENCODERS = {"mp4": "mov_text", "mov": "mov_text", "webm": "webvtt", "matroska": "subrip"}
_TOLERANCE = Fraction(3, 2000)  # seconds; Matroska stores milliseconds, and both ends of an interval are rounded


def is_video(path: str | Path) -> bool:
    """True if the path has the suffix of a video format that can be written."""
    return Path(path).suffix.lower() in VIDEO_SUFFIXES


@dataclass(frozen=True)
class Encoding:
    """A plan of how a clip is encoded for one target."""

    target: Path
    """The file to become; its suffix decides the container."""
    clip: VideoClip
    quality: int
    """Quality on the scale of JPEG, 1-100."""
    streams: tuple[str, ...]
    """Arguments for ffmpeg that map the other streams of the source, copied or converted."""
    losses: str
    """Losses due to the container, such as "alpha dropped", joined by commas."""


def plan_encoding(clip: VideoClip, target: Path, quality: int) -> Encoding:
    """Plan the encoding before any frame is restored.

    Raises:
        UsageError: the suffix is unknown, or the quality is out of range.
        DiffIRError: the target is AVI and the clip has a variable frame rate or does not start at 0 s.
    """
    if target.suffix.lower() not in _MUXERS:
        raise UsageError(f"cannot write {target.suffix or 'a video without suffix'}; can: {', '.join(VIDEO_SUFFIXES)}")
    if not 1 <= quality <= 100:
        raise UsageError(f"quality must be from 1 to 100, got {quality}")
    muxer = _MUXERS[target.suffix.lower()]
    if muxer == "avi" and not (clip.has_constant_rate and abs(clip.seconds(0) * clip.frame_rate) < 1):
        raise DiffIRError(f"{target}: AVI holds constant frame rates from 0 s on, unlike {clip.path}; write mp4 or mkv")
    streams, losses = _plan_streams(clip, muxer)
    losses += ["alpha dropped"] if clip.has_alpha else []
    losses += ["interlaced fields restored as whole frames"] if clip.is_interlaced else []
    return Encoding(target, clip, quality, tuple(streams), ", ".join(losses))


def encode(
    encoding: Encoding, file: Path, frames: Iterable[Path], size: tuple[int, int], *, seconds: int | None = None
) -> None:
    """Encode PNG files in their order into a file that will later be renamed to the target.

    Args:
        file: the file to write.
        size: width and height of the frames in pixels.
        seconds: encode only this much of the clip, to test whether all streams can be written.

    Raises:
        DiffIRError: ffmpeg fails, or a frame is missing or has another time in the result.
    """
    # Frames go through a pipe as Matroska, whose clusters have times of 0 or more.
    clip = encoding.clip
    stamps = [round(clip.seconds(number) * STAMPS_PER_SECOND) for number in range(len(clip.stamps))]
    offset = min(stamps[0], 0)
    limit = [] if seconds is None else ["-t", str(seconds)]
    # With copyts both inputs keep their clocks; otherwise ffmpeg starts each at 0, and sound shifts against pictures.
    inputs = ["-y", "-copyts", "-itsoffset", f"{offset}us", "-f", "matroska", "-i", "pipe:0"]
    inputs += ["-protocol_whitelist", "file,pipe", "-i", file_url(clip.path)]
    arguments = [*inputs, *encoding.streams, *_video_arguments(encoding, size), *limit, file_url(file)]
    with ffmpeg_pipe(arguments, "stdin", str(encoding.target)) as pipe:
        pipe.write(stream_head(*size, float(clip.frame_rate)))
        for stamp, frame in zip(stamps, frames, strict=False):
            pipe.write(frame_block(stamp - offset, frame.read_bytes()))
    if seconds is None:
        _check_times(encoding, file)


def _video_arguments(encoding: Encoding, size: tuple[int, int]) -> list[str]:
    clip, muxer = encoding.clip, _MUXERS[encoding.target.suffix.lower()]
    # Keep the colour tags of the source; RGB becomes BT.709.
    colour = clip.colour
    matrix, tag = ("bt709", "bt709") if clip.is_rgb else (colour.scaler_matrix, colour.matrix)
    range_tag = "tv" if clip.is_rgb else colour.range
    pixel_format = _pixel_format(clip, muxer, size)
    filters = [
        f"scale=out_color_matrix={matrix}:out_range={'pc' if range_tag == 'pc' else 'tv'}:{SCALER}",
        f"format={pixel_format}",
        f"setsar={clip.pixel_aspect.numerator}/{clip.pixel_aspect.denominator}",
        f"setparams=range={range_tag}:colorspace={tag}:color_primaries={colour.primaries}:color_trc={colour.transfer}",
    ]

    # Keep time stamps in the unit of the source; AVI counts frames.
    time_base = 1 / clip.frame_rate if muxer == "avi" else clip.time_base
    unit = f"{time_base.numerator}/{time_base.denominator}"
    arguments = ["-filter:v:0", ",".join(filters), "-fps_mode:v:0", "passthrough", "-enc_time_base:v:0", unit]
    arguments += _codec_arguments(muxer, encoding.quality)
    for key, value in clip.tags:
        arguments += ["-metadata:s:v:0", f"{key}={value}"]
    if muxer in _QUICKTIME:
        arguments += ["-video_track_timescale", str(time_base.denominator), "-movflags", "+faststart"]
    elif clip.stamps[0] >= 0:
        # Sound may start before 0, by the samples its decoder discards; ffmpeg must not shift the frames for that.
        arguments += ["-avoid_negative_ts", "disabled"]
    return [*arguments, "-max_muxing_queue_size", "9999", "-f", muxer]


def _codec_arguments(muxer: str, quality: int) -> list[str]:
    """Codec and constant rate factor (crf).

    Quality 75, the usual one for JPEG, gives the default of the encoders (crf 23 and 31); the slope is a matter of
    taste.
    """
    if muxer == "webm":
        crf = round(63 - 0.43 * quality)
        return ["-c:v:0", "libvpx-vp9", "-crf", str(crf), "-b:v:0", "0", "-row-mt", "1", "-cpu-used", "2"]
    crf = round(51 - 0.37 * quality)
    # AVI has no presentation times, so frames must be stored in the order in which they are shown (no B-frames).
    return ["-c:v:0", "libx264", "-preset", "medium", "-crf", str(crf), *(["-bf", "0"] if muxer == "avi" else [])]


def _pixel_format(clip: VideoClip, muxer: str, size: tuple[int, int]) -> str:
    """Pixel format with the chroma and depth of the source, or full chroma if H.264 cannot halve an odd side."""
    chroma = "420"
    if clip.is_rgb or "444" in clip.pixel_format:
        chroma = "444"
    elif "422" in clip.pixel_format:
        chroma = "422"
    width, height = size
    if muxer != "webm" and ((chroma != "444" and width % 2) or (chroma == "420" and height % 2)):
        chroma = "444"
    return f"yuv{chroma}p" + ("10le" if clip.is_deep else "")


def _plan_streams(clip: VideoClip, muxer: str) -> tuple[list[str], list[str]]:
    """ffmpeg arguments that map and copy the other streams, and a list of what is lost or converted."""
    arguments, losses = ["-map", "0:v:0", "-map_metadata", "1", "-map_chapters", "1"], []
    counts: dict[str, int] = {"video": 1}
    is_same = _MUXERS.get(clip.path.suffix.lower()) == muxer
    for stream in clip.others:
        encoder = "copy" if is_same and stream.kind in ("audio", "subtitle", "cover") else _encoder(stream, muxer)
        if encoder is None:
            losses.append(f"{stream.kind} ({stream.codec}) dropped")
            continue
        # ffmpeg numbers the output streams of each kind from 0; an attachment has the letter t.
        kind = "video" if stream.kind == "cover" else stream.kind
        place = f"{kind[0] if kind != 'attachment' else 't'}:{counts.setdefault(kind, 0)}"
        counts[kind] += 1
        arguments += ["-map", f"1:{stream.index}", f"-c:{place}", encoder]
        if stream.kind == "cover":
            arguments += [f"-disposition:{place}", "attached_pic"]
        if encoder != "copy":
            losses.append(f"{stream.kind} {stream.codec} became {encoder}")
    return arguments, losses


def _encoder(stream: Stream, muxer: str) -> str | None:
    """``copy``, the name of an encoder, or None if the container cannot hold such a stream."""
    if stream.kind == "audio":
        copied, encoder = _SOUND.get(muxer, ({stream.codec}, "copy"))
        return "copy" if stream.codec in copied else encoder
    if stream.kind == "subtitle":
        if muxer == "matroska" and stream.codec != "mov_text":
            return "copy"
        return _TEXT_ENCODERS.get(muxer) if stream.codec in _TEXTS else None
    return "copy" if stream.kind == "attachment" and muxer == "matroska" else None


def _check_times(encoding: Encoding, file: Path) -> None:
    """Refuse a result in which a frame is missing or its time relative to the first frame has changed.

    A common offset is allowed: some containers shift all streams alike if sound begins before 0.
    """
    clip = encoding.clip
    expected = [clip.seconds(number) for number in range(len(clip.stamps))]
    found = probe_packet_times(file)
    if len(found) != len(expected):
        raise DiffIRError(f"{encoding.target}: ffmpeg wrote {len(found)} of {len(expected)} frames; try mkv")
    shift = found[0] - expected[0]
    worst = max(abs(after - before - shift) for after, before in zip(found, expected, strict=True))
    if worst > _TOLERANCE:
        raise DiffIRError(f"{encoding.target}: frames are up to {float(worst) * 1000:.1f} ms off their time; try mkv")
