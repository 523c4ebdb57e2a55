"""A video file as it is: its facts by ffprobe, its frames by ffmpeg.

In: a path. Out: a ``Clip`` with the time stamp of every frame, colour tags and the other streams; frames as upright
arrays H x W x 3 RGB, uint8, or uint16 where the clip holds more than 8 bits. Stamps are those of the frames that are
shown, in the stream's own unit, so nothing is rounded here.
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

_LOCAL_ONLY = ("-protocol_whitelist", "file,pipe")  # a playlist in disguise must not reach the network
SCALER = "flags=lanczos+accurate_rnd+full_chroma_int"
_LIKELY_RATE = Fraction(25)  # frames a second, where a file does not tell
_STAMP_ROUNDING = Fraction(1, 1000)  # seconds; Matroska's clock
# What ffmpeg's scaler calls the matrices that files are tagged with. Others, and none, are taken for BT.601 both ways,
# so that what the network leaves alone comes back as it was.
_MATRICES = {"bt709": "bt709", "fcc": "fcc", "smpte240m": "smpte240m", "bt2020nc": "bt2020", "bt2020c": "bt2020"}


@dataclass(frozen=True)
class Stream:
    """Something in the file beside the video that is restored."""

    index: int
    kind: str
    """audio, subtitle, attachment, data, cover (a picture) or video (another one)."""
    codec: str


@dataclass(frozen=True)
class Colour:
    """Tags in ffmpeg's words; ``unknown`` where the file says nothing."""

    range: str
    matrix: str
    primaries: str
    transfer: str

    @property
    def scaler_matrix(self) -> str:
        """The matrix between YUV and RGB in the words of ffmpeg's scaler."""
        return _MATRICES.get(self.matrix, "bt601")


@dataclass(frozen=True)
class Clip:
    """The facts of a video file and of the one video stream that is restored."""

    path: Path
    index: int
    stamps: tuple[int, ...]
    """Of every frame, in units of ``time_base``, rising."""
    time_base: Fraction
    """Seconds."""
    frame_rate: Fraction
    """Frames a second; on average where it varies."""
    size: tuple[int, int]
    """Width and height, as stored."""
    has_constant_rate: bool
    """Every frame is in its place, though single ones may be missing."""
    pixel_format: str
    pixel_aspect: Fraction
    """Width over height of an upright pixel."""
    colour: Colour
    tags: tuple[tuple[str, str], ...]
    """Language and title of the stream."""
    is_interlaced: bool
    others: tuple[Stream, ...]

    @property
    def is_deep(self) -> bool:
        """More than 8 bits a sample: yuv420p10le, p010le, rgb48be, grayf32le ..."""
        return re.search(r"(?:\D(?:9|10|12|14|16)|48|64|f32)[lb]e$", self.pixel_format) is not None

    @property
    def is_rgb(self) -> bool:
        """Stored without a matrix."""
        return re.match(r"(x2)?(rgb|bgr|gbr|argb|abgr|0rgb|0bgr|pal8)", self.pixel_format) is not None

    @property
    def has_alpha(self) -> bool:
        """Opacity, which is not restored."""
        return re.match(r"yuva|gbrap|[rb]g[br]a|a[rb]g[br]|ya\d", self.pixel_format) is not None

    def seconds(self, frame: int) -> Fraction:
        """When a frame is shown."""
        return self.stamps[frame] * self.time_base


def probe_clip(path: Path) -> Clip:
    """The facts; reads the whole clip once for its time stamps.

    Raises:
        ImageError: no such file, no video in it, or not readable.
    """
    if not path.is_file():
        raise ImageError(f"{path}: {'a folder, not a video' if path.is_dir() else 'no such file'}")
    if not path.stat().st_size:
        raise ImageError(f"{path}: the file is empty")
    try:
        found = json.loads(_probe(path, "-show_streams", "-show_format", "-of", "json"))
        streams, is_avi = found["streams"], found["format"]["format_name"] == "avi"
        videos = [stream for stream in streams if _kind(stream) == "video"]
        stamps = _read_stamps(path, videos[0]["index"], is_avi) if videos else []
    except DiffIRError as error:
        raise ImageError(str(error).replace(f"{file_url(path)}: ", "")) from error  # the path stands at the front
    if not stamps:
        raise ImageError(f"{path}: no video in this file")
    return _clip(path, videos[0], stamps, streams)


def probe_packet_times(path: Path) -> list[Fraction]:
    """Seconds of each packet of the first video stream, rising; nothing is decoded."""
    stamps, time_base = _packet_stamps(path, "v:0")
    return [stamp * time_base for stamp in stamps]


