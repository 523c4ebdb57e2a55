"""Read a video file: ffprobe gives its properties, ffmpeg decodes its frames.

In: a path. Out: a ``VideoClip`` with the time stamp of every frame, colour tags and the other streams; frames as
upright arrays H x W x 3 RGB, uint8, or uint16 if the clip has more than 8 bits per sample. Time stamps are presentation
times in the stream's own unit, so nothing is rounded here.
"""

import json
import re
from collections.abc import Generator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import IO, Any

import numpy as np

from diffir.errors import DiffIRError, ImageError
from diffir.video.ffmpeg import ffmpeg_pipe, file_url, run

_LOCAL_ONLY = (
    "-protocol_whitelist",
    "file,pipe",
)  # a playlist with the suffix of a video must not open network addresses
SCALER = "flags=lanczos+accurate_rnd+full_chroma_int"
_LIKELY_RATE = Fraction(25)  # frames per second, assumed if the file does not say
_STAMP_ROUNDING = Fraction(1, 1000)  # seconds; Matroska stores milliseconds
# Tag of a file -> name of the same matrix in ffmpeg's scaler. Other tags, and a missing one, are treated as BT.601 for
# reading and for writing, so that unchanged pixels keep their values.
_MATRICES = {"bt709": "bt709", "fcc": "fcc", "smpte240m": "smpte240m", "bt2020nc": "bt2020", "bt2020c": "bt2020"}


@dataclass(frozen=True)
class Stream:
    """A stream of the file other than the video stream that is restored."""

    index: int
    kind: str
    """One of audio, subtitle, attachment, data, cover (a still picture) and video (a further video stream)."""
    codec: str


@dataclass(frozen=True)
class Colour:
    """Colour tags under the names that ffmpeg uses; ``unknown`` if the file has no such tag."""

    range: str
    matrix: str
    primaries: str
    transfer: str

    @property
    def scaler_matrix(self) -> str:
        """Name of the matrix between YUV and RGB in ffmpeg's scaler."""
        return _MATRICES.get(self.matrix, "bt601")


@dataclass(frozen=True)
class VideoClip:
    """Properties of a video file and of the video stream that is restored."""

    path: Path
    index: int
    stamps: tuple[int, ...]
    """Time stamp of every frame in units of ``time_base``, strictly rising."""
    time_base: Fraction
    """Unit of the time stamps in seconds."""
    frame_rate: Fraction
    """Frames per second; the average if the rate varies."""
    size: tuple[int, int]
    """Width and height in pixels as stored, before rotation."""
    has_constant_rate: bool
    """True if every frame lies on the grid of the frame rate; single frames may be missing."""
    pixel_format: str
    pixel_aspect: Fraction
    """Width of an upright pixel divided by its height."""
    colour: Colour
    tags: tuple[tuple[str, str], ...]
    """Language and title of the video stream, as (key, value)."""
    is_interlaced: bool
    others: tuple[Stream, ...]

    @property
    def is_deep(self) -> bool:
        """True for more than 8 bits per sample: yuv420p10le, p010le, rgb48be, grayf32le ..."""
        return re.search(r"(?:\D(?:9|10|12|14|16)|48|64|f32)[lb]e$", self.pixel_format) is not None

    @property
    def is_rgb(self) -> bool:
        """True if the samples are stored as RGB, without a YUV matrix."""
        return re.match(r"(x2)?(rgb|bgr|gbr|argb|abgr|0rgb|0bgr|pal8)", self.pixel_format) is not None

    @property
    def has_alpha(self) -> bool:
        """True if the clip stores opacity, which is not restored."""
        return re.match(r"yuva|gbrap|[rb]g[br]a|a[rb]g[br]|ya\d", self.pixel_format) is not None

    def seconds(self, frame: int) -> Fraction:
        """Time in seconds at which a frame is shown."""
        return self.stamps[frame] * self.time_base


