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
        ("b: 1\na: [", r"here is not YAML: .*expected the node content.* \(line 2, column 5\)$"),
        ("a: 2024-13-40", r"here is not YAML: '2024-13-40' is not a valid timestamp \(line 1, column 4\)$"),
        ('a: !!int ""', r"'' is not a valid int \(line 1, column 4\)$"),
        ("a: 1\nb: !!bool x", r"'x' is not a valid bool \(line 2, column 4\)$"),
        ("!!timestamp x", "'x' is not a valid timestamp"),
        ('a: "\\Uffffffff"', r"here is not YAML: .*\(line 1, column 7\)$"),
        ('a: "\\U00110000"', r"here is not YAML: .*\(line 1, column 7\)$"),
        ("a\nb\0: 1", r"here is not YAML: character 0x0 in it \(line 2\)$"),
        ('a: "\\ud800"', "a character that no text has"),
        ('a: "\\0"', "a character that no text has"),
        ("a: 0x" + "f" * 9000, "an integer of more than 64 bits"),
        ("a: " + "9" * 9000, "is not a valid int"),
        ("a: 1:" + "1:" * 300 + "1.5", "is not a valid float"),
    ],
)
def test_what_cannot_be_meant_is_one_line_with_its_place(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        parse_yaml(text, "here")

    assert "\n" not in str(caught.value) and len(str(caught.value)) < 200


LAUGHS = "a0: &a0 [1, 1]\n" + "\n".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 40))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: " + "[" * 2000, "nested deeper than 50 levels"),
        ("a: " + "{a: " * 2000, "nested deeper than 50 levels"),
        ("\n".join(" " * depth + "a:" for depth in range(1000)), "nested deeper than 50 levels"),
        ("a: &a [*a]", r"\*a contains itself"),
        ("a: &a {b: {c: *a}}", r"\*a contains itself"),
        (LAUGHS, "more than 50,000 values"),
        ("x" * 1_000_001, "larger than 1,000,000 bytes"),
    ],
)
def test_depth_and_size_are_bounded(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=f"^here: .*{said}"):
        parse_yaml(text, "here")


def test_a_list_of_many_values_is_refused_before_it_is_read_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diffir.yaml_file.MOST_VALUES", 50)

    with pytest.raises(ConfigError, match="more than 50 values"):
        parse_yaml("a: [" + "1, " * 60 + "and no end", "here")


def test_as_much_as_is_allowed_is_read() -> None:
    assert parse_yaml("[" * 50 + "]" * 50, "here") is not None
    assert parse_yaml("a: &a [1]\nb: [*a, *a]", "here") == {"a": [1], "b": [[1], [1]]}


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="this system has no /dev/zero")
def test_a_file_without_end_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"/dev/zero"):
        read_yaml(Path("/dev/zero"))


def test_a_key_may_replace_what_is_merged_from_elsewhere() -> None:
    text = "a: {b: &b {<<: &c {x: 1, y: 1}, x: 2}}\nd: {<<: *b, y: 3}"

    assert parse_yaml(text, "here") == {"a": {"b": {"x": 2, "y": 1}}, "d": {"x": 2, "y": 3}}


@pytest.mark.parametrize("number", ["1e-4", "1.0e-4", "+1E-4", ".1e-3"])
def test_numbers_with_an_exponent_are_numbers(number: str) -> None:
    assert parse_yaml(f"lr: {number}", "here") == {"lr": 1e-4}


def test_a_file_in_another_encoding_is_named(tmp_path: Path) -> None:
    (tmp_path / "latin.yml").write_bytes("# 1\nname: Grün".encode("latin-1"))

    with pytest.raises(ConfigError, match=r"latin\.yml is not YAML: its text is not UTF-8 \(line 2\)"):
        read_yaml(tmp_path / "latin.yml")


def test_a_card_with_a_key_given_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "own.yml").write_text("name: own\nsummary: a\nsummary: b\nfolder: Own\nsource: here\n", "utf-8")

    with pytest.raises(ConfigError, match=r"own\.yml: the key 'summary' is given twice \(lines 2 and 3\)"):
        load_card(str(tmp_path / "own.yml"))
