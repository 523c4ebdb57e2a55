"""``diffir upscale``: ``diffir restore`` with a network that enlarges, unless another one is named."""

import argparse

from diffir.cli import restore
from diffir.cli.parser import Parser

_SMALL, _LARGE = "sr_x2", "sr_x4"


def add_arguments(parser: Parser) -> None:
    """Add the flags of ``diffir restore``."""
    restore.add_arguments(parser)
    parser.usage = "diffir upscale INPUT ... [-o OUT] [-s FACTOR] [flags of diffir restore]"


def run(args: argparse.Namespace) -> int:
    """Choose the network by the factor: x2 up to twice the size, else x4; then restore."""
    if args.model_name is None and args.model_path is None:
        args.model_name = _SMALL if args.outscale is not None and args.outscale <= 2 else _LARGE
    return restore.run(args)
