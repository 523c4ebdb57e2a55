"""Dataset cards are found and read, and their files are found and paired."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from diffir.data.cards.cards import CARDS, DatasetCard, Split, files_by_id, find_images, load_card, matched_ids
from diffir.data.cards.layouts import Layout
from diffir.errors import ConfigError, PairingError, UsageError
from diffir.typed_mapping import build

NAMES = sorted(path.stem for path in CARDS.glob("*.yml"))


def write_images(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        cv2.imwrite(str(folder / name), np.zeros((16, 16, 3), np.uint8))
    return folder


def card(**values: object) -> DatasetCard:
    return DatasetCard(**{"name": "a", "summary": "", "folder": "A", "licence": "CC0", "source": "here", **values})


def choices(name: str) -> list[str]:
    """Every split and every scale of a card, as ``load_card`` accepts them."""
    card = build(DatasetCard, yaml.safe_load((CARDS / f"{name}.yml").read_text("utf-8")), name)
    scaled = [f"{name}:{split.name}:x{scale}" for split in card.splits for scale in split.scales]
    return [name, *(f"{name}:{split.name}" for split in card.splits), *scaled]


@pytest.mark.parametrize("name", NAMES)
def test_every_card_says_what_a_set_is_and_where_to_get_it(name: str) -> None:
    found = load_card(name.upper())

    assert found.name.split(":")[0] == name
    assert all([found.summary, found.source, found.paper])


@pytest.mark.parametrize("choice", [choice for name in NAMES for choice in choices(name)])
def test_every_split_and_scale_of_a_card_has_patterns_that_can_be_searched(tmp_path: Path, choice: str) -> None:
    card = load_card(choice)

    for layout in [] if card.parts else [Layout(card.gt, card.input), *card.other_layouts]:
        assert files_by_id(tmp_path, layout.gt) == {}
        assert layout.input is None or files_by_id(tmp_path, layout.input) == {}
        assert (layout.input is None) == (card.input is None) or ":" not in choice


@pytest.mark.parametrize("name", NAMES)
def test_every_card_fits_the_images_at_hand(shared: Path, name: str) -> None:
    card, root = load_card(name), shared / "data" / "eval"
    if not any((root / folder).is_dir() for folder in (card.folder or "-", *card.other_folders)):
        pytest.skip("the set is not here")

    images = find_images(card, root)

    assert 0 < len(images) <= (card.count or len(images))
    assert all((image.input is None) == (card.input is None) for image in images)


def test_a_split_and_a_scale_are_chosen_by_name(tmp_path: Path) -> None:
    write_images(tmp_path / "DIV2K/DIV2K_valid_HR", "0801.png")
    write_images(tmp_path / "DIV2K/DIV2K_valid_LR_bicubic/X4", "0801x4.png")

    clean, pairs = (find_images(load_card(name), tmp_path) for name in ("div2k:valid", "div2k:valid:x4"))

    assert [(i.name, i.input) for i in clean] == [("0801", None)]
    assert [(i.name, i.input.name) for i in pairs] == [("0801", "0801x4.png")]
    assert load_card("div2k:valid").count == 100


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("div2k:tset", "div2k has no split 'tset'; it has train, valid"),
        ("div2k:train:x8", "div2k:train: x8 is not there; it has x2, x3, x4"),
        ("gopro:test:x2", "it has no inputs of other scales"),
        ("set5:train", "set5 has no splits"),
    ],
)
def test_a_split_or_scale_that_is_not_there_is_refused(name: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        load_card(name)


def test_the_first_layout_that_finds_images_holds(tmp_path: Path) -> None:
    """GoPro has the layout of its authors and the layout that most code of papers uses."""
    for scene in ("GOPR01", "GOPR02"):
        for kind in ("blur", "sharp"):
            write_images(tmp_path / "GOPRO_Large/test" / scene / kind, "000001.png")

    images = find_images(load_card("gopro"), tmp_path)

    assert [image.name for image in images] == ["GOPR01/000001", "GOPR02/000001"]
    assert all(image.input.parent.name == "blur" for image in images)


@pytest.mark.parametrize("names", [["1400_1.png", "1400_10.png"], ["1400_0.8_0.12.png"]])
def test_one_ground_truth_may_have_several_inputs(tmp_path: Path, names: list[str]) -> None:
    write_images(tmp_path / "SOTS/indoor/gt", "1400.png")
    write_images(tmp_path / "SOTS/indoor/hazy", *names)

    images = find_images(load_card("sots_indoor"), tmp_path)

    assert [(i.name + ".png", i.gt.name, i.input.name) for i in images] == [(n, "1400.png", n) for n in names]


def test_a_card_of_parts_is_all_of_them(tmp_path: Path) -> None:
    write_images(tmp_path / "DIV2K/DIV2K_train_HR", "0001.png")
    write_images(tmp_path / "Flickr2K/Flickr2K_HR", "000001.png")

    images = find_images(load_card("df2k"), tmp_path)

    assert [image.name for image in images] == ["div2k:train/0001", "flickr2k:train/000001"]


def test_a_card_needs_a_folder_or_parts() -> None:
    with pytest.raises(ConfigError, match="either a folder or parts"):
        DatasetCard("a", "", source="here", splits=(Split("train"),))


def test_an_unknown_key_in_a_card_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "own.yml"
    path.write_text("name: own\nsummary: mine\nfolder: Own\nlicence: CC0\nsource: here\ngtt: '{id}'\n", "utf-8")

    with pytest.raises(ConfigError, match=r"own\.yml: unknown key 'gtt'; did you mean 'gt'"):
        load_card(str(path))


def test_a_folder_is_a_set_of_clean_images(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "photos", "b.PNG", "a.jpg", "c.webp", "d.bmp")
    (folder / "notes.txt").write_text("no image", "utf-8")

    images = find_images(load_card(str(folder)))

    assert [image.name for image in images] == ["a", "b", "c", "d"]
    assert all(image.input is None for image in images)


@pytest.mark.parametrize(
    ("name", "said"), [("sett5", "did you mean 'set5'"), ("Gpro:test", "'gopro'"), ("xyz", "known: bsd500, cbsd68")]
)
def test_an_unknown_set_is_refused_with_the_nearest_or_with_all(name: str, said: str) -> None:
    with pytest.raises(UsageError, match=f"unknown dataset '{name}'.*{said}"):
        load_card(name)


def test_a_missing_folder_says_where_to_get_the_set_and_where_to_put_it(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"(?s)github.com/cszn.*{tmp_path / 'CBSD68'}.*DIFFIR_DATA"):
        find_images(load_card("cbsd68"), tmp_path)


@pytest.mark.parametrize("written_as", ["Set5", "set5", "SET5"])
def test_the_case_of_the_folder_does_not_matter(tmp_path: Path, written_as: str) -> None:
    write_images(tmp_path / written_as, "baby.png")

    assert len(find_images(load_card("set5"), tmp_path)) == 1


def test_the_data_root_comes_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_images(tmp_path / "Set5", "baby.png")
    monkeypatch.setenv("DIFFIR_DATA", str(tmp_path))

    assert find_images(load_card("set5"))[0].gt == tmp_path / "Set5" / "baby.png"


def test_inputs_and_ground_truths_are_joined_by_what_the_pattern_matches(tmp_path: Path) -> None:
    write_images(tmp_path / "A" / "input", "x_real.jpg", "y_real.jpg")
    write_images(tmp_path / "A" / "target", "y_mean.png", "x_mean.png")

    images = find_images(card(gt="target/{id}_mean", input="input/{id}_real"), tmp_path)

    assert [(i.name, i.input.name, i.gt.name) for i in images] == [
        ("x", "x_real.jpg", "x_mean.png"),
        ("y", "y_real.jpg", "y_mean.png"),
    ]


def test_a_missing_partner_is_named(tmp_path: Path) -> None:
    write_images(tmp_path / "A" / "input", "x.png", "y.png")
    write_images(tmp_path / "A" / "target", "x.png")

    with pytest.raises(PairingError, match="1 without ground truth: y"):
        find_images(card(gt="target/{id}", input="input/{id}"), tmp_path)


def test_pairs_that_exist_are_found_beside_those_that_do_not(tmp_path: Path) -> None:
    write_images(tmp_path / "A" / "input", "x.png", "y.png")
    write_images(tmp_path / "A" / "target", "x.png", "z.png")

    images = find_images(card(gt="target/{id}", input="input/{id}"), tmp_path, need_all=False)

    assert [(image.name, image.input is not None) for image in images] == [("x", True), ("z", False)]


def test_two_files_for_one_image_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PairingError, match=r"a\.jpg and a\.png"):
        files_by_id(write_images(tmp_path, "a.jpg", "a.png"))


def test_a_pattern_without_id_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"needs one \{id\}"):
        files_by_id(tmp_path, "target/gt")


def test_a_long_list_of_missing_partners_is_shortened() -> None:
    names = [f"{number:02}" for number in range(9)]

    with pytest.raises(PairingError, match="9 without gt: 00, 01, 02, 03, 04 and 4 more"):
        matched_ids(names, [], "restored", "gt")


def test_a_name_with_a_newline_is_an_image_like_any_other(tmp_path: Path) -> None:
    assert list(files_by_id(write_images(tmp_path, "a\nb.png"), "{id}")) == ["a\nb"]
