"""``tools/pack_photos.py`` and ``tools/crop_subimages.py``: training reads what they write."""

import importlib.util
import shlex
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest

from diffir.api import load_config
from diffir.data.checking.parts import parts_of_section
from diffir.data.photo_sources import open_photos, rgb8

TOOLS = Path(__file__).resolve().parents[2] / "tools"
CROPPED = [path for path in sorted(TOOLS.parent.glob("options/*/*.yml")) if "crop_subimages" in path.read_text("utf-8")]


def script(name: str) -> ModuleType:
    specification = importlib.util.spec_from_file_location(name, TOOLS / f"{name}.py")
    assert specification and specification.loader
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def noise(seed: int, height: int = 40, width: int = 50) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, seed in (("a.png", 1), ("b.bmp", 2), ("sub/c.jpg", 3)):
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(tmp_path / "photos" / name), noise(seed))
    return tmp_path / "photos"


@pytest.mark.parametrize("suffix", [".tar", ".lmdb"])
def test_packed_photos_are_those_of_the_folder(folder: Path, tmp_path: Path, suffix: str) -> None:
    if suffix == ".lmdb":
        pytest.importorskip("lmdb")

    script("pack_photos").main([str(folder), str(tmp_path / f"packed{suffix}"), "--recursive"])

    packed = open_photos(str(tmp_path / f"packed{suffix}"), "x")
    plain = open_photos(str(folder), "x", recursive=True)
    assert list(packed.names) == ["a.png", "b.png", "sub/c.jpg"]
    for name, original in zip(packed.names, plain.names, strict=True):
        assert np.array_equal(rgb8(packed.read(name)), rgb8(plain.read(original)))


def test_packing_twice_gives_the_same_file(folder: Path, tmp_path: Path) -> None:
    for name in ("1.tar", "2.tar"):
        script("pack_photos").main([str(folder), str(tmp_path / name)])

    assert (tmp_path / "1.tar").read_bytes() == (tmp_path / "2.tar").read_bytes()


def test_a_damaged_photo_stops_packing_unless_it_may_be_left_out(folder: Path, tmp_path: Path) -> None:
    (folder / "bad.png").write_bytes((folder / "a.png").read_bytes()[:900])
    pack = script("pack_photos").main

    with pytest.raises(SystemExit, match=r"bad\.png.*--skip_damaged"):
        pack([str(folder), str(tmp_path / "p.tar")])
    assert not (tmp_path / "p.tar").exists()
    pack([str(folder), str(tmp_path / "p.tar"), "--skip_damaged"])
    assert list(open_photos(str(tmp_path / "p.tar"), "x").names) == ["a.png", "b.png"]


@pytest.mark.parametrize(
    ("length", "size", "step", "threshold", "expected"),
    [
        (2040, 480, 240, 0, [0, 240, 480, 720, 960, 1200, 1440, 1560]),
        (720, 512, 256, 0, [0, 208]),
        (720, 512, 256, 300, [0]),
        (480, 480, 240, 0, [0]),
        (300, 480, 240, 0, [0]),
    ],
)
def test_pieces_begin_every_step_and_at_the_end(length, size, step, threshold, expected) -> None:
    assert script("crop_subimages").starts(length, size, step, threshold) == expected


def test_pieces_cover_the_photo(folder: Path, tmp_path: Path) -> None:
    script("crop_subimages").main([str(folder), str(tmp_path / "out"), "--size", "32", "--step", "16"])

    pieces = open_photos(str(tmp_path / "out"), "x")
    assert list(pieces.names)[:6] == [f"a_s{number:03d}.png" for number in range(1, 7)]
    assert np.array_equal(rgb8(pieces.read("a_s006.png"))[..., ::-1], noise(1)[8:40, 18:50])


def test_pieces_of_pairs_lie_on_each_other(tmp_path: Path) -> None:
    for kind, image in (("gt", noise(1).repeat(2, 0).repeat(2, 1)), ("lq", noise(1))):
        (tmp_path / kind).mkdir()
        cv2.imwrite(str(tmp_path / kind / "a.png"), image)
    arguments = [
        str(tmp_path / "gt"),
        str(tmp_path / "out"),
        "--lq",
        str(tmp_path / "lq"),
        "--size",
        "32",
        "--step",
        "24",
    ]

    script("crop_subimages").main(arguments)

    clean, damaged = (open_photos(str(tmp_path / "out" / kind), "x") for kind in ("gt", "lq"))
    assert clean.names == damaged.names
    assert len(clean.names) == 12
    for name in clean.names:
        assert np.array_equal(rgb8(clean.read(name))[::2, ::2], rgb8(damaged.read(name)))


@pytest.mark.parametrize("path", CROPPED, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_the_command_in_an_option_file_makes_what_its_options_read(path: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in (
        "GoPro/train/A/sharp/1.png",
        "GoPro/train/A/blur/1.png",
        "DIV2K/DIV2K_train_HR/1.png",
        "Flickr2K/Flickr2K_HR/1.png",
        "OST/sky/1.png",
    ):
        (tmp_path / "datasets" / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(tmp_path / "datasets" / name), noise(1))
    command = path.read_text("utf-8").split("crop_subimages.py ")[1].splitlines()[0]

    for arguments in command.split("; and again with: "):
        script("crop_subimages").main(shlex.split(arguments))

    named = parts_of_section("train", load_config(path).datasets.train)
    sets = {"deblur": 1, "sr_x": 2, "realsr_x": 3}[path.parent.name.rstrip("124")]
    assert [(len(part.pairs), part.degraded is not None) for part in named.parts] == [(sets, sets == 1)]
    assert not named.findings
