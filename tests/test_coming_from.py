"""docs/coming-from.md is true: its flags are those of the commands, its keys those of option files."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from diffir.cli.foreign_flags import ANSWERS
from diffir.cli.main import COMMANDS
from diffir.cli.parser import make_parser

REPOSITORY = Path(__file__).resolve().parents[1]
PAGE = (REPOSITORY / "docs/coming-from.md").read_text("utf-8")
FLAG = re.compile(r"^--?[a-z]")


def rows(heading: str) -> list[tuple[list[str], list[str]]]:
    """The words in code of the first two cells of each row, in the tables under a heading."""
    section = re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", PAGE, flags=re.M | re.S)
    assert section, heading
    found = []
    for line in section[1].splitlines():
        cells = line.split("|")
        if line.startswith("|") and not line.startswith("|---") and "`" in line:
            found.append((re.findall(r"`([^`]+)`", cells[1]), re.findall(r"`([^`]+)`", cells[2])))
    return found


ROWS = [
    row for name in ("Restoring, from Real-ESRGAN", "Restoring and measuring, from Restormer") for row in rows(name)
]
TRAINING = rows("Training, from BasicSR")


def flags_of(command: str) -> set[str]:
    """Every flag that a command takes, with underscores, hidden ones included."""
    root = make_parser({command: command}, [command])
    choices: Mapping[str, Any] = next(action.choices for action in root._actions if isinstance(action.choices, dict))
    return {flag for action in choices[command]._actions for flag in action.option_strings}


def known_keys() -> dict[str, Any]:
    """The example in options/README.md that shows every key."""
    blocks = re.findall(r"```yaml\n(.*?)```", (REPOSITORY / "options/README.md").read_text("utf-8"), flags=re.S)
    return yaml.safe_load(max(blocks, key=len))


def named_flags(words: list[str]) -> Iterator[tuple[str, str]]:
    """Command and flag of words such as ``--tile``, of ``diffir restore``, and ``eval -d``."""
    for word in words:
        command, _, flag = word.rpartition(" ")
        if FLAG.match(flag):
            yield command or "restore", flag.replace("gpu-id", "gpu_id")


@pytest.mark.parametrize("words", [ours for _, ours in [*ROWS, *TRAINING] if ours], ids=" ".join)
def test_every_flag_named_exists(words: list[str]) -> None:
    for command, flag in named_flags(words):
        assert command in COMMANDS
        assert flag in flags_of(command), flag


@pytest.mark.parametrize("words", [theirs for theirs, _ in ROWS], ids=" ".join)
def test_every_flag_of_another_program_works_or_is_answered(words: list[str]) -> None:
    assert words
    for _, flag in named_flags(words):
        assert flag in flags_of("restore") or flag in ANSWERS, flag


def test_a_flag_that_works_is_its_own_translation() -> None:
    for theirs, ours in ROWS:
        working = {flag for _, flag in named_flags(theirs)} & flags_of("restore")
        assert not working or working & {flag for _, flag in named_flags(ours)}, theirs


def test_the_page_names_every_flag_that_is_answered() -> None:
    assert [flag for flag in ANSWERS if f"`{flag}`" not in PAGE] == []


def test_every_key_named_stands_in_the_list_of_all_keys() -> None:
    keys = [word for _, ours in TRAINING for word in ours if re.fullmatch(r"[a-z_]\w*(\.\w+)*", word)]

    assert len(keys) > 30
    for key in keys:
        section: Any = known_keys()
        for part in key.split("."):
            assert part in section, key
            section = section[part]
