"""``diffir eval`` and ``diffir score`` as a user types them."""

import json
import os
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from diffir.cli.main import main
from diffir.degradations.benchmark_noise import add_benchmark_noise
from diffir.systems.diffir import ArchSettings, DiffIR
from diffir.systems.diffir.tasks import get_task
from diffir.weights.fingerprint import fingerprint
from tests.diffir_objects import card_of, save_weights

TINY = get_task("denoise_tiny").arch


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two small images in a folder of clean images."""
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in ("a.png", "b.PNG"):
        image = cv2.resize(rng.integers(0, 256, (6, 7, 3), dtype=np.uint8), (42, 36))
        cv2.imwrite(str(folder / name), image)
    return folder


@pytest.fixture
def noisy(photos: Path, tmp_path: Path) -> Path:
    """The same images, each 10 grey levels off and named as restored."""
    folder = tmp_path / "noisy"
    folder.mkdir()
    for path in photos.iterdir():
        image = cv2.imread(str(path)).astype(int)
        cv2.imwrite(
            str(folder / f"{path.stem}_restored.png"), (image + np.where(image < 128, 10, -10)).astype(np.uint8)
        )
    return folder


def test_bicubic_on_set5_prints_the_published_row(shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", "-n", "bicubic_x4", "-d", "set5", "--data-root", str(shared / "data" / "eval")]) == 0

    output = capsys.readouterr().out
    assert [cell for cell in output.splitlines()[0].split("  ") if cell] == [
        *("set5, bicubic x4", "PSNR ↑ dB", "SSIM ↑", "95 % of PSNR", "s/image")
    ]
    assert output.splitlines()[1].split()[:3] == ["bicubic_x4", "28.42", "0.8104"]
    assert all(word in output for word in ("5 of 5 images", "SRCNN", "crop_border 4", "rounded to 8 bit (matlab)"))


def test_a_better_method_gets_a_higher_row_and_the_json_holds_every_image(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "new" / "scores.json"

    assert main(["eval", "-n", "input,dct", "-d", str(photos), "--sigma", "25", "--json", str(path)]) == 0

    result = json.loads(path.read_text("utf-8"))
    untouched, dct = (row["scores"]["psnr"]["mean"] for row in result["results"])
    noise = add_benchmark_noise(np.zeros((36, 42, 3)), 25)
    assert untouched == pytest.approx(-10 * np.log10(np.mean(noise**2)), abs=1e-4)  # not clipped, not rounded
    assert dct > untouched + 1
    assert [image["name"] for image in result["results"][0]["images"]] == ["a", "b"]
    assert result["results"][1]["degradation"]["sigma"] == 25
    assert "scored as it is, not rounded: input" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ([], "luma of rgb2ycbcr"),
        (["--convention", "basicsr"], "8-bit RGB, rounded; output clipped and rounded to 8 bit; Y of BT.601"),
        (["--test_y_channel", "false"], "8-bit RGB, rounded; output clipped and rounded to 8 bit; RGB"),
        (["--lr", "rgb8", "--crop-border", "0"], "not rounded (basicsr), crop_border 0"),
        (
            ["--lr", "rgb8", "--convention", "matlab"],
            "8-bit RGB, rounded; output clipped and rounded to 8 bit; Y of BT",
        ),
    ],
)
def test_flags_change_the_protocol_and_are_printed(
    photos: Path, flags: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["eval", "-n", "bicubic_x2", "-d", str(photos), *flags]) == 0

    assert expected in capsys.readouterr().out


def save_untrained(folder: Path, task: str, settings: ArchSettings) -> str:
    path = folder / f"{task}.safetensors"
    save_weights(path, DiffIR(settings, stage=2).state_dict(), card_of("untrained", settings, task=task))
    return str(path)


def test_the_json_says_which_weights_ran_how(photos: Path, tmp_path: Path) -> None:
    weights, path = save_untrained(tmp_path, "denoise_tiny", TINY), tmp_path / "a.json"
    command = ["eval", "-n", f"input,{weights}", "-d", str(photos), "--sigma", "25", "--device", "cpu", "-t", "32"]

    assert main([*command, "--engine", "torch", "--json", str(path)]) == 0

    result = json.loads(path.read_text("utf-8"))
    network = result["results"][1]["network"]
    assert result["results"][0]["network"] is None
    assert network.pop("fingerprint") == fingerprint(Path(weights))
    assert network.pop("weights") == "denoise_tiny.safetensors"
    how = {
        "task": "denoise_tiny",
        "device": "cpu",
        "precision": "fp32",
        "engine": "torch",
        **{"tile": 32, "tile_overlap": 32, "stats": "global", "tta": False, "seed": 0, "prior": "diffusion"},
    }
    assert network == how
    assert result["versions"]["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert result["results"][1]["protocol"]["line"].startswith("photos, mean over 2 of 2 images")
    assert result["results"][1]["parameters"] == sum(p.numel() for p in DiffIR(TINY, stage=2).parameters())


@pytest.mark.parametrize("target", ["folder", "file/a.json"])
@pytest.mark.parametrize("command", ["eval", "score"])
def test_a_json_that_cannot_be_written_is_found_before_the_work(
    photos: Path, tmp_path: Path, target: str, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    rest = ["-n", "input", "-d", str(photos), "--sigma", "25"] if command == "eval" else [str(photos), str(photos)]

    assert main([command, *rest, "--json", str(tmp_path / target)]) == 2
    assert main([command, *rest, "--json", str(tmp_path / "none/of/these"), "--metrics", "wrong"]) == 2

    output, error = capsys.readouterr()
    assert (output, error.count("\n")) == ("", 2)
    assert not (tmp_path / "none").exists()
    assert f"--json {tmp_path / target}" in error


def test_the_protocol_is_the_benchmarks_whatever_the_network_was_made_for(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [save_untrained(tmp_path, task, TINY) for task in ("denoise_tiny", "realsr_x1")]
    command = ["eval", "-n", ",".join(names), "-d", str(photos), "--sigma", "25", "--device", "cpu"]

    assert main(command) == 0
    assert main([*command, "--test_y_channel", "--crop_border", "4"]) == 0

    lines = capsys.readouterr().out.splitlines()
    by_default, by_flags = (line for line in lines if line.startswith("protocol:"))
    untold = [line.split("  ")[0] for line in lines[1:3]]
    assert "RGB, crop_border 0" in by_default
    assert untold == ["untrained", "untrained (realsr_x1)"]
    assert "Y of BT.601 (16-235), not rounded (basicsr), crop_border 4" in by_flags


def test_eval_says_that_networks_run_in_fp32(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["eval", "--help"])

    assert "default: fp32 on every device" in " ".join(capsys.readouterr().out.split())


def test_a_weights_file_is_a_method_like_any_other(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = save_untrained(tmp_path, "denoise_tiny", TINY)

    assert main(["eval", "-n", f"input,{weights}", "-d", str(photos), "--sigma", "25", "--device", "cpu"]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:3]] == ["input", "untrained"]
    assert lines[-1].startswith("untrained: network; task denoise_tiny, cpu, fp32")


def test_networks_joined_by_plus_are_one_method_beside_each_of_them(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("one", "two"):
        save_weights(tmp_path / f"{name}.safetensors", DiffIR(TINY).state_dict(), card_of(name, TINY))
    joined, path = "+".join(str(tmp_path / f"{name}.safetensors") for name in ("one", "two")), tmp_path / "a.json"
    call = ["eval", "-d", str(photos), "--sigma", "25", "--device", "cpu"]

    assert (
        main([*call, "-n", f"{tmp_path}/one.safetensors,{joined}", "--json", str(path), "--html", f"{tmp_path}/r.html"])
        == 0
    )

    alone, both = json.loads(path.read_text("utf-8"))["results"]
    assert (alone["method"], both["method"]) == ("one", "one+two")
    assert both["parameters"] == 2 * alone["parameters"]
    assert both["network"]["fingerprint"] == "+".join(
        fingerprint(tmp_path / f"{name}.safetensors") for name in ("one", "two")
    )
    capsys.readouterr()
    assert main([*call, "-n", joined, "--prior", "mean"]) == 2
    assert "is a chain, which has no single prior" in capsys.readouterr().err


def test_baselines_take_the_protocol_of_the_network_beside_them(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = save_untrained(tmp_path, "sr_x4", replace(TINY, unshuffle=1, upsample=4, global_skip="nearest"))
    command = ["eval", "-n", f"bicubic_x4,{weights}", "-d", str(photos), "--device", "cpu"]

    assert main(command) == 0
    assert main([*command, "--lr", "y_float", "--convention", "matlab"]) == 2

    output = capsys.readouterr().out
    assert "8-bit RGB" in output and "not rounded (basicsr), crop_border 4" in output


def test_a_wrong_name_is_answered_with_the_baselines(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", "-n", "bicubic", "-d", str(photos)]) == 2

    assert "baselines: input, bicubic_x2" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (["-n", "input"], "--sigma 25"),
        (["-n", "input", "--sigma", "-1"], "0 or more"),
        (["-n", "input", "--sigma", "nan"], "0 or more"),
        (["-n", "input", "--sigma", "inf"], "0 or more"),
        (["-n", "bicubic_x2", "--sigma", "25"], "upscale x2"),
        (["-n", "bicubic_x2,bicubic_x4"], "different scale"),
        (["-n", "bicubic_x2", "--lr", "y_float", "--convention", "basicsr"], "y_float"),
        (["-n", "input", "--sigma", "25", "--lr", "rgb8"], "--lr"),
        (["-n", "input", "--sigma", "25", "--metrics", "psnr,lpipz"], "lpipz"),
        (["-n", "input", "--sigma", "25", "--limit", "0"], "--limit"),
        (["-n", "input", "--quality", "10.5"], "whole number"),
        (["-n", "input", "--quality", "101"], "1 to 100"),
        (["-n", "input", "--sigma", "25", "--grey"], "--grey goes with --quality"),
        (["-n", "input", "--mask", "thinn"], "thin, medium, wide"),
        (["-n", "bicubic_x2", "--recipe", "bicubic_x4"], "upscale x2"),
        (["-n", "input", "--sigma", "25", "--prior", "diffusian"], "diffusion"),
        (["-n", "input", "--sigma", "25", "--prior", "mean"], "--prior"),
        (["-n", "input", "--sigma", "25", "--prior_samples", "3"], "--prior_samples"),
        (["-n", "input", "--sigma", "25", "--prior_samples", "0"], "--prior_samples"),
        (["-n", "input", "--sigma", "25", "--metric_file", "alexnet"], "NAME=FILE"),
        (["-n", "input,telea", "--sigma", "25"], "telea fills holes"),
        (["-n", "input,nlm", "--mask", "thin"], "nlm takes no mask"),
        (["-n", "input", "--sigma", "25", "--metrics", "psnr_hole"], "metric of holes"),
        (["-n", "input", "--sigma", "25", "--seed", "1"], "--seed goes with"),
        (["-n", "input", "--mask", "thin", "--mask_is_white", "keep"], "--mask_is_white goes with"),
        (["-n", "input", "--sigma", "25", "-x"], "--tta is for DiffIR networks"),
        (["-n", "input,input", "--sigma", "25"], "input would appear 2 times"),
        (["-n", "input", "--sigma", "25,25"], "sigma 25, would appear 2 times"),
        (["-n", "input", "--sigma", "25", "--cases", "-1"], "--cases"),
        (["-n", "bicubic_x2", "--lr", "y_float", "--metrics", "lpips"], "do not use colours"),
    ],
)
def test_what_does_not_fit_together_is_wrong_usage(
    photos: Path, flags: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["eval", "-d", str(photos), *flags]) == 2

    assert complaint in capsys.readouterr().err


def test_each_kind_of_prior_is_a_row_and_start_noises_are_told(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = save_untrained(tmp_path, "denoise_tiny", TINY)
    command = ["eval", "-n", weights, "-d", str(photos), "--sigma", "25", "--device", "cpu"]

    assert main([*command, "--prior", "all", "--prior_samples", "2", "--json", str(tmp_path / "a.json")]) == 0

    output, results = capsys.readouterr().out, json.loads((tmp_path / "a.json").read_text("utf-8"))["results"]
    rows = [line.split("  ")[0] for line in output.splitlines()[1:8]]
    nulls = ("condition", "one-step", "mean", "other", "random", "zero")
    assert rows == ["untrained", *(f"untrained, {kind}" for kind in nulls)]
    assert "untrained, over 2 start noises: PSNR varies by" in output
    assert [row["prior_spread"]["noises"] for row in results if "prior_spread" in row] == [2]


def test_a_reader_who_goes_away_does_not_end_the_evaluation(photos: Path, tmp_path: Path) -> None:
    command = ["eval", "-n", "input", "-d", str(photos), "--sigma", "15,25", "--json", str(tmp_path / "a.json")]
    reader, writer = os.pipe()
    os.close(reader)

    with os.fdopen(writer, "w") as pipe, redirect_stdout(pipe):
        assert main(command) == 0

    assert len(json.loads((tmp_path / "a.json").read_text("utf-8"))["results"]) == 2


def test_a_set_that_fails_does_not_take_the_one_before_along(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "tiny").mkdir()
    cv2.imwrite(str(tmp_path / "tiny/t.png"), np.zeros((5, 5, 3), np.uint8))
    command = ["eval", "-n", "input", "-d", f"{photos},{tmp_path}/tiny", "--sigma", "25"]

    assert main([*command, "--json", str(tmp_path / "a.json")]) == 1

    results = json.loads((tmp_path / "a.json").read_text("utf-8"))["results"]
    assert [result["dataset"] for result in results] == ["photos"]


def test_published_numbers_stand_beside_whole_public_sets_alone(shared: Path, tmp_path: Path) -> None:
    pages = []
    for dataset in ("set5", str(shared / "data/eval/Set5")):
        command = ["eval", "-n", "bicubic_x4", "-d", dataset, "--data_root", str(shared / "data/eval")]
        assert main([*command, "--html", str(tmp_path / "a.html"), "--cases", "0"]) == 0
        pages.append((tmp_path / "a.html").read_text("utf-8"))

    assert ["SRCNN (" in page or ">SRCNN<" in page for page in pages] == [True, False]


def test_an_oracle_without_stage_1_is_wrong_usage(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = save_untrained(tmp_path, "denoise_tiny", TINY)

    assert main(["eval", "-n", weights, "-d", str(photos), "--sigma", "25", "--prior", "oracle"]) == 2

    assert "needs the stage-1 weights" in capsys.readouterr().err


def test_sets_conditions_and_methods_multiply(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    for path in photos.iterdir():
        (tmp_path / "more" / path.name).write_bytes(path.read_bytes())
    sets = f"{photos}, {tmp_path}/more"
    command = ["eval", "-n", "input,nlm", "-d", sets, "--sigma", "15,25", "--quality", "40", "--grey"]

    assert main([*command, "--json", str(tmp_path / "a.json")]) == 0

    results = json.loads((tmp_path / "a.json").read_text("utf-8"))["results"]
    assert len(results) == 2 * 2 * 3
    assert [row["condition"] for row in results[:6:2]] == ["sigma 15", "sigma 25", "JPEG 40, grey"]


def test_holes_are_scored_whole_and_alone(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main(["eval", "-n", "input,telea", "-d", str(photos), "--mask", "medium", "--metrics", "psnr,psnr_hole"]) == 0
    )

    head, untouched, telea = (line.split() for line in capsys.readouterr().out.splitlines()[:3])
    assert head[-5:] == ["PSNR", "hole", "↑", "dB", "s/image"]
    assert float(telea[2]) > float(untouched[2])


def test_a_metric_without_its_weights_is_skipped_and_says_what_to_do(
    photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["eval", "-n", "input", "-d", str(photos), "--sigma", "25"]

    assert main([*command, "--metrics", "psnr,lpips_alex"]) == 0
    assert "lpips_alex skipped: alexnet was not found: put https://" in capsys.readouterr().out
    assert main([*command, "--metrics", "lpips_alex"]) == 2
    assert "lpips_alex skipped" in capsys.readouterr().err


def test_photos_without_ground_truth_are_judged_by_metrics_that_need_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.random.default_rng(0).integers(0, 256, (192, 192, 3), dtype=np.uint8))
    cv2.imwrite(str(tmp_path / "small.png"), np.zeros((40, 40, 3), np.uint8))

    assert main(["eval", "-n", "input", "-d", str(tmp_path), "--metrics", "niqe"]) == 0
    evaluated = capsys.readouterr().out.splitlines()
    assert main(["score", str(tmp_path / "a.png")]) == 0

    assert "no reference" in evaluated[0]
    assert "niqe could not score 1 of 2 images, which are too small: small" in evaluated
    assert capsys.readouterr().out.splitlines()[1].split()[-1] == evaluated[1].split()[1]


def test_a_report_holds_scores_and_pictures(photos: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"

    assert main(["eval", "-n", "input,nlm", "-d", str(photos), "--sigma", "25", "--html", str(page)]) == 0

    text = page.read_text("utf-8")
    assert "sigma 25" in text and "nlm" in text and "data:image/" in text


def test_score_matches_names_without_their_suffix(
    photos: Path, noisy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "score.json"

    assert main(["score", str(noisy), str(photos), "--suffix", "_restored", "--json", str(path)]) == 0

    assert f"{20 * np.log10(255 / 10):.2f}" in capsys.readouterr().out
    assert len(json.loads(path.read_text("utf-8"))["results"][0]["images"]) == 2


def test_score_takes_two_files(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", str(photos / "a.png"), str(photos / "a.png"), "--json", str(tmp_path / "a.json")]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["a.png", "inf", "1.0000"]
    assert lines[2].startswith("protocol: mean over 1 image against")
    result = json.loads((tmp_path / "a.json").read_text("utf-8"))["results"][0]
    assert result["protocol"]["line"].startswith("mean over 1 image against")
    assert result["images"][0]["scores"] == {"psnr": "inf", "ssim": pytest.approx(1)}


def test_score_refuses_a_missing_partner_by_name(photos: Path, noisy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (noisy / "b_restored.png").unlink()

    assert main(["score", str(noisy), str(photos), "--suffix", "_restored"]) == 1

    assert capsys.readouterr().err.rstrip().endswith(": b")


def test_score_refuses_images_of_different_size(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cv2.imwrite(str(photos / "b.PNG"), np.zeros((20, 20, 3), np.uint8))

    assert main(["score", str(photos / "b.PNG"), str(photos / "a.png")]) == 1

    assert "sizes differ" in capsys.readouterr().err


def test_images_that_a_metric_cannot_score_are_named(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", str(photos)]) == 0

    assert "niqe leaves out 2 of 2 images, too small for it: a, b" in capsys.readouterr().out
