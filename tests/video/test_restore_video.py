"""Every frame of a video keeps its time, other streams are kept, and a stopped run resumes. ffmpeg makes the clips."""

import logging
import shutil
import struct
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import torch

from diffir.errors import DiffIRError, ImageError, UsageError
from diffir.image_io import read_image
from diffir.inference.restorer import Restorer
from diffir.video.clip import probe_clip, read_frames
from diffir.video.restore_video import restore_video

pytestmark = pytest.mark.skipif(
    shutil.which("ffmpeg") is None or shutil.which("ffprobe") is None, reason="ffmpeg and ffprobe are not installed"
)
MakeRestorer = Callable[..., Restorer]

FRAMES = 12
# Smooth pictures, since time and colour are tested and not how encoders treat edges.
PICTURES = "gradients=size=64x48:rate=25:duration=0.48:seed=3:speed=0.01:c0=red:c1=lime:c2=blue,format=rgb24"
TONE = "sine=frequency=440:duration=0.6"
VARYING = "settb=1/90000,setpts='3000*N+437*N*N+20011'"
H264 = ("-c:v", "libx264", "-pix_fmt", "yuv420p")
# ISO 14496-12, section 6.2.2: rows of a matrix in the film's head and in each track's.
UPRIGHT = struct.pack(">9i", 2**16, 0, 0, 0, 2**16, 0, 0, 0, 2**30)
TURNED = struct.pack(">9i", 0, 2**16, 0, -(2**16), 0, 0, 0, 0, 2**30)


def ffmpeg(*arguments: str | Path) -> bytes:
    command = ["ffmpeg", "-v", "error", "-nostdin", "-y", *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True).stdout


@cache
def clip_of(pictures: str, suffix: str, *codec: str) -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder, f"clip{suffix}")
        ffmpeg("-f", "lavfi", "-i", pictures, "-f", "lavfi", "-i", TONE, *codec, path)
        return path.read_bytes()


def make_clip(path: Path, *codec: str, pictures: str = PICTURES) -> Path:
    path.write_bytes(clip_of(pictures, path.suffix, *(codec or H264)))
    return path


def make_varying_clip(path: Path, *codec: str) -> Path:
    """A clip whose frames all have different durations and whose first frame is not at 0 s."""
    rate = ("-copyts", "-fps_mode", "passthrough", "-enc_time_base", "1/90000", "-video_track_timescale", "90000")
    return make_clip(path, *H264, *codec, *rate, pictures=f"{PICTURES},{VARYING}")


