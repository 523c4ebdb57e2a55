"""Parse the command line: the flags of the chosen command, and one line for every mistake.

In: the words of the command line and the table of commands. Out: the parsed arguments. Only the module of the chosen
command is imported.
"""

import argparse
import importlib
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import NoReturn

from diffir._version import __version__
from diffir.cli.terminal import printable
from diffir.near_names import nearest


class Parser(argparse.ArgumentParser):
    """An argparse parser that reports a mistake in one line instead of printing all flags."""

    command: "Parser | None" = None
    """Parser of the chosen command, which has the flags of this command."""
    answers: Mapping[str, str] = {}
    """Sentences that answer flags of other programs, by flag."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"diffir: {printable(message)}; see {self.prog} --help\n")

    def refuse(self, words: Sequence[str]) -> NoReturn:
        """Report the first unknown flag, or else the arguments that belong to no flag."""
        flag = next((word.partition("=")[0] for word in words if word.startswith("-") and word != "-"), None)
        if flag is None:
            self.error(f"unexpected arguments: {' '.join(words)}")
        if flag in self.answers:
            self.error(f"{flag} is a flag of another program: {self.answers[flag]}")
        # Compare without dashes, which all flags share.
        flags = {known.lstrip("-"): known for known in self._option_string_actions}
        near = nearest(flag.lstrip("-"), flags)
        self.error(f"unknown flag {flag}" + (f", did you mean {flags[near]}?" if near else ""))


def make_parser(commands: Mapping[str, str], arguments: Sequence[str]) -> Parser:
    """Make the parser for a call; ``commands`` maps names to summaries."""
    chosen = next((argument for argument in arguments if not argument.startswith("-")), None)
    return _parser_with(commands, [chosen] if chosen in commands else [])


def make_full_parser(commands: Mapping[str, str]) -> Parser:
    """Make a parser with the flags of all commands, for shell completion."""
    return _parser_with(commands, list(commands))


def _parser_with(commands: Mapping[str, str], complete: Sequence[str | None]) -> Parser:
    """Make a parser that knows all commands, but only the flags of some, since the others are not needed."""
    parser = Parser(prog="diffir", description="Image restoration with DiffIR.", allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"diffir {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, summary in commands.items():
        subparser = subparsers.add_parser(
            name, help=summary, description=summary.capitalize() + ".", allow_abbrev=False
        )
        if name in complete:
            module_of(name).add_arguments(subparser)
            parser.command = subparser
    return parser


def module_of(command: str) -> ModuleType:
    """Import the module of a command."""
    return importlib.import_module(f"diffir.cli.{command.replace('-', '_')}")


def parse(parser: Parser, arguments: Sequence[str]) -> argparse.Namespace:
    """Parse the arguments; positional arguments behind flags are allowed, which argparse alone refuses."""
    # Behind "--" nothing is a flag.
    end = arguments.index("--") if "--" in arguments else len(arguments)
    flags, words = [_with_underscores(argument) for argument in arguments[:end]], list(arguments[end + 1 :])
    args, late = parser.parse_known_args(flags)
    positional = getattr(args, "positional", None)
    if any(word.startswith("-") and word != "-" for word in late) or (late + words and positional is None):
        (parser.command or parser).refuse(late + words)
    if positional is not None:
        setattr(args, positional, [*getattr(args, positional), *late, *words])
    return args


def _with_underscores(argument: str) -> str:
    """Make ``--tile-overlap=8`` the same flag as ``--tile_overlap=8``; the value does not change."""
    if not argument.startswith("--"):
        return argument
    flag, equals, value = argument.partition("=")
    return "--" + flag[2:].replace("-", "_") + equals + value
