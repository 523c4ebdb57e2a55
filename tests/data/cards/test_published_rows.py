"""Published scores: every row states its source and protocol, and an error names its row."""

import re
from pathlib import Path

import pytest

from diffir.data.cards.published_rows import load_published, rows_for
from diffir.errors import ConfigError

CONDITION = re.compile(
    r"sigma \d+|bicubic x[234]|JPEG \d+(, grey)?|mask (thin|medium|wide)(, 40-50 %)?|as given|reconstruction"
)
GROUP = """
- task: toys
  source: "somebody, https://example.org"
  protocol: "PSNR on RGB"
  conditions: [sigma 15, sigma 25]
  rows:
    A: {CBSD68: {psnr: [30.5, 28.0], ssim: [0.9, null]}, Kodak24: {psnr: [null, 29]}}
    B: {CBSD68: {psnr: [31.0, 28.5]}}
"""


@pytest.fixture
def toys(tmp_path: Path):
    def write(old: str = GROUP, new: str = GROUP) -> Path:
        assert old in GROUP
        (tmp_path / "toys.yml").write_text(GROUP.replace(old, new), "utf-8")
        return tmp_path / "toys.yml"

    return write


def test_a_row_is_one_method_on_one_set_under_one_degradation(toys) -> None:
    rows = load_published(toys())

    found = {(row.method, row.dataset, row.degradation): row.scores for row in rows}
    assert found == {
        ("A", "CBSD68", "sigma 15"): {"psnr": 30.5, "ssim": 0.9},
        ("A", "CBSD68", "sigma 25"): {"psnr": 28.0},
        ("A", "Kodak24", "sigma 25"): {"psnr": 29},
        ("B", "CBSD68", "sigma 15"): {"psnr": 31.0},
        ("B", "CBSD68", "sigma 25"): {"psnr": 28.5},
    }
    assert {(row.task, row.source, row.protocol) for row in rows} == {
        ("toys", "somebody, https://example.org", "PSNR on RGB")
    }


@pytest.mark.parametrize("dataset", ["CBSD68", "cbsd68", "cbsd68:test", "CBSD68:val"])
def test_sets_are_found_in_any_case_and_by_their_test_split(toys, dataset: str) -> None:
    assert [row.method for row in rows_for(dataset, "sigma 25", load_published(toys()))] == ["A", "B"]


@pytest.mark.parametrize(
    ("dataset", "condition"), [("CBSD68:train", "sigma 25"), ("CBSD68", "sigma 50"), ("CBSD", "sigma 25")]
)
def test_other_splits_degradations_and_sets_have_no_rows(toys, dataset: str, condition: str) -> None:
    assert rows_for(dataset, condition, load_published(toys())) == ()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("protocol:", "protokol:", r"toys.yml: group 1: unknown key 'protokol'; did you mean 'protocol'\?"),
        ('  protocol: "PSNR on RGB"\n', "", "toys.yml: group 1: the key 'protocol' is missing"),
        ("ssim: [", "sim: [", r"toys.yml: A on CBSD68: unknown metric 'sim'; did you mean 'ssim'\?"),
        ("0.9, null", "9.0, null", "toys.yml: A on CBSD68: ssim is a number from -1 to 1, got 9.0"),
        ("31.0", "high", "toys.yml: B on CBSD68: psnr is a number from 0 to inf, got 'high'"),
        ("31.0", "true", "toys.yml: B on CBSD68: psnr is a number from 0 to inf, got True"),
        ("31.0, 28.5", "31.0", r"B on CBSD68: psnr has 1 values for 2 conditions \(sigma 15, sigma 25\)"),
        ("{psnr: [31.0, 28.5]}", "31.0", "B on CBSD68: expected names and their values, got 31.0"),
        ("Kodak24: ", "cbsd68: ", "A on cbsd68, sigma 25, is given twice"),
        (GROUP, "{}", "toys.yml: expected a list of groups, got dict"),
    ],
)
def test_a_mistake_is_named_with_file_and_row(toys, old: str, new: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_published(toys(old, new))


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read published rows .*x\.yml: No such file"):
        load_published(tmp_path / "x.yml")


def test_every_row_that_ships_says_where_it_comes_from_and_how_it_was_taken() -> None:
    rows = load_published()

    assert len(rows) > 300
    for row in rows:
        assert re.search(r"https://\S+$", row.source), row
        assert re.search(r"RGB|grey|Y of BT\.601|whole image", row.protocol), row
        assert CONDITION.fullmatch(row.degradation), row


def test_the_ldm_that_diffir_compares_with_is_not_the_released_one() -> None:
    rows = {row.method: row for row in rows_for("places2", "mask wide")}

    compared, small, released = (
        rows[name] for name in ("LDM", "LDM-4 (215 M), with attention", "LDM-4 big (387 M), tuned at 512")
    )
    assert compared.scores == small.scores
    assert released.scores["fid"] < rows["DiffIR-S2"].scores["fid"] < compared.scores["fid"]
    assert rows["DiffIR-S2"].scores["lpips_vgg"] < released.scores["lpips_vgg"]
    assert compared.source != released.source  # a table of its own for each source


@pytest.mark.parametrize(
    ("dataset", "condition", "method", "scores"),
    [
        ("set5", "bicubic x4", "Bicubic", {"psnr": 28.42, "ssim": 0.8104}),
        ("cbsd68", "sigma 25", "DnCNN", {"psnr": 31.24}),
        ("gopro:test", "as given", "DiffIR-S2", {"psnr": 33.20, "ssim_3d": 0.963}),
        ("classic5", "JPEG 40, grey", "SwinIR", {"psnr": 34.52, "ssim": 0.9082, "psnr_b": 33.66}),
        ("celeba_hq:test", "mask wide", "DiffIR-S2", {"fid": 5.1440, "lpips_vgg": 0.0918}),
        ("urban100:test", "bicubic x4", "DiffIR-S2", {"psnr": 26.05, "lpips_alex": 0.1007}),
        ("places2:val", "mask wide", "LDM-4 big (387 M), tuned at 512", {"fid": 1.50, "lpips_vgg": 0.137}),
        ("places2:val", "mask wide, 40-50 %", "LaMa, of its authors", {"fid": 12.0, "lpips_vgg": 0.24}),
        ("imagenet:val", "bicubic x4", "LDM-4 (169 M), 100 steps", {"psnr": 24.4, "ssim": 0.69, "fid": 2.8}),
        ("imagenet:val", "reconstruction", "KL f8 (c 4)", {"psnr": 24.19, "fid": 0.90}),
    ],
)
def test_known_numbers_of_the_field_are_there(dataset: str, condition: str, method: str, scores: dict) -> None:
    found = {row.method: row.scores for row in rows_for(dataset, condition)}

    assert found[method] == scores
