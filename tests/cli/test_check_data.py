"""``diffir check-data`` as a user runs it: every planted fault is found, and correct sets pass."""

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from diffir.cli.main import main

Write = Callable[[str, dict[str, np.ndarray]], Path]


def scene(seed: int, height: int = 160, width: int = 200) -> np.ndarray:
    """An image with structure of all sizes, as photos have it."""
    rng = np.random.default_rng(seed)
    coarse = [cv2.resize(rng.integers(0, 256, (5 * 2**k, 6 * 2**k, 3), np.uint8), (width, height)) for k in range(5)]
    return np.clip(np.mean(coarse, axis=0) * 2 - 128, 0, 255).astype(np.uint8)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """A function that writes images into a folder."""

    def write(folder: str, images: dict[str, np.ndarray]) -> Path:
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        for name, image in images.items():
            assert cv2.imwrite(str(tmp_path / folder / name), image)
        return tmp_path / folder

    return write


@pytest.fixture
def clean(write: Write) -> Path:
    return write("clean", {f"{k}.png": scene(k) for k in range(3)})


@pytest.fixture
def report(tmp_path: Path) -> Callable[..., tuple[int, dict[str, dict]]]:
    """A function that runs the command and returns its exit code and its findings by kind."""

    def run(*arguments: object) -> tuple[int, dict[str, dict]]:
        code = main(["check-data", *map(str, arguments), "--json", str(tmp_path / "report.json"), "--threads", "2"])
        findings = json.loads((tmp_path / "report.json").read_text("utf-8"))["findings"]
        return code, {finding["kind"]: finding for finding in findings}

    return run


def test_a_correct_folder_passes(clean: Path, report, capsys) -> None:
    assert report(clean) == (0, {})
    assert "3 images, sides 160 to 200" in capsys.readouterr().out


def test_files_that_cannot_be_read_are_faults_with_their_reasons(clean: Path, report, capsys) -> None:
    (clean / "text.png").write_text("no image", "utf-8")
    (clean / "cut.png").write_bytes((clean / "0.png").read_bytes()[:3000])

    code, found = report(clean)

    assert code == 1
    assert found["unreadable"]["is_fault"]
    assert sorted(Path(name.split(": ")[0]).name for name in found["unreadable"]["names"]) == ["cut.png", "text.png"]
    assert "FAULT: 2 files cannot be read" in capsys.readouterr().out


def test_what_is_converted_on_reading_is_a_remark(clean: Path, write: Write, report) -> None:
    write("clean", {"deep.png": scene(8).astype(np.uint16) * 257, "grey.png": scene(9)[..., 0]})
    write("clean", {"alpha.png": np.dstack([scene(10), np.full((160, 200), 9, np.uint8)])})

    code, found = report(clean)

    assert code == 0
    assert not found["kind"]["is_fault"]


def test_equal_images_are_a_fault_and_images_that_look_alike_a_remark(clean: Path, write: Write, report) -> None:
    write("clean", {"same.bmp": scene(0), "close.png": cv2.resize(scene(1), (150, 120))})

    code, found = report(clean)

    assert code == 1
    assert found["duplicate"]["names"] == ["the same: 0.png, same.bmp"]
    assert not found["near duplicate"]["is_fault"]
    assert found["near duplicate"]["names"][0].startswith("1.png and close.png")


@pytest.mark.parametrize(
    ("planted", "kind"),
    [
        (scene(0), "leak"),
        (cv2.resize(scene(0), (150, 120)), "near leak"),
        (scene(0, 480, 600)[100:300, 150:400], "crop leak"),
    ],
)
def test_training_photos_among_validation_photos_are_a_fault(write: Write, report, planted, kind: str) -> None:
    train = write("train", {"0.png": scene(0) if kind != "crop leak" else scene(0, 480, 600), "1.png": scene(1)})
    val = write("val", {"planted.png": planted, "own.png": scene(7)})

    code, found = report(train, "--against", val)

    assert code == 1
    assert list(found) == [kind]
    assert [name.split()[0] for name in found[kind]["names"]] == ["planted.png"]


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"0.png": scene(50)}, "unlike"),
        ({"0.png": np.roll(scene(0), (6, 9), (0, 1))}, "shifted"),
        ({"0.png": scene(0)}, "undamaged"),
        ({"0.png": scene(0, 150, 200)}, "pair size"),
        ({"0.png": cv2.resize(scene(0), (100, 80))}, "scale"),
    ],
)
def test_a_planted_fault_among_pairs_is_found(clean: Path, write: Write, report, changes: dict, kind: str) -> None:
    write("lq", {f"{k}.png": cv2.GaussianBlur(scene(k), (0, 0), 1.5) for k in range(3)} | changes)

    code, found = report(clean, "--lq", clean.parent / "lq")

    assert code == 1
    assert list(found) == [kind]
    assert found[kind]["names"][0].startswith("0.png")