def probe_clip(path: Path) -> VideoClip:
    """Read the properties of a clip; this decodes the whole clip once for its time stamps.

    Raises:
        ImageError: the file does not exist, cannot be read or holds no video.
    """
    if not path.is_file():
        raise ImageError(f"{path}: {'a folder, not a video' if path.is_dir() else 'no such file'}")
    if not path.stat().st_size:
        raise ImageError(f"{path}: the file is empty")
    try:
        # Read the streams, then the time stamps of the first video stream.
        found = json.loads(_probe(path, "-show_streams", "-show_format", "-of", "json"))
        streams, is_avi = found["streams"], found["format"]["format_name"] == "avi"
        videos = [stream for stream in streams if _kind(stream) == "video"]
        stamps = _read_stamps(path, videos[0]["index"], is_avi) if videos else []
    except DiffIRError as error:
        raise ImageError(
            str(error).replace(f"{file_url(path)}: ", "")
        ) from error  # the message begins with the path already
    if not stamps:
        raise ImageError(f"{path}: no video in this file")
    return _clip(path, videos[0], stamps, streams)


def probe_packet_times(path: Path) -> list[Fraction]:
    """Sorted times in seconds of the packets of the first video stream; nothing is decoded."""
    stamps, time_base = _packet_stamps(path, "v:0")
    return [stamp * time_base for stamp in stamps]


def read_frames(clip: VideoClip, first: int = 0) -> Generator[np.ndarray, None, None]:
    """Decode the frames from number ``first`` on, one in memory at a time.

    Yields:
        Upright frames, H x W x 3 RGB, uint8, or uint16 if the clip is deep.

    Raises:
        ImageError: ffmpeg cannot decode the clip.
    """
    # A comma would end the filter, so it is escaped. Frames are counted in the order in which they are shown.
    skip = f"select=gte(n\\,{first})," if first else ""
    colour = "" if clip.is_rgb else f"in_color_matrix={clip.colour.scaler_matrix}:in_range={clip.colour.range}:"
    filters = f"{skip}scale={colour.replace('in_range=unknown:', '')}{SCALER}"
    layout = "rgb48be" if clip.is_deep else "rgb24"
    source = [*_LOCAL_ONLY, "-i", file_url(clip.path), "-map", f"0:{clip.index}"]
    # PPM states the size of each frame after rotation; passthrough neither drops nor repeats frames.
    sink = ["-vf", filters, "-fps_mode", "passthrough", "-c:v", "ppm", "-pix_fmt", layout, "-f", "image2pipe", "pipe:1"]
    try:
        with ffmpeg_pipe([*source, *sink], "stdout", str(clip.path)) as pipe:
            while (frame := _read_ppm(pipe)) is not None:
                yield frame
    except DiffIRError as error:
        raise ImageError(str(error)) from error


def _read_ppm(pipe: IO[bytes]) -> np.ndarray | None:
    """The next frame, H x W x 3; None at the end of the pipe or if it ends within a frame."""
    head = [pipe.readline() for _ in range(3)]  # three lines: P6, width and height, largest value
    if not head[2]:
        return None
    width, height = map(int, head[1].split())
    # Samples of two bytes are stored with the higher byte first.
    kind = np.dtype(np.uint8 if int(head[2]) == 255 else ">u2")
    content = pipe.read(width * height * 3 * kind.itemsize)
    if len(content) < width * height * 3 * kind.itemsize:
        return None
    return np.frombuffer(content, kind).reshape(height, width, 3).astype(kind.newbyteorder("="))


def _probe(path: Path, *arguments: str) -> str:
    return run("ffprobe", ["-v", "error", *_LOCAL_ONLY, *arguments, file_url(path)], str(path))


def _read_stamps(path: Path, index: int, is_avi: bool) -> list[int]:
    """Time stamps of all frames, strictly rising.

    A missing stamp, or one that does not rise, becomes the one before plus 1, so that no frame is lost.
    """
    entries = ("-show_entries", "frame=best_effort_timestamp", "-of", "default=nw=1")
    stamps: list[int] = []
    for line in _probe(path, "-select_streams", str(index), *entries).splitlines():
        name, _, value = line.partition("=")
        if name == "best_effort_timestamp":
            least = stamps[-1] + 1 if stamps else None
            stamp = int(value) if value != "N/A" else least or 0
            stamps.append(stamp if least is None else max(stamp, least))
    if is_avi:
        # AVI stores decoding times only, and decoders derive presentation times that are late by the frames they
        # hold back. The k-th shown frame therefore takes the k-th stored time.
        stored, _ = _packet_stamps(path, str(index))
        return stored if len(stored) == len(stamps) else stamps
    return stamps


