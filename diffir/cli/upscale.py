"""``diffir upscale``: ``diffir restore`` with a network that enlarges, unless another one is named."""

import argparse

from diffir.cli import restore
from diffir.cli.parser import Parser

# Small photos are mostly compressed, and networks for clean photos (sr_x2, sr_x4) enlarge what compression left. Of the
# two for damaged ones, this has the better LPIPS and NIQE (docs/networks.md).
_NETWORK = "realesrgan_general_x4"


def add_arguments(parser: Parser) -> None:
    """Add the flags of ``diffir restore``."""
    restore.add_arguments(parser)
    parser.set_defaults(enlarges=True)
    parser.usage = "diffir upscale INPUT ... [-o OUT] [-s FACTOR] [flags of diffir restore]"


def run(args: argparse.Namespace) -> int:
    """Restore with the named network, else with the one for small photos as people have them."""
    if args.model_name is None and args.model_path is None:
        args.model_name = _NETWORK
    return restore.run(args)