def test_correct_pairs_of_any_scale_pass(clean: Path, write: Write, report) -> None:
    lq = write("lq", {f"{k}x4.png": cv2.resize(scene(k), (50, 40), interpolation=cv2.INTER_AREA) for k in range(3)})

    assert report(clean, "--lq", lq, "--filename_tmpl", "{}x4") == (0, {})


def test_missing_partners_are_a_fault_and_the_pairs_there_are_are_checked(
    clean: Path, write: Write, report, capsys
) -> None:
    write("clean", {"twin.png": scene(1)})
    lq = write(
        "lq", {"0.png": scene(50), "0.jpg": scene(0), "1.png": scene(1), "2.png": scene(2)[:99], "9.png": scene(9)}
    )

    code, found = report(clean, "--lq", lq)

    assert code == 1
    assert found["partner"]["text"] == "1 clean photo without a degraded partner"
    names = {kind: finding["names"][0].split(":")[0] for kind, finding in found.items()}
    assert names == {
        "partner": "twin.png",
        "unused partner": "9.png",
        "partner twice": "0.jpg and 0.png",
        "pair size": "2.png",
        "undamaged": "1.png",
        "shared clean image": "the same",
    }
    assert "3 pairs and 1 clean image without a partner" in capsys.readouterr().out


def test_the_pairs_of_a_card_are_checked_though_one_has_no_partner(write: Write, report, tmp_path: Path) -> None:
    write("Rain100L/input", {"1.png": scene(1), "2.png": scene(2), "3.png": scene(3)})
    write("Rain100L/target", {"1.png": scene(1), "2.png": scene(4)})

    code, found = report("rain100l", "--data_root", tmp_path)

    assert code == 1
    assert "1 without ground truth: 3" in found["partner"]["text"]
    assert {"undamaged", "unlike"} <= set(found)


def test_a_set_is_compared_with_the_count_and_hash_of_its_card(write: Write, report, tmp_path: Path) -> None:
    write("Set5", {f"{k}.png": scene(k) for k in range(4)})
    assert report("set5", "--data_root", tmp_path)[1]["count"]["text"] == "4 images, the complete set has 5"

    write("Set5", {"4.png": scene(4)})
    code, found = report("set5", "--data_root", tmp_path)

    assert code == 1
    assert list(found) == ["hash"]


def test_the_shared_benchmarks_are_the_published_ones(shared: Path, report) -> None:
    assert report("set5", "--data_root", shared / "data/eval")[0] == 0


def options(clean: Path, val: Path, **train: object) -> dict:
    return {
        "name": "checked",
        "network_g": {"task": "denoise_tiny"},
        "datasets": {
            "train": {
                "dataroot_gt": str(clean),
                "gt_size": 32,
                "degradation": [{"type": "gaussian_noise", "sigma": [0, 9]}],
                **train,
            },
            "val": {"dataroot_gt": str(val)},
        },
    }


def test_an_option_file_is_checked_for_small_photos_and_leaks(
    clean: Path, write: Write, report, tmp_path: Path
) -> None:
    val = write("val", {"v.png": scene(2)})
    path = tmp_path / "run.yml"
    path.write_text(yaml.safe_dump(options(clean, val, gt_size=192)), "utf-8")

    code, found = report(path)

    assert code == 1
    assert found["leak"]["names"] == ["v.png is 2.png"]
    assert not found["small"]["is_fault"]


def test_pairs_of_another_scale_than_the_network_are_a_fault(clean: Path, write: Write, report, tmp_path: Path) -> None:
    lq = write("lq", {f"{k}.png": cv2.resize(scene(k), (100, 80), interpolation=cv2.INTER_AREA) for k in range(3)})
    path = tmp_path / "run.yml"
    settings = options(clean, write("val", {"v.png": scene(6)}), dataroot_lq=str(lq), degradation=[])
    path.write_text(yaml.safe_dump(settings), "utf-8")

    code, found = report(path)

    assert code == 1
    assert found["scale"]["text"] == "3 pairs whose scale is not 1, the scale of the network"


@pytest.mark.parametrize(
    "arguments",
    [
        ["absent"],
        ["--near", "65", "."],
        ["--threads", "0", "."],
        ["set5", "--lq", "."],
        ["set5", "--recursive"],
        [".", "--filename_tmpl", "{}x4"],
        [".", "--lq", ".", "--filename_tmpl", "x2"],
    ],
)
def test_what_cannot_be_checked_is_one_line(arguments: list[str], capsys) -> None:
    assert main(["check-data", *arguments]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_an_empty_folder_names_the_flag_of_the_command(tmp_path: Path, capsys) -> None:
    assert main(["check-data", str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"diffir: no photo in SET {tmp_path}; -r also searches its folders\n"


def test_an_option_file_with_a_key_given_twice_is_no_card(tmp_path: Path, capsys) -> None:
    (tmp_path / "run.yml").write_text("name: a\ndatasets: {}\nname: b\n", "utf-8")

    assert main(["check-data", str(tmp_path / "run.yml")]) == 2
    assert "run.yml: the key 'name' is given twice (lines 1 and 3)" in capsys.readouterr().err