def probe(path: Path, *entries: str) -> list[str]:
    command = ["ffprobe", "-v", "error", *entries, "-of", "default=nw=1:nk=1", str(path)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()


def shown_times(path: Path) -> list[float]:
    times = probe(path, "-select_streams", "v:0", "-show_entries", "frame=best_effort_timestamp_time")
    return [float(time) for time in times]


def packets(path: Path, streams: str) -> bytes:
    """A hash of the stored packets without their times."""
    return ffmpeg("-i", path, "-map", f"0:{streams}", "-c", "copy", "-f", "md5", "-")


def all_frames(path: Path) -> np.ndarray:
    return np.stack(list(read_frames(probe_clip(path))))


def stop_after(frames: int, calls: list[int]) -> dict:
    """Arguments that stop a run after a number of frames and collect its calls."""
    return {"on_frame": lambda done, _: calls.append(done), "should_stop": lambda: calls[-1] >= frames}


OF_ONE_FAMILY = [pytest.param(f"out.{suffix}", marks=pytest.mark.slow) for suffix in ("m4v", "mov")]  # that of MP4


@pytest.mark.parametrize("name", [*OF_ONE_FAMILY, "out.mkv", "out.webm", "Film 100%: -1.MP4"])
def test_every_frame_keeps_its_time_and_sound_is_copied_packet_by_packet(
    tmp_path: Path, make_restorer: MakeRestorer, name: str
) -> None:
    sound = ("-c:a", "libopus") if name.endswith("webm") else ("-c:a", "aac")
    source, target = make_varying_clip(tmp_path / "in.mp4", *sound), tmp_path / "out" / name

    restored = restore_video(make_restorer(), source, target)

    assert len(shown_times(source)) == FRAMES
    assert shown_times(target) == pytest.approx(shown_times(source), abs=1e-3)
    assert packets(target, "a") == packets(source, "a")
    assert (restored.size, restored.frames, restored.losses) == ((64, 48), FRAMES, "")


@pytest.mark.parametrize(("name", "codec"), [("a.avi", H264), ("a.webm", ("-c:v", "libvpx-vp9", "-c:a", "libopus"))])
def test_a_container_of_constant_rates_or_of_other_codecs_is_read_and_written(
    tmp_path: Path, make_restorer: MakeRestorer, name: str, codec: tuple[str, ...]
) -> None:
    source, target = make_clip(tmp_path / name, *codec), tmp_path / "out" / name

    restored = restore_video(make_restorer(), source, target)

    assert packets(target, "a") == packets(source, "a")
    assert (restored.size, restored.frames, restored.losses) == ((64, 48), FRAMES, "")


def test_subtitles_chapters_and_tags_are_kept(tmp_path: Path, make_restorer: MakeRestorer) -> None:
    (tmp_path / "text.srt").write_text("1\n00:00:00,100 --> 00:00:00,400\nhello\n")
    (tmp_path / "tags.txt").write_text(
        ";FFMETADATA1\ntitle=My film\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=300\ntitle=One\n"
    )
    clip, source, target = make_clip(tmp_path / "c.mp4"), tmp_path / "in.mkv", tmp_path / "out.mkv"
    inputs = ("-i", clip, "-i", tmp_path / "text.srt", "-i", tmp_path / "tags.txt")
    ffmpeg(*inputs, "-map_metadata", "2", "-map", "0", "-map", "1", "-metadata:s:v", "language=deu", source)

    restore_video(make_restorer(), source, target)

    assert packets(target, "s") == packets(source, "s")
    kept = ("-show_entries", "chapter=start_time,end_time:chapter_tags=title:format_tags=title")
    assert probe(target, *kept) == probe(source, *kept) == ["0.000000", "0.300000", "One", "My", "film"]
    assert probe(target, "-select_streams", "v", "-show_entries", "stream_tags=language") == ["deu"]


@pytest.mark.parametrize(
    ("codec", "pixel_format"),
    [
        (("-c:v", "libx264", "-pix_fmt", "yuv420p"), "yuv420p"),
        (("-vf", "scale=out_color_matrix=bt709", *H264, "-colorspace", "bt709", "-color_range", "tv"), "yuv420p"),
        (("-c:v", "libx264", "-pix_fmt", "yuvj420p"), "yuvj420p"),
        (("-c:v", "libx264", "-pix_fmt", "yuv422p10le", "-colorspace", "bt2020nc", "-color_primaries", "bt2020",
          "-color_trc", "smpte2084"), "yuv422p10le"),
        (("-c:v", "png", "-an"), "yuv444p"),
    ],
    ids=["untagged", "bt709", "full range", "10 bit HDR", "RGB"],
)  # fmt: skip
def test_unchanged_colours_keep_their_values(
    tmp_path: Path, make_restorer: MakeRestorer, codec: tuple[str, ...], pixel_format: str
) -> None:
    source, target = make_clip(tmp_path / "in.mkv", *codec, "-crf", "10"), tmp_path / "out.mkv"

    restore_video(make_restorer(strength=0.0), source, target)

    before, after = all_frames(source), all_frames(target)
    assert after.dtype == before.dtype
    assert np.abs(after - before.astype(float)).mean() < 0.006 * np.iinfo(before.dtype).max
    assert probe_clip(target).pixel_format == pixel_format
    if pixel_format != "yuv444p":  # RGB has no tags that would hold here
        assert probe_clip(target).colour == probe_clip(source).colour


def test_a_clip_of_a_turned_phone_comes_out_upright(tmp_path: Path, make_restorer: MakeRestorer) -> None:
    source, target = make_clip(tmp_path / "in.mp4"), tmp_path / "out.mp4"
    head, film, picture, sound = source.read_bytes().split(UPRIGHT)  # versions of ffmpeg differ in how to ask for it
    source.write_bytes(head + UPRIGHT + film + TURNED + picture + UPRIGHT + sound)

    restored = restore_video(make_restorer(strength=0.0), source, target)

    assert restored.size == (48, 64)
    assert np.abs(all_frames(target).astype(float) - all_frames(source)).mean() < 2


@pytest.mark.parametrize(("suffix", "pixel_format"), [("mp4", "yuv444p"), ("webm", "yuv420p")])
def test_odd_sides_stay_odd(tmp_path: Path, make_restorer: MakeRestorer, suffix: str, pixel_format: str) -> None:
    codec = ("-vf", "scale=63:47,format=yuv420p", "-c:v", "libvpx-vp9")
    source, target = make_clip(tmp_path / "in.mkv", *codec), tmp_path / f"out.{suffix}"

    assert restore_video(make_restorer(), source, target).size == (63, 47)

    assert all_frames(target).shape == (FRAMES, 47, 63, 3)
    assert probe_clip(target).pixel_format == pixel_format


def test_a_stopped_run_goes_on_and_ends_as_if_it_had_not_been_stopped(
    tmp_path: Path, make_restorer: MakeRestorer
) -> None:
    source, calls = make_clip(tmp_path / "in.mp4"), []
    restore_video(make_restorer(), source, tmp_path / "whole.mp4")
    with pytest.raises(DiffIRError, match="stopped"):
        restore_video(make_restorer(), source, tmp_path / "out.mp4", **stop_after(5, calls))
    assert not (tmp_path / "out.mp4").exists()

    restored = restore_video(make_restorer(), source, tmp_path / "out.mp4", on_frame=lambda *frame: calls.append(frame))

    assert restored.resumed == 5
    assert calls == [1, 2, 3, 4, 5, *((done, FRAMES) for done in range(6, FRAMES + 1))]
    assert packets(tmp_path / "out.mp4", "v") == packets(tmp_path / "whole.mp4", "v")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mp4", "out.mp4", "whole.mp4"]


def test_an_interrupt_logs_what_is_kept(
    tmp_path: Path, make_restorer: MakeRestorer, caplog: pytest.LogCaptureFixture
) -> None:
    def interrupt(done: int, _: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with caplog.at_level(logging.INFO), pytest.raises(KeyboardInterrupt):
        restore_video(make_restorer(), make_clip(tmp_path / "in.mp4"), tmp_path / "out.mp4", on_frame=interrupt)

    assert "3 of 12 frames are kept" in caplog.text
    assert len(list((tmp_path / "out.mp4.parts").glob("*.png"))) == 3


def test_frames_of_another_run_are_not_mixed_in(tmp_path: Path, make_restorer: MakeRestorer) -> None:
    source, target = make_clip(tmp_path / "in.mp4"), tmp_path / "out.mp4"
    other = make_clip(tmp_path / "other.mp4", *H264, "-crf", "40")
    with pytest.raises(DiffIRError, match="stopped"):
        restore_video(make_restorer(), source, target, **stop_after(1, []))

    changes: list[tuple[str, dict, dict]] = [
        ("network or setting", {"arch": {"dim": 16}}, {}),
        ("seed", {"seed": 1}, {}),
        ("strength", {"strength": 0.5}, {}),
        ("tile", {"tile": 32}, {}),
        ("share_prior", {}, {"share_prior": True}),
        ("source", {}, {"source": other}),
    ]
    for named, settings, arguments in changes:
        with pytest.raises(DiffIRError, match=f"frames of a run with another {named}"):
            restore_video(make_restorer(**settings), **{"source": source, "target": target, **arguments})


@pytest.mark.parametrize("kind", ["own", "shared", "given"])
def test_a_prior_is_each_frames_own_or_the_first_ones_or_a_given_one(
    tmp_path: Path, make_restorer: MakeRestorer, kind: str
) -> None:
    source, target, restorer = make_clip(tmp_path / "in.mp4"), tmp_path / "out.mp4", make_restorer()
    frames = all_frames(source)
    given = torch.linspace(-9, 9, restorer.estimate_prior_of(frames[0]).shape[1])[None] if kind == "given" else None
    prior = restorer.estimate_prior_of(frames[0]) if kind == "shared" else given

    for number in (1, 3):  # the second run must find the prior of the first again
        with pytest.raises(DiffIRError, match="stopped"):
            restore_video(restorer, source, target, share_prior=kind == "shared", prior=given, **stop_after(number, []))

    written = read_image(tmp_path / "out.mp4.parts" / "00000002.png").pixels
    assert np.array_equal(written, restorer.restore(frames[2], prior=prior))
    assert (kind == "own") == np.array_equal(written, restorer.restore(frames[2]))


def test_a_container_that_refuses_does_so_after_the_first_frame(tmp_path: Path, make_restorer: MakeRestorer) -> None:
    source, calls = make_clip(tmp_path / "in.mov", *H264, "-c:a", "adpcm_ima_qt"), []

    with pytest.raises(DiffIRError, match=r"out\.mkv: ffmpeg says: .*adpcm_ima_qt"):
        restore_video(make_restorer(), source, tmp_path / "out.mkv", on_frame=lambda *frame: calls.append(frame))

    assert calls == [(1, FRAMES)]
    assert not (tmp_path / "out.mkv.parts").exists()


@pytest.mark.parametrize(
    ("source", "target", "options", "error", "message"),
    [
        ("in.mp4", "in.mp4", {}, UsageError, "would be overwritten"),
        ("in.mp4", "out.gif", {}, UsageError, "cannot write .gif; can: .mp4"),
        ("in.mp4", "out.avi", {}, DiffIRError, "AVI holds constant frame rates"),
        ("in.mp4", "out.mp4", {"quality": 0}, UsageError, "quality must be from 1 to 100"),
        ("none.mp4", "out.mp4", {}, ImageError, "none.mp4: no such file"),
        ("text.mp4", "out.mp4", {}, ImageError, "text.mp4: ffprobe says: .*Invalid data"),
        ("tone.mp4", "out.mp4", {}, ImageError, "tone.mp4: no video in this file"),
        ("cut.mp4", "out.mp4", {}, ImageError, "cut.mp4: ffprobe says: "),
    ],
)
def test_impossible_videos_are_refused(
    tmp_path: Path, make_restorer: MakeRestorer, source: str, target: str, options: dict, error: type, message: str
) -> None:
    whole = make_varying_clip(tmp_path / "in.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.mp4").write_text("no video")
    if source == "tone.mp4":
        ffmpeg("-f", "lavfi", "-i", TONE, tmp_path / source)

    with pytest.raises(error, match=message) as raised:
        restore_video(make_restorer(), tmp_path / source, tmp_path / target, **options)

    assert "\n" not in str(raised.value)
    assert not list(tmp_path.glob("*.parts"))


def test_a_target_that_is_a_folder_is_refused_before_the_first_frame(
    tmp_path: Path, make_restorer: MakeRestorer
) -> None:
    source, calls = make_clip(tmp_path / "in.mp4"), []
    (tmp_path / "out.mp4").mkdir()

    with pytest.raises(UsageError, match=r"out\.mp4 is a folder"):
        restore_video(make_restorer(), source, tmp_path / "out.mp4", on_frame=lambda *frame: calls.append(frame))

    assert not calls


def test_frames_that_are_too_large_are_refused(tmp_path: Path, make_restorer: MakeRestorer) -> None:
    source = make_clip(tmp_path / "in.mp4")

    with pytest.raises(ImageError, match=r"in\.mp4: 64 x 48 is more than 3071 pixels; --max_pixels"):
        restore_video(make_restorer(), source, tmp_path / "out.mp4", max_pixels=64 * 48 - 1)


@pytest.mark.parametrize(("content", "message"), [(b"", "the file is empty"), (b"text" * 9, "ffprobe says: Invalid")])
def test_a_file_that_is_no_video_is_reported_with_its_path_once(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "in.mp4").write_bytes(content)

    with pytest.raises(ImageError) as raised:
        probe_clip(tmp_path / "in.mp4")

    assert str(raised.value).startswith(f"{tmp_path / 'in.mp4'}: {message}")
    assert str(raised.value).count("in.mp4") == 1
