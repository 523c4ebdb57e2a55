"""``diffir train -opt FILE [key=value ...]``: train all stages of a network; a stopped run can be resumed.

With several GPUs or machines, torchrun starts it: ``torchrun --nproc_per_node 4 -m diffir train -opt FILE``.
"""

import argparse
from pathlib import Path

from diffir.cli.terminal import say, say_lines


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags, which are spelled as in BasicSR."""
    parser.add_argument(
        "-opt",
        "--opt",
        required=True,
        type=Path,
        metavar="FILE",
        help="option file (YAML), or the name of a shipped one, such as denoise/small",
    )
    parser.add_argument("--auto_resume", action="store_true", help="continue from the last training state of this run")
    parser.add_argument(
        "--dry_run",
        action="store_true",
        help="print the resolved settings, draw one batch, build the networks, and stop before anything is written",
    )
    parser.add_argument(
        "--debug",
        action="store_true",
        help="train 16 steps per stage in the folder debug_NAME, which is emptied first, to try out the whole run",
    )
    parser.add_argument(
        "--force_yml",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="settings as below, with the flag that BasicSR has for them",
    )
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="KEY=VALUE",
        help="settings that replace those of the file, such as train.total_iter=1000 (stage2.* for stage 2 only)",
    )
    parser.set_defaults(positional="overrides")


def run(args: argparse.Namespace) -> int:
    """Train, or try out the training, with the settings of an option file."""
    from diffir.api import load_config
    from diffir.config_file import dump_config
    from diffir.systems import SYSTEMS

    # Read the options.
    config = load_config(args.opt, [*args.force_yml, *args.overrides])
    system = SYSTEMS[config.system]
    if args.debug:
        from diffir.training.dry_run import shortened

        config = shortened(config, system)

    # Build everything and stop, or train.
    if args.dry_run:
        from diffir.training.dry_run import dry_run

        say_lines(dump_config(config).splitlines())
        for line in dry_run(config, system, SYSTEMS):
            say(f"# {line}")
        return 0

    from diffir.training.run import Run

    training = Run(config, system, systems=SYSTEMS)
    try:
        weights = training.start(auto_resume=args.auto_resume, start_over=args.debug)
        if training.processes.is_first:
            say(str(weights))
    finally:
        training.processes.close()
    return 0
