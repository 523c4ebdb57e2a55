"""``diffir restore`` as users run it."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import diffir
from diffir.cli.main import main
from diffir.cli.restore_report import JSON_FIELDS
from diffir.image_io import Animation, Photo, read_file, read_image, write_image
from diffir.inference.prior_file import load_prior, save_prior
from diffir.systems.diffir import DiffIR
from diffir.systems.diffir.tasks import get_task
from tests.diffir_objects import card_of, save_weights


def publish(path: Path, **changes: object) -> str:
    """Write a toy network as a published weights file and return its path."""
    torch.manual_seed(0)
    settings = replace(get_task("denoise_tiny").arch, **changes)
    card = card_of("toy", settings, task="denoise_tiny")
    save_weights(path, DiffIR(settings).state_dict(), card)
    return str(path)


@pytest.fixture
def weights(tmp_path: Path) -> str:
    return publish(tmp_path / "toy.safetensors")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for seed, name in enumerate(("one.png", "two.jpg")):
        pixels = np.random.default_rng(seed).integers(0, 256, (20, 33, 3), dtype=np.uint8)
        write_image(tmp_path / "photos" / name, pixels)
    return tmp_path / "photos"


def test_a_photo_is_restored_and_one_line_says_so(
    tmp_path: Path, photos: Path, weights: str, capsys: pytest.CaptureFixture
) -> None:
    target = tmp_path / "out.png"

    flags = ["--model_path", weights, "--device", "cpu", "--fp32", "--engine", "torch"]

    code = main(["restore", str(photos / "one.png"), "-o", str(target), *flags])

    head, result = capsys.readouterr().out.splitlines()
    assert code == 0
    assert head == "model toy, device cpu, precision fp32, engine torch, tile by memory, statistics global, seed 0"
    assert result.startswith(f"{photos / 'one.png'} -> {target}  33 x 20, ")
    assert result.endswith(" s, whole")


def test_the_command_and_the_library_give_the_same_pixels(tmp_path: Path, photos: Path, weights: str) -> None:
    common = ["--model-path", weights, "--device", "cpu", "--seed", "3", "--tile=16", "--tile-overlap=8"]

    assert main(["restore", "-i", str(photos / "one.png"), "-o", str(tmp_path / "out.png"), *common]) == 0

    restorer = diffir.load(weights, device="cpu", seed=3, tile=16, tile_overlap=8)
    expected = restorer.restore(read_image(photos / "one.png").pixels)
    assert np.array_equal(read_image(tmp_path / "out.png").pixels, expected)


def test_a_folder_goes_on_after_a_bad_file_and_the_exit_code_is_1(
    tmp_path: Path, photos: Path, weights: str, capsys: pytest.CaptureFixture
) -> None:
    (photos / "broken.png").write_bytes(b"")

    code = main(["restore", str(photos), "-o", str(tmp_path / "out"), "--model_path", weights, "--ext", "png"])

    captured = capsys.readouterr()
    assert code == 1
    assert captured.err == f"diffir: {photos / 'broken.png'}: the file is empty\n"
    assert captured.out.splitlines()[-1].startswith("2 restored, 0 skipped, 1 failed, ")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["one.png", "two.png"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no input"),
        (["{photos}", "-o", "{photos}"], "would be overwritten"),
        (["{photos}", "--device", "cuda:99"], "device cuda:99 is not available"),
        (["{photos}", "-t", "-2"], "tile must be"),
        (["{photos}", "--seed", "99999999999999999999"], "seed must be from 0 to"),
        (["{photos}", "--tile_overlap", "-1"], "tile_overlap must be"),
        (["{photos}", "--mask", "{photos}/one.png"], "toy takes no --mask"),
        (["{photos}", "-g", "99"], "device cuda:99 is not available"),
        (["{photos}", "--strength", "1.5"], "strength must be"),
        (["{photos}", "--prior_mix", "1"], "--prior_mix needs --prior"),
        (["{photos}", "--prior", "nowhere.safetensors"], "no such prior"),
        (["clip.mp4", "--strip_metadata"], "--strip_metadata is for photos"),
    ],
)
def test_wrong_usage_ends_with_2_and_one_line(
    tmp_path: Path,
    photos: Path,
    weights: str,
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)

    code = main(["restore", *(text.format(photos=photos) for text in arguments), "--model_path", weights])

    error = capsys.readouterr().err
    assert code == 2
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "restored").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-g", "0", "--device", "cpu"], "not allowed with argument"),
        (["-g", "0,0"], "must be different numbers"),
        (["--quality", "0"], "must be a whole number from 1 to 100"),
        (["--batch_size", "0"], "must be a whole number above 0"),
        (["--prior", "a", "--share_prior"], "not allowed with argument"),
        (["--tiles", "8"], "unknown flag --tiles, did you mean --tile?; see diffir restore --help"),
    ],
)
def test_flags_that_cannot_be_meant_end_with_2_and_one_line(
    photos: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["restore", str(photos), *arguments])

    error = capsys.readouterr().err
    assert stopped.value.code == 2
    assert message in error
    assert error.count("\n") == 1


def test_help_imports_neither_torch_nor_the_table_of_networks_nor_the_types_of_training() -> None:
    imported = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "diffir", "restore", "--help"], capture_output=True, check=True
    )
    modules = {line.rpartition("|")[2].strip() for line in imported.stderr.decode().splitlines()}

    assert "diffir.systems.diffir.restore_options" in modules  # its fields are flags
    assert not modules & {"torch", "numpy", "diffir.systems.diffir.settings", "diffir.systems.diffir.tasks"}
    assert not modules & {"diffir.system.training", "diffir.metrics.protocol"}


def test_unknown_models_are_named(photos: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["restore", str(photos), "-n", "nonesuch"]) == 2
    assert "unknown model 'nonesuch'" in capsys.readouterr().err


def test_without_an_output_results_go_to_a_folder_named_restored(
    tmp_path: Path, photos: Path, weights: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert main(["restore", str(photos), "--model_path", weights, "--suffix", "_x", "--fp32"]) == 0
    assert sorted(path.name for path in (tmp_path / "restored").iterdir()) == ["one_x.png", "two_x.jpg"]


def test_inpainting_takes_its_holes_from_a_mask_file(tmp_path: Path, photos: Path) -> None:
    weights = publish(tmp_path / "holes.safetensors", in_channels=4, unshuffle=1, upsample=1, global_skip="none")
    mask = np.zeros((20, 33), np.uint8)
    mask[4:9, 5:20] = 255
    write_image(tmp_path / "mask.png", mask)
    call = ["restore", str(photos / "one.png"), "-o", str(tmp_path / "out.png"), "--model_path", weights]

    assert main(call) == 2
    assert main([*call, "--mask", str(tmp_path / "mask.png")]) == 0

    before, after = (read_image(path).pixels for path in (photos / "one.png", tmp_path / "out.png"))
    assert np.array_equal(before[mask == 0], after[mask == 0])
    assert (before[mask > 0] != after[mask > 0]).any()


def test_photos_may_stand_on_both_sides_of_flags(tmp_path: Path, photos: Path, weights: str) -> None:
    first, second = str(photos / "one.png"), str(photos / "two.jpg")

    assert main(["restore", first, "-o", str(tmp_path / "out"), "--model_path", weights, second]) == 0

    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["one.png", "two.jpg"]


def test_behind_two_dashes_every_word_is_a_file(tmp_path: Path, weights: str, capsys: pytest.CaptureFixture) -> None:
    code = main(["restore", "-o", str(tmp_path / "out"), "--model_path", weights, "--", "--my-photo.png"])

    assert code == 1
    assert "--my-photo.png: no such file" in capsys.readouterr().err


def run_as_json(capsys: pytest.CaptureFixture, *arguments: str) -> tuple[int, list[dict]]:
    code = main(["restore", *arguments, "--json"])
    return code, [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_json_output_holds_every_event_and_nothing_else(
    tmp_path: Path, photos: Path, weights: str, capsys: pytest.CaptureFixture
) -> None:
    (photos / "broken.png").write_bytes(b"")
    (photos / "one.png").rename(photos / "één ☃.png")

    code, events = run_as_json(capsys, str(photos), "-o", str(tmp_path / "out"), "--model_path", weights, "-t", "32")

    start, broken, two, one, summary = (event for event in events if event["event"] != "progress")
    assert code == 1
    assert (start["event"], start["model"], start["tile"], start["files"]) == ("start", "toy", 32, 3)
    assert broken == {
        "event": "failed",
        "source": str(photos / "broken.png"),
        "error": f"{photos / 'broken.png'}: the file is empty",
    }
    assert (two["event"], two["width"], two["height"], two["tile"]) == ("done", 33, 20, 32)
    assert (one["target"], one["notes"], one["losses"]) == (str(tmp_path / "out" / "één ☃.png"), [], "")
    assert (summary["restored"], summary["skipped"], summary["failed"], summary["not_begun"]) == (2, 0, 1, 0)


def test_every_field_that_is_printed_is_documented(
    tmp_path: Path, photos: Path, weights: str, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("diffir.batch.queue_items._PROGRESS_INTERVAL", 0)
    (photos / "broken.png").write_bytes(b"")
    call = [str(photos), "-o", str(tmp_path / "out"), "--model_path", weights, "--skip_existing"]

    events = [event for _ in range(2) for event in run_as_json(capsys, *call)[1]]

    kinds = {event["event"] for event in events}
    assert kinds == {"start", "progress", "done", "skipped", "failed", "summary"}
    documented = dict(part.split(": ", 1) for part in re.sub(r"\([^)]*\)", "", JSON_FIELDS).split(";"))
    for event in events:
        words = {kind.strip(): set(re.findall(r"\w+", fields)) for kind, fields in documented.items()}
        words["done"] = words.pop("done, planned")
        assert words[event["event"]] == event.keys() - {"event"}


def test_what_is_there_is_not_restored_again(
    tmp_path: Path, photos: Path, weights: str, capsys: pytest.CaptureFixture
) -> None:
    call = ["restore", str(photos), "-o", str(tmp_path / "out"), "--model_path", weights, "--skip_existing"]
    assert main(call) == 0
    (tmp_path / "out" / "one.png").unlink()
    capsys.readouterr()

    assert main(call) == 0

    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[1].startswith(f"{photos / 'one.png'} -> ")
    assert lines[2].startswith("1 restored, 1 skipped, 0 failed, ")


def test_auto_cannot_be_part_of_a_chain(photos: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["restore", str(photos), "-n", "photo,auto"]) == 2
    assert "auto chooses a network for each photo and cannot be part of a chain" in capsys.readouterr().err


@pytest.mark.parametrize("out", ["out.png", "./out.png", "new/out.png"])
def test_a_second_call_replaces_the_result_in_the_current_folder(
    tmp_path: Path, photos: Path, weights: str, out: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    call = ["restore", str(photos / "one.png"), "-o", out, "--model_path", weights]

    for strength in ("1", "0"):
        assert main([*call, "--strength", strength]) == 0
    assert np.array_equal(read_image(Path(out)).pixels, read_image(photos / "one.png").pixels)


def test_strength_0_gives_the_photo_back(tmp_path: Path, photos: Path, weights: str) -> None:
    call = ["restore", str(photos / "one.png"), "-o", str(tmp_path / "out.png"), "--model_path", weights]

    assert main([*call, "--strength", "0", "-x", "--stats", "tile", "--batch_size", "2"]) == 0

    assert np.array_equal(read_image(tmp_path / "out.png").pixels, read_image(photos / "one.png").pixels)


def test_a_saved_prior_can_be_given_back_and_mixed(tmp_path: Path, photos: Path, weights: str) -> None:
    common = ["--model_path", weights, "--device", "cpu"]
    priors = [str(tmp_path / "priors" / f"{name}.prior.safetensors") for name in ("one", "two")]
    assert (
        main(["restore", str(photos), "-o", str(tmp_path / "a"), "--save_prior", str(tmp_path / "priors"), *common])
        == 0
    )

    mix = ["--prior", *priors, "--prior_mix", "1", "0", "--save_prior", str(tmp_path / "mix.safetensors")]
    assert main(["restore", str(photos / "one.png"), "-o", str(tmp_path / "b.png"), *mix, *common]) == 0

    assert torch.allclose(load_prior(tmp_path / "mix.safetensors")[0], load_prior(priors[0])[0])
    assert np.array_equal(read_image(tmp_path / "a" / "one.png").pixels, read_image(tmp_path / "b.png").pixels)


def test_a_prior_of_other_weights_is_refused(
    tmp_path: Path, photos: Path, weights: str, capsys: pytest.CaptureFixture
) -> None:
    save_prior(tmp_path / "other.safetensors", torch.zeros(1, 4), "other")

    code = main(["restore", "-i", str(photos), "--prior", str(tmp_path / "other.safetensors"), "--model_path", weights])

    assert code == 2
    assert "is a prior of other, which toy cannot use" in capsys.readouterr().err


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png"])
def test_an_animation_keeps_its_frames_and_their_time(
    tmp_path: Path, weights: str, suffix: str, capsys: pytest.CaptureFixture
) -> None:
    frames = [Photo(np.full((16, 24, 3), 60 * number, np.uint8)) for number in range(4)]
    write_image(tmp_path / f"in{suffix}", Animation(tuple(frames), (40.0, 80.0, 120.0, 160.0), 2))

    code = main(
        [
            "restore",
            str(tmp_path / f"in{suffix}"),
            "-o",
            str(tmp_path / "out"),
            "--model_path",
            weights,
            "--share_prior",
        ]
    )

    restored = read_file(tmp_path / "out" / f"in{suffix}")
    assert code == 0, capsys.readouterr().err
    assert isinstance(restored, Animation)
    assert (restored.durations_ms, restored.loop) == ((40.0, 80.0, 120.0, 160.0), 2)
    assert len(restored.frames) == 4


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (["--uncertainty"], "--uncertainty needs --samples"),
        (["--samples", "2", "--prior", "p.safetensors"], "--prior makes them equal"),
        (["--samples", "2", "--strength", "0"], "--strength 0 returns the input"),
        (["--samples", "2", "--uncertainty", "--save_prior", "p"], "--save_prior saves the prior of one result"),
        (["--samples", "2", "--seed", str(2**63 - 1)], "above the largest"),
    ],
)
def test_several_results_that_make_no_sense_are_refused(
    photos: Path, weights: str, capsys: pytest.CaptureFixture, flags: list[str], reason: str
) -> None:
    assert main(["restore", str(photos), "--model_path", weights, *flags]) == 2

    assert reason in capsys.readouterr().err


def test_the_map_of_several_results_is_named_in_json(
    tmp_path: Path, photos: Path, weights: str, capsys: pytest.CaptureFixture
) -> None:
    call = [str(photos / "one.png"), "-o", str(tmp_path / "out.png"), "--model_path", weights]

    _, events = run_as_json(capsys, *call, "--samples", "2", "--uncertainty")

    (done,) = (event for event in events if event["event"] == "done")
    assert (done["target"], done["deviation"]) == (str(tmp_path / "out.png"), str(tmp_path / "out_std.png"))
    assert {path.name for path in tmp_path.glob("out*")} == {"out.png", "out_std.png"}


@pytest.mark.parametrize("flags", [["--share_prior"], ["--save_prior", "p.safetensors"]])
def test_flags_of_the_prior_are_refused_for_a_network_without_one(tmp_path, capsys, flags):
    write_image(tmp_path / "a.png", np.zeros((16, 16, 3), np.uint8))

    assert main(["restore", str(tmp_path / "a.png"), "-o", str(tmp_path / "b.png"), *flags]) == 2

    assert f"{flags[0]} is for networks with a prior, and photo has none" in capsys.readouterr().err
