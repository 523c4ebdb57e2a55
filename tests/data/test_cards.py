"""Dataset cards: found, read, and joined with the files they stand for."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from diffir.data.cards import CARDS, DatasetCard, files_by_id, find_images, load_card, matched_ids
from diffir.errors import ConfigError, PairingError, UsageError

NAMES = sorted(path.stem for path in CARDS.glob("*.yml"))


def write_images(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        cv2.imwrite(str(folder / name), np.zeros((16, 16, 3), np.uint8))
    return folder


def card(**values: object) -> DatasetCard:
    return DatasetCard(**{"name": "a", "summary": "", "folder": "A", "licence": "CC0", "source": "here", **values})


@pytest.mark.parametrize("name", NAMES)
def test_every_card_is_complete_and_carries_its_file_name(name: str) -> None:
    found = load_card(name.upper())

    assert found.name == name
    assert all([found.summary, found.licence, found.source, found.paper, found.count])


@pytest.mark.parametrize("name", NAMES)
def test_every_card_fits_the_images_at_hand(shared: Path, name: str) -> None:
    images = find_images(load_card(name), shared / "data" / "eval")

    assert 0 < len(images) <= load_card(name).count
    assert all((image.input is None) == (load_card(name).input is None) for image in images)


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


def test_an_unknown_set_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"'sett5'.*cbsd68.*set5"):
        load_card("sett5")


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
