"""``diffir eval`` and ``diffir score`` as a user types them."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from diffir.archs import ArchSettings, DiffIR
from diffir.cli.main import main
from diffir.degradations.benchmark_noise import add_benchmark_noise
from diffir.tasks import get_task
from diffir.weights.card import WeightsCard
from diffir.weights.published import save_published

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
    assert output.splitlines()[0].split("  ")[-3:] == ["PSNR ↑ dB", "SSIM ↑", "s/image"]
    assert output.splitlines()[1].split()[:3] == ["bicubic_x4", "28.42", "0.8104"]
    assert all(word in output for word in ("5 of 5 images", "SRCNN", "crop_border 4", "rounded to 8 bit (matlab)"))


def test_a_better_method_gets_a_higher_row_and_the_json_holds_every_image(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "new" / "scores.json"

    assert main(["eval", "-n", "input,dct", "-d", str(photos), "--sigma", "25", "--json", str(path)]) == 0

    result = json.loads(path.read_text("utf-8"))
    untouched, dct = (method["means"]["psnr"] for method in result["methods"])
    noise = add_benchmark_noise(np.zeros((36, 42, 3)), 25)
    assert untouched == pytest.approx(-10 * np.log10(np.mean(noise**2)), abs=1e-4)  # not clipped, not rounded
    assert dct > untouched + 1
    assert [image["name"] for image in result["methods"][0]["images"]] == ["a", "b"]
    assert result["degradation"]["sigma"] == 25
    assert "(input: scored as it is)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ([], "luma of rgb2ycbcr"),
        (["--convention", "basicsr"], "8-bit RGB, rounded; output clipped and rounded to 8 bit; Y of BT.601"),
        (["--test_y_channel", "false"], "8-bit RGB, rounded; output clipped and rounded to 8 bit; RGB"),
        (["--lr", "rgb8", "--crop-border", "0"], "rounded to 8 bit (matlab), crop_border 0"),
    ],
)
def test_flags_change_the_protocol_and_are_printed(
    photos: Path, flags: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["eval", "-n", "bicubic_x2", "-d", str(photos), *flags]) == 0

    assert expected in capsys.readouterr().out


def save_untrained(folder: Path, task: str, settings: ArchSettings) -> str:
    path = folder / f"{task}.safetensors"
    save_published(path, DiffIR(settings, stage=2).state_dict(), WeightsCard("untrained", settings, task=task))
    return str(path)


def test_the_json_says_which_weights_ran_how(photos: Path, tmp_path: Path) -> None:
    weights, path = save_untrained(tmp_path, "denoise_tiny", TINY), tmp_path / "a.json"
    command = ["eval", "-n", f"input,{weights}", "-d", str(photos), "--sigma", "25", "--device", "cpu", "-t", "32"]

    assert main([*command, "--json", str(path)]) == 0

    result = json.loads(path.read_text("utf-8"))
    untouched, network = (method["network"] for method in result["methods"])
    assert untouched is None
    assert network.pop("sha256") == hashlib.sha256(Path(weights).read_bytes()).hexdigest()
    assert network.pop("weights") == "denoise_tiny.safetensors"
    how = {
        "task": "denoise_tiny",
        "device": "cpu",
        "precision": "fp32",
        "tile": 32,
        "tile_overlap": 32,
        "stats": "global",
        "tta": False,
        "seed": 0,
    }
    assert network == how
    assert result["versions"]["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert result["protocol"].startswith("photos, mean over 2 images")


@pytest.mark.parametrize("target", ["folder", "file/a.json"])
@pytest.mark.parametrize("command", ["eval", "score"])
def test_a_json_that_cannot_be_written_is_found_before_the_work(
    photos: Path, tmp_path: Path, target: str, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    rest = ["-n", "input", "-d", str(photos), "--sigma", "25"] if command == "eval" else [str(photos), str(photos)]

    assert main([command, *rest, "--json", str(tmp_path / target)]) == 2

    output, error = capsys.readouterr()
    assert (output, error.count("\n")) == ("", 1)
    assert f"--json {tmp_path / target}" in error


def test_networks_of_different_protocols_share_a_table_only_if_a_flag_decides(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [save_untrained(tmp_path, task, TINY) for task in ("denoise_tiny", "realsr_x1")]
    command = ["eval", "-n", ",".join(names), "-d", str(photos), "--sigma", "25", "--device", "cpu"]

    assert main(command) == 2
    assert "different protocols" in capsys.readouterr().err
    assert main([*command, "--test_y_channel", "--crop_border", "4"]) == 0


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
        (["-n", "bicubic_x2", "--sigma", "25"], "enlarge x2"),
        (["-n", "bicubic_x2,bicubic_x4"], "different scale"),
        (["-n", "bicubic_x2", "--lr", "y_float", "--convention", "basicsr"], "y_float"),
        (["-n", "input", "--sigma", "25", "--lr", "rgb8"], "--lr"),
        (["-n", "input", "--sigma", "25", "--metrics", "psnr,lpipz"], "lpipz"),
        (["-n", "input", "--sigma", "25", "--limit", "0"], "--limit"),
    ],
)
def test_what_does_not_fit_together_is_wrong_usage(
    photos: Path, flags: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["eval", "-d", str(photos), *flags]) == 2

    assert complaint in capsys.readouterr().err


def test_score_matches_names_without_their_suffix(
    photos: Path, noisy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "score.json"

    assert main(["score", str(noisy), str(photos), "--suffix", "_restored", "--json", str(path)]) == 0

    assert f"{20 * np.log10(255 / 10):.2f}" in capsys.readouterr().out
    assert len(json.loads(path.read_text("utf-8"))["images"]) == 2


def test_score_takes_two_files(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", str(photos / "a.png"), str(photos / "a.png"), "--json", str(tmp_path / "a.json")]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["a.png", "inf", "1.0000"]
    assert lines[2].startswith("protocol: mean over 1 image against")
    result = json.loads((tmp_path / "a.json").read_text("utf-8"))
    assert result["protocol"].startswith("mean over 1 image against")
    assert result["images"] == [{"name": "a", "psnr": "inf", "ssim": pytest.approx(1)}]


def test_score_refuses_a_missing_partner_by_name(photos: Path, noisy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (noisy / "b_restored.png").unlink()

    assert main(["score", str(noisy), str(photos), "--suffix", "_restored"]) == 1

    assert capsys.readouterr().err.rstrip().endswith(": b")


def test_score_refuses_images_of_different_size(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cv2.imwrite(str(photos / "b.PNG"), np.zeros((20, 20, 3), np.uint8))

    assert main(["score", str(photos / "b.PNG"), str(photos / "a.png")]) == 1

    assert "sizes differ" in capsys.readouterr().err
