"""``diffir denoise``: ``diffir restore`` with the network that removes noise, unless another one is named."""

import argparse

from diffir.cli import restore
from diffir.cli.parser import Parser


def add_arguments(parser: Parser) -> None:
    """Add the flags of ``diffir restore``."""
    restore.add_arguments(parser)
    parser.usage = "diffir denoise INPUT ... [-o OUT] [flags of diffir restore]"


def run(args: argparse.Namespace) -> int:
    """Restore with the network ``denoise``."""
    if args.model_name is None and args.model_path is None:
        args.model_name = "denoise"
    return restore.run(args)
