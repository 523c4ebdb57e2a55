"""``diffir restore -n auto``: a network for each photo, chosen by what seems wrong with it."""

import json
from pathlib import Path

import numpy as np
import pytest

import diffir
from diffir.batch.jobs import plan_jobs
from diffir.batch.look import look_at
from diffir.cli.main import COMMANDS, main
from diffir.cli.parser import make_parser, parse
from diffir.cli.restore_auto import choose_groups
from diffir.image_io import read_image, write_image

SAMPLES = Path(__file__).resolve().parents[2] / "datasets/samples"
ON_CPU = ["--device", "cpu", "--fp32"]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two compressed photos around a noisy one, one without faults, and a file that is no photo."""
    pixels = read_image(SAMPLES / "clean/parrots.png").pixels[100:196, 200:296]
    noisy = np.clip(pixels + np.random.default_rng(0).normal(0, 12, pixels.shape), 0, 255).astype(np.uint8)
    write_image(tmp_path / "in/a.jpg", pixels, quality=40)
    write_image(tmp_path / "in/b.png", noisy)
    write_image(tmp_path / "in/c.jpg", pixels, quality=96)
    (tmp_path / "in/d.png").write_text("no photo")
    write_image(tmp_path / "in/e.jpg", pixels[:80], quality=30)
    return tmp_path / "in"


def events_of(capsys: pytest.CaptureFixture, *kinds: str) -> list[dict]:
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [line for line in lines if line["event"] in kinds]


def test_each_photo_gets_its_network_and_each_network_is_loaded_once(
    tmp_path: Path, photos: Path, capsys: pytest.CaptureFixture
) -> None:
    code = main(["restore", str(photos), "-o", f"{tmp_path}/out", "-n", "auto", *ON_CPU])

    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert code == 1
    assert (
        captured.err
        == f"diffir: {photos / 'd.png'}: not an image in a format that can be read; "
        + (captured.err.partition("; ")[2])
    )
    assert [line.split()[1].rstrip(",:") for line in lines if line.startswith(("model", "no network"))] == [
        "jpeg",
        "denoise",
        "network",
    ]
    assert any(line.endswith("s, whole (jpeg: JPEG of quality 40)") for line in lines)
    assert any("(denoise: noise (sigma " in line for line in lines)
    assert any(line.endswith("(no network: nothing seems wrong; copied)") for line in lines)
    assert lines[-1].startswith("4 restored, 0 skipped, 1 failed, ")
    assert (tmp_path / "out/c.jpg").read_bytes() == (photos / "c.jpg").read_bytes()
    expected = diffir.load("denoise", device="cpu", precision="fp32").restore(read_image(photos / "b.png").pixels)
    assert np.array_equal(read_image(tmp_path / "out/b.png").pixels, expected)


def test_json_says_what_was_chosen_and_why_in_a_dry_run_too(
    tmp_path: Path, photos: Path, capsys: pytest.CaptureFixture
) -> None:
    call = ["restore", "-o", f"{tmp_path}/out/", "-n", "auto", "--json", *ON_CPU]

    assert main([*call, f"{photos}/a.jpg"]) == main([*call, f"{photos}/c.jpg", "--dry_run"]) == 0

    events = events_of(capsys, "planned", "done")
    assert [(event["event"], event["network"], event["why"]) for event in events] == [
        ("done", "jpeg", "JPEG of quality 40"),
        ("planned", None, "nothing seems wrong"),
    ]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.jpg"]


def test_a_photo_that_is_left_as_it_is_still_gets_the_format_and_the_size_that_are_asked_for(
    tmp_path: Path, photos: Path
) -> None:
    call = ["restore", f"{photos}/c.jpg", "-o", f"{tmp_path}/out", "-n", "auto"]

    main([*call, "-f", "png"])
    main([*call, "-s", "0.5"])

    original = read_image(photos / "c.jpg").pixels
    assert np.array_equal(read_image(tmp_path / "out/c.png").pixels, original)
    assert read_image(tmp_path / "out/c.jpg").pixels.shape == (48, 48, 3)


def test_a_run_goes_on_without_looking_at_what_is_done(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    looked_at: list[str] = []

    def look(path: Path, **options: object) -> object:
        looked_at.append(path.name)
        return look_at(path, **options)

    monkeypatch.setattr("diffir.batch.look.look_at", look)
    for name in ("a.jpg", "b.png", "e.jpg"):
        write_image(tmp_path / "out" / name, np.zeros((4, 4, 3), np.uint8))

    code = main(["restore", str(photos), "-o", f"{tmp_path}/out", "-n", "auto", "--skip_existing", "--json"])

    (summary,) = events_of(capsys, "summary")
    assert code == 1
    assert (summary["restored"], summary["skipped"], summary["failed"]) == (1, 3, 1)
    assert looked_at == ["c.jpg", "d.png"]
    assert main(["restore", f"{photos}/a.jpg", "-o", f"{tmp_path}/out2", "-n", "auto", "--shard", "2/2"]) == 0
    assert not (tmp_path / "out2").exists()


def test_what_another_process_has_written_meanwhile_is_not_restored_again(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    target = tmp_path / "out/a.jpg"

    def look_while_another_process_writes(path: Path, **options: object) -> object:
        write_image(target, np.zeros((4, 4, 3), np.uint8))
        return look_at(path, **options)

    monkeypatch.setattr("diffir.batch.look.look_at", look_while_another_process_writes)

    assert main(["restore", f"{photos}/a.jpg", "-o", f"{tmp_path}/out/", "-n", "auto", "--json"]) == 0

    (summary,) = events_of(capsys, "summary")
    assert summary["skipped"] == 1
    assert read_image(target).pixels.shape == (4, 4, 3)


@pytest.mark.parametrize(
    ("call", "chosen"),
    [
        (["restore"], ["jpeg", ""]),
        (["restore", "-s", "0.5"], ["jpeg", ""]),
        (["restore", "-s", "2"], ["realesrgan_general_x4", "sr_x4"]),
        (["upscale"], ["realesrgan_general_x4", "sr_x4"]),
    ],
)
def test_larger_photos_come_from_networks_that_enlarge(photos: Path, call: list[str], chosen: list[str]) -> None:
    words = [*call, f"{photos}/a.jpg", f"{photos}/c.jpg", "-n", "auto"]
    args = parse(make_parser(COMMANDS, words), words)

    groups = choose_groups(args, plan_jobs(args.inputs, "restored/"))

    assert [group.source for group in groups] == chosen
    assert [[job.source.name for job in group.jobs] for group in groups] == [["a.jpg"], ["c.jpg"]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["clip.mp4"], "-n auto looks at photos, and clip.mp4 is a video: name a network, such as -n photo"),
        (["a.png", "--mask", "alpha"], "--mask needs a network that you name"),
        (["a.png", "--share_prior"], "--share_prior needs a network that you name"),
        (["a.png", "--samples", "2"], "--samples needs a network that you name"),
        (["a.png", "--sampler", "ddim"], "--sampler is no option of the networks that -n auto chooses from"),
        (["a.png", "--device", "cuda:99"], "device cuda:99 is not available"),
    ],
)
def test_what_needs_a_network_known_beforehand_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    noise = np.random.default_rng(0).integers(0, 256, (96, 96, 3), dtype=np.uint8)
    write_image(Path("a.png"), noise)

    assert main(["restore", *arguments, "-n", "auto"]) == 2

    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not Path("restored").exists()
