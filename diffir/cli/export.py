"""``diffir export NAME --onnx OUT/``: write a network as ONNX graphs, for programs without torch."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from diffir.cli.restore_flags import add_denoise_strength
from diffir.cli.terminal import say
from diffir.errors import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``diffir export``."""
    parser.add_argument("source", metavar="NAME", help="a name of diffir models, or a file of weights")
    parser.add_argument(
        "--onnx",
        type=Path,
        required=True,
        metavar="OUT",
        help="folder for the graphs and for a script that runs them with numpy and onnxruntime alone",
    )
    add_denoise_strength(parser)
    parser.add_argument(
        "--stats",
        choices=("auto", "global", "local"),
        default="auto",
        help="attention looks at the whole photo, or at windows as in training; auto: what suits the weights",
    )


def run(args: argparse.Namespace) -> int:
    """Write the graphs, and say how far they are from the network."""
    from diffir.api import load_network, system_of_card

    network, card = load_network(args.source, restores=True, denoise_strength=args.denoise_strength)
    system = system_of_card(card, args.source)
    options = system.restore_options()
    if args.stats != "auto":
        if not hasattr(options, "stats"):
            raise UsageError(f"--stats is no option of {system.name} networks: drop it")
        options = replace(options, stats=args.stats)
    options = system.suited_options(options, card.task, card.settings, card.gt_patch)
    facts: dict[str, Any] = {"name": card.name, "task": card.task, "system": card.system, "licence": card.licence}
    mix = ""
    if card.denoise_strength is not None:
        facts["denoise_strength"] = card.denoise_strength
        mix = f" with denoise strength {card.denoise_strength:g}"
    difference = system.export_onnx(network, facts, args.onnx, options)
    size = sum(path.stat().st_size for path in args.onnx.glob("*.onnx")) / 1e6
    say(f"{args.onnx}: {card.name} as ONNX{mix}, {size:.1f} MB; differs from torch by at most {difference:.1g}")
    return 0
