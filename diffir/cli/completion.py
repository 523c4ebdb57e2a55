"""``diffir completion SHELL`` prints a script with which the shell completes commands, flags and file names.

For bash: ``diffir completion bash > ~/.local/share/bash-completion/completions/diffir``. The script is made by the
package shtab from the parsers of all commands.
"""

import argparse

from diffir.cli.terminal import say_lines
from diffir.errors import MissingDependency

_SHELLS = ("bash", "zsh", "tcsh")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``diffir completion``."""
    parser.add_argument("shell", choices=_SHELLS, help="the shell that is to complete")


def run(args: argparse.Namespace) -> int:
    """Print the script."""
    try:
        import shtab
    except ImportError as error:
        raise MissingDependency("shtab", "shell completion", "completion") from error
    from diffir.cli.main import COMMANDS
    from diffir.cli.parser import make_full_parser

    parser = make_full_parser(COMMANDS)
    say_lines(shtab.complete(parser, shell=args.shell).splitlines())
    return 0
