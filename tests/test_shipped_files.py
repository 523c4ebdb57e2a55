"""Option files, cards, lists and sample photos are found from every folder, in a checkout and in an installed wheel."""

from pathlib import Path

import pytest

from diffir import shipped_files
from diffir.api import load_config
from diffir.cli.main import main
from diffir.data.cards.cards import load_card
from diffir.data.photo_sources import open_photos
from diffir.errors import ConfigError
from diffir.shipped_files import option_file, option_names, own_or_shipped, shipped_folder


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder as the working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["denoise/small", "denoise/small.yml", "options/denoise/small.yml"])
def test_a_shipped_option_file_is_found_by_its_name_from_every_folder(name: str) -> None:
    assert load_config(Path(name)).name == "denoise"


def test_a_file_of_the_user_comes_first(elsewhere: Path) -> None:
    own = elsewhere / "denoise/small"
    own.parent.mkdir()
    own.write_text("", "utf-8")

    assert option_file("denoise/small") == Path("denoise/small")


def test_an_unknown_option_file_names_the_nearest_one_that_ships() -> None:
    with pytest.raises(
        ConfigError, match=r"denoise/smal: neither a file nor .*; did you mean denoise/small\? diffir o"
    ):
        load_config(Path("denoise/smal"))


def test_cards_lists_and_sample_photos_are_found_from_every_folder() -> None:
    assert load_card("set5").folder == "Set5"
    assert len(open_photos("datasets/samples/train", "dataroot_gt").names) == 4
    assert own_or_shipped("datasets/lists/permissive_val.txt").is_file()
    assert own_or_shipped("datasets/Set5") == Path("datasets/Set5")


def test_what_a_wheel_holds_comes_before_the_folders_of_a_checkout(elsewhere: Path, monkeypatch) -> None:
    package = elsewhere / "site-packages/diffir"
    (package / "shipped/options/mine").mkdir(parents=True)
    (package / "shipped/options/mine/one.yml").touch()
    monkeypatch.setattr(shipped_files, "_PACKAGE", package)

    assert shipped_folder("options") == package / "shipped/options"
    assert option_names() == ["mine/one"]


def test_the_command_lists_shows_and_copies_option_files(elsewhere: Path, capsys) -> None:
    assert main(["options"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert main(["options", "denoise/small"]) == 0
    shown = capsys.readouterr().out
    assert main(["options", "denoise/small", "-o", "mine.yml"]) == 0

    assert [line.split()[0] for line in listed] == option_names()
    assert all(len(line.split()) > 3 for line in listed)
    assert "Blind colour Gaussian denoising from scratch, small enough for a CPU" in next(
        line for line in listed if line.startswith("denoise/small ")
    )
    assert shown.encode() == Path("mine.yml").read_bytes() == option_file("denoise/small").read_bytes()


def test_all_option_files_are_copied_into_a_folder(elsewhere: Path) -> None:
    assert main(["options", "-o", "all"]) == 0

    assert len(list(elsewhere.glob("all/*/*.yml"))) == len(option_names())


def test_a_copy_never_replaces_a_file(elsewhere: Path, capsys) -> None:
    (elsewhere / "mine.yml").write_text("name: mine", "utf-8")

    assert main(["options", "denoise/small", "-o", "mine.yml"]) == 2

    assert capsys.readouterr().err == "diffir: mine.yml exists already: name another path with -o\n"
    assert (elsewhere / "mine.yml").read_text("utf-8") == "name: mine"


def test_an_unknown_name_is_one_line(capsys) -> None:
    assert main(["options", "denoise/smal"]) == 2

    assert capsys.readouterr().err == "diffir: no option file 'denoise/smal' ships; did you mean 'denoise/small'?\n"
