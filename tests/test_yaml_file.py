"""The YAML loader: which texts it refuses, and how it differs from plain YAML."""

from pathlib import Path

import pytest

from diffir.data.cards.cards import load_card
from diffir.errors import ConfigError
from diffir.yaml_file import parse_yaml, read_yaml


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: 2\na: 3", r"here: the key 'a' is given twice \(lines 1 and 3\); keep one"),
        ("x: [{y: {a: 1, 'a': 1}}]", "the key 'a' is given twice"),
        ("a: [", "here is not YAML"),
        ("a: 2024-13-40", "here is not YAML"),
    ],
)
def test_what_cannot_be_meant_is_one_line(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        parse_yaml(text, "here")

    assert "\n" not in str(caught.value)


def test_a_key_may_replace_what_is_merged_from_elsewhere() -> None:
    text = "a: {b: &b {<<: &c {x: 1, y: 1}, x: 2}}\nd: {<<: *b, y: 3}"

    assert parse_yaml(text, "here") == {"a": {"b": {"x": 2, "y": 1}}, "d": {"x": 2, "y": 3}}


@pytest.mark.parametrize("number", ["1e-4", "1.0e-4", "+1E-4", ".1e-3"])
def test_numbers_with_an_exponent_are_numbers(number: str) -> None:
    assert parse_yaml(f"lr: {number}", "here") == {"lr": 1e-4}


def test_a_file_in_another_encoding_is_named(tmp_path: Path) -> None:
    (tmp_path / "latin.yml").write_bytes("name: Grün".encode("latin-1"))

    with pytest.raises(ConfigError, match=r"latin\.yml is not YAML"):
        read_yaml(tmp_path / "latin.yml")


def test_a_card_with_a_key_given_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "own.yml").write_text("name: own\nsummary: a\nsummary: b\nfolder: Own\nsource: here\n", "utf-8")

    with pytest.raises(ConfigError, match=r"own\.yml: the key 'summary' is given twice \(lines 2 and 3\)"):
        load_card(str(tmp_path / "own.yml"))
