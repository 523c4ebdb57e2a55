"""``diffir COMMAND ...``: runs a command, and turns errors into one line and an exit code.

Only the module of the chosen command is imported, and heavy packages only inside its ``run``, so ``--help`` is fast.
Exit codes: 0 done, 1 something failed, 2 wrong usage, 130 interrupted.
"""

import argparse
import importlib
import io
import logging
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import NoReturn

from diffir._version import __version__
from diffir.allocator import keep_freed_memory
from diffir.errors import DiffIRError, UsageError
from diffir.near_names import nearest

COMMANDS = {
    "restore": "restore photos with a trained network",
    "train": "train a network, stage 1 then stage 2",
    "finetune": "train a network further for a kind of degradation, from clean photos and a recipe",
    "degrade": "show or save what a degradation recipe does to photos",
    "check-data": "look for faults in a dataset before training or measuring on it",
    "eval": "score a method on a benchmark",
    "score": "score a folder of restored images against its ground truth",
    "models": "list the available networks",
    "convert": "turn a released checkpoint into a safetensors file",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    # Prepare the terminal and the log.
    arguments = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # an arrow in a table must not end a run on an ASCII terminal
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)

    # Parse the arguments, and run the command.
    parser = _parser(arguments)
    try:
        args = _parse(parser, arguments)
        if args.command is None:
            parser.print_help()
            return 0
        keep_freed_memory()
        return _module(args.command).run(args)

    # Report what went wrong in one line.
    except DiffIRError as error:
        print(f"diffir: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    except BrokenPipeError:  # diffir models | head
        sys.stdout = None
        return 0
    except OSError as error:  # for example a full disk, which no command expects
        reason = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        print(f"diffir: {' '.join(reason.split())}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("diffir: interrupted", file=sys.stderr)
        return 130


class _Parser(argparse.ArgumentParser):
    """An argparse parser that reports a mistake in one line instead of printing all flags."""

    command: "_Parser | None" = None
    """Parser of the chosen command, which has the flags of this command."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"diffir: {message}; see {self.prog} --help\n")

    def refuse(self, words: Sequence[str]) -> NoReturn:
        """Report the first unknown flag, or else the arguments that belong to no flag."""
        flag = next((word.partition("=")[0] for word in words if word.startswith("-")), None)
        if flag is None:
            self.error(f"unexpected arguments: {' '.join(words)}")
        # Compare without dashes, which all flags share.
        flags = {known.lstrip("-"): known for known in self._option_string_actions}
        near = nearest(flag.lstrip("-"), flags)
        self.error(f"unknown flag {flag}" + (f", did you mean {flags[near]}?" if near else ""))


def _parser(arguments: Sequence[str]) -> _Parser:
    parser = _Parser(prog="diffir", description="Image restoration with DiffIR.", allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"diffir {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND")
    chosen = next((argument for argument in arguments if not argument.startswith("-")), None)
    for name, summary in COMMANDS.items():
        subparser = subparsers.add_parser(
            name, help=summary, description=summary.capitalize() + ".", allow_abbrev=False
        )
        if name == chosen:  # the flags of other commands are not needed
            _module(name).add_arguments(subparser)
            parser.command = subparser
    return parser


def _module(command: str) -> ModuleType:
    return importlib.import_module(f"diffir.cli.{command.replace('-', '_')}")


def _parse(parser: _Parser, arguments: Sequence[str]) -> argparse.Namespace:
    """Parse the arguments; positional arguments behind flags are allowed, which argparse alone refuses."""
    # Behind "--" nothing is a flag.
    end = arguments.index("--") if "--" in arguments else len(arguments)
    flags, words = [_with_underscores(argument) for argument in arguments[:end]], list(arguments[end + 1 :])
    args, late = parser.parse_known_args(flags)
    positional = getattr(args, "positional", None)
    if any(word.startswith("-") for word in late) or (late + words and positional is None):
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