def read_frames(clip: Clip, first: int = 0) -> Generator[np.ndarray, None, None]:
    """Frames from number ``first`` on, turned upright, one in memory at a time.

    Raises:
        ImageError: ffmpeg cannot decode them.
    """
    # Commas end a filter, so the one inside is escaped. Frames are counted as they are shown.
    skip = f"select=gte(n\\,{first})," if first else ""
    colour = "" if clip.is_rgb else f"in_color_matrix={clip.colour.scaler_matrix}:in_range={clip.colour.range}:"
    filters = f"{skip}scale={colour.replace('in_range=unknown:', '')}{SCALER}"
    layout = "rgb48be" if clip.is_deep else "rgb24"
    source = [*_LOCAL_ONLY, "-i", file_url(clip.path), "-map", f"0:{clip.index}"]
    # PPM, since it tells the size of each frame after rotation; passthrough, since stamps are known already.
    sink = ["-vf", filters, "-fps_mode", "passthrough", "-c:v", "ppm", "-pix_fmt", layout, "-f", "image2pipe", "pipe:1"]
    try:
        with ffmpeg_pipe([*source, *sink], "stdout", str(clip.path)) as pipe:
            while (frame := _read_ppm(pipe)) is not None:
                yield frame
    except DiffIRError as error:
        raise ImageError(str(error)) from error


def _read_ppm(pipe: IO[bytes]) -> np.ndarray | None:
    """H x W x 3; None at the end of the pipe, also within a frame. Samples of two bytes have the higher one first."""
    head = [pipe.readline() for _ in range(3)]  # P6, width and height, white
    if not head[2]:
        return None
    width, height = map(int, head[1].split())
    kind = np.dtype(np.uint8 if int(head[2]) == 255 else ">u2")
    content = pipe.read(width * height * 3 * kind.itemsize)
    if len(content) < width * height * 3 * kind.itemsize:
        return None
    return np.frombuffer(content, kind).reshape(height, width, 3).astype(kind.newbyteorder("="))


def _probe(path: Path, *arguments: str) -> str:
    return run("ffprobe", ["-v", "error", *_LOCAL_ONLY, *arguments, file_url(path)], str(path))


def _read_stamps(path: Path, index: int, is_avi: bool) -> list[int]:
    """Missing stamps follow the one before; equal or falling ones are moved up by one unit, since none may be lost."""
    entries = ("-show_entries", "frame=best_effort_timestamp", "-of", "default=nw=1")
    stamps: list[int] = []
    for line in _probe(path, "-select_streams", str(index), *entries).splitlines():
        name, _, value = line.partition("=")
        if name == "best_effort_timestamp":
            least = stamps[-1] + 1 if stamps else None
            stamp = int(value) if value != "N/A" else least or 0
            stamps.append(stamp if least is None else max(stamp, least))
    if is_avi:
        # AVI says when frames are stored, and decoders guess from it, late by as many frames as they hold back. The
        # frame shown as number k belongs to the k-th place.
        stored, _ = _packet_stamps(path, str(index))
        return stored if len(stored) == len(stamps) else stamps
    return stamps


def _packet_stamps(path: Path, stream: str) -> tuple[list[int], Fraction]:
    """Of showing, or of decoding where a container does not know them; rising. And their unit in seconds."""
    entries = ("-show_entries", "packet=pts,dts:stream=time_base", "-of", "compact=p=0")
    text = _probe(path, "-select_streams", stream, *entries)
    stamps = re.findall(r"^pts=(?:N/A\|dts=)?(-?\d+)", text, re.MULTILINE)
    return sorted(map(int, stamps)), Fraction(re.findall(r"^time_base=([\d/]+)", text, re.MULTILINE)[0])


def _clip(path: Path, video: dict[str, Any], stamps: list[int], streams: list[dict[str, Any]]) -> Clip:
    aspect = _ratio(video.get("sample_aspect_ratio")) or Fraction(1)
    turned = any(int(side.get("rotation", 0)) % 180 for side in video.get("side_data_list", []))
    tags = {key.lower(): value for key, value in video.get("tags", {}).items()}
    time_base = Fraction(video["time_base"])
    frame_rate, is_constant = _frame_rate(video, [(stamp - stamps[0]) * time_base for stamp in stamps])
    return Clip(
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
    """The rate, and whether it is constant. What files declare is only believed where the stamps (from 0) agree."""
    average = Fraction(len(times) - 1) / times[-1] if len(times) > 1 else _LIKELY_RATE
    for rate in (_ratio(video.get("r_frame_rate")), _ratio(video.get("avg_frame_rate"))):
        # A rate far above the average is the clock's: every stamp lies on its grid, and it says nothing.
        if rate and (rate <= 2 * average or len(times) == 1):
            distances = (abs(time - round(time * rate) / rate) for time in times)
            if max(distances) <= _STAMP_ROUNDING:
                return rate, True
    return average, False


def _kind(stream: dict[str, Any]) -> str:
    is_cover = stream.get("disposition", {}).get("attached_pic") == 1
    return "cover" if is_cover else stream.get("codec_type", "data")


def _is_chapter_track(stream: dict[str, Any]) -> bool:
    """What QuickTime keeps the titles of chapters in; they are copied as chapters."""
    return stream.get("codec_type") == "data" and stream.get("codec_tag_string") == "text"


def _tag(stream: dict[str, Any], key: str) -> str:
    return "unknown" if stream.get(key) in (None, "reserved", "unspecified") else stream[key]


def _ratio(text: str | None) -> Fraction | None:
    """Of 30000/1001 or 4:3; None where it is missing or 0."""
    found = re.fullmatch(r"(\d+)[/:](\d+)", text or "")
    return Fraction(int(found[1]), int(found[2])) if found and int(found[1]) and int(found[2]) else None