def _packet_stamps(path: Path, stream: str) -> tuple[list[int], Fraction]:
    """Sorted stamps of the packets of a stream, and their unit in seconds.

    They are presentation times, or decoding times if the container stores no others.
    """
    entries = ("-show_entries", "packet=pts,dts:stream=time_base", "-of", "compact=p=0")
    text = _probe(path, "-select_streams", stream, *entries)
    stamps = re.findall(r"^pts=(?:N/A\|dts=)?(-?\d+)", text, re.MULTILINE)
    return sorted(map(int, stamps)), Fraction(re.findall(r"^time_base=([\d/]+)", text, re.MULTILINE)[0])


def _clip(path: Path, video: dict[str, Any], stamps: list[int], streams: list[dict[str, Any]]) -> VideoClip:
    # An upright pixel of a clip turned by 90 degrees has the inverse aspect ratio.
    aspect = _ratio(video.get("sample_aspect_ratio")) or Fraction(1)
    turned = any(int(side.get("rotation", 0)) % 180 for side in video.get("side_data_list", []))
    tags = {key.lower(): value for key, value in video.get("tags", {}).items()}
    time_base = Fraction(video["time_base"])
    frame_rate, is_constant = _frame_rate(video, [(stamp - stamps[0]) * time_base for stamp in stamps])
    return VideoClip(
        path=path,
        size=(int(video["width"]), int(video["height"])),
        index=video["index"],
        stamps=tuple(stamps),
        time_base=time_base,
        frame_rate=frame_rate,
        has_constant_rate=is_constant,
        pixel_format=video.get("pix_fmt", "yuv420p"),
        pixel_aspect=1 / aspect if turned else aspect,
        colour=Colour(*(_tag(video, f"color_{name}") for name in ("range", "space", "primaries", "transfer"))),
        tags=tuple((key, tags[key]) for key in ("language", "title") if key in tags),
        is_interlaced=video.get("field_order", "progressive") not in ("progressive", "unknown"),
        others=tuple(
            Stream(other["index"], _kind(other), other.get("codec_name", "unknown"))
            for other in streams
            if other["index"] != video["index"] and not _is_chapter_track(other)
        ),
    )


def _frame_rate(video: dict[str, Any], times: list[Fraction]) -> tuple[Fraction, bool]:
    """Frame rate, and whether it is constant; a declared rate counts only if the time stamps agree with it.

    Args:
        times: seconds of every frame, the first at 0.
    """
    average = Fraction(len(times) - 1) / times[-1] if len(times) > 1 else _LIKELY_RATE
    for rate in (_ratio(video.get("r_frame_rate")), _ratio(video.get("avg_frame_rate"))):
        # A rate far above the average is that of the clock: every stamp lies on its grid, so agreement proves nothing.
        if rate and (rate <= 2 * average or len(times) == 1):
            distances = (abs(time - round(time * rate) / rate) for time in times)
            if max(distances) <= _STAMP_ROUNDING:
                return rate, True
    return average, False


def _kind(stream: dict[str, Any]) -> str:
    is_cover = stream.get("disposition", {}).get("attached_pic") == 1
    return "cover" if is_cover else stream.get("codec_type", "data")


def _is_chapter_track(stream: dict[str, Any]) -> bool:
    """True for the track in which QuickTime stores chapter titles; chapters are copied separately."""
    return stream.get("codec_type") == "data" and stream.get("codec_tag_string") == "text"


def _tag(stream: dict[str, Any], key: str) -> str:
    return "unknown" if stream.get(key) in (None, "reserved", "unspecified") else stream[key]


def _ratio(text: str | None) -> Fraction | None:
    """A text such as 30000/1001 or 4:3 as a fraction; None if it is missing or contains 0."""
    found = re.fullmatch(r"(\d+)[/:](\d+)", text or "")
    return Fraction(int(found[1]), int(found[2])) if found and int(found[1]) and int(found[2]) else None
