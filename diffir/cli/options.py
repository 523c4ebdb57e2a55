"""``diffir options`` lists the option files that ship; ``diffir options NAME`` shows one, ``-o`` copies it.

``diffir train -opt NAME`` trains with a shipped file as it is; a copy is what one edits.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from diffir.cli.terminal import say, say_lines
from diffir.errors import UsageError
from diffir.files import write_atomically
from diffir.near_names import meant
from diffir.shipped_files import option_file, option_name, option_names


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``diffir options``."""
    parser.add_argument("name", nargs="?", help="show this option file, such as denoise/small; without it, list all")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="PATH", help="copy the file to this path, or all of them to this folder"
    )


def run(args: argparse.Namespace) -> int:
    """Print the list or a file, or copy files."""
    names = [_known(args.name)] if args.name else option_names()
    if args.output:
        for name, target in zip(names, _targets(args, names), strict=True):
            _copy(option_file(name), target)
            say(str(target))
    elif args.name:
        say_lines(option_file(names[0]).read_text("utf-8").splitlines())
    else:
        width = max(map(len, names))
        say_lines([f"{name:<{width}}  {_summary(option_file(name))}" for name in names])
    return 0


def _known(name: str) -> str:
    wanted, names = option_name(Path(name)), option_names()
    if wanted not in names:
        raise UsageError(f"no option file {name!r} ships; {meant(wanted, names)}")
    return wanted


def _targets(args: argparse.Namespace, names: list[str]) -> list[Path]:
    """The paths of the copies: one file, a file in an existing folder, or all files below a folder."""
    output: Path = args.output
    if not args.name:
        return [output / f"{name}.yml" for name in names]
    return [output / f"{Path(names[0]).name}.yml" if output.is_dir() else output]


def _copy(source: Path, target: Path) -> None:
    if target.exists():
        raise UsageError(f"{target} exists already: name another path with -o")
    with write_atomically(target) as file:
        file.write(source.read_bytes())


def _summary(path: Path) -> str:
    """The first clause of the comment that begins an option file."""
    comment = re.match(r"(?:#.*\n)*", path.read_text("utf-8"))
    words = " ".join(line.strip("# ") for line in comment[0].splitlines()) if comment else ""
    return re.split(r"[.:;](?: |$)", words)[0]
