"""``diffir train -opt FILE [key=value ...]``: both stages of a network in one command that can be resumed."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags as BasicSR spells them."""
    parser.add_argument("-opt", "--opt", required=True, type=Path, metavar="FILE", help="option file (YAML)")
    parser.add_argument("--auto_resume", action="store_true", help="go on from the last training state of this run")
    parser.add_argument("--dry_run", action="store_true", help="print the resolved settings and stop")
    parser.add_argument(
        "--force_yml",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="the same as the overrides below, BasicSR's spelling",
    )
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="KEY=VALUE",
        help="settings that replace the file's, such as train.total_iter=1000 (stage2.* for stage 2 alone)",
    )
    parser.set_defaults(positional="overrides")


def run(args: argparse.Namespace) -> int:
    """Train as the option file says."""
    from diffir.config_file import dump_config, load_config

    config = load_config(args.opt, [*args.force_yml, *args.overrides])
    if args.dry_run:
        print(dump_config(config), end="")
        return 0

    from diffir.training.run import Run

    weights = Run(config).start(auto_resume=args.auto_resume)
    print(weights)
    return 0
