"""``diffir finetune PHOTOS --recipe damage.yml -n photo -o experiments/mine``: teach weights a kind of damage.

Splits off validation photos, shows the damage, trains both stages, and reports what was gained on photos that training
never saw.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from diffir.config import RunConfig
    from diffir.training.finetune import Start

PREVIEW_PHOTOS, PREVIEW_DRAWS = 3, 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags as the other commands have them."""
    parser.add_argument("photos", type=Path, metavar="PHOTOS", help="folder of clean photos, with its subfolders")
    parser.add_argument("--recipe", required=True, help="name or file of the damage (diffir degrade --list)")
    parser.add_argument("-o", "--output", required=True, type=Path, help="folder of the run")
    parser.add_argument("-n", "--model_name", help="weights to start from; the default of diffir restore if left out")
    parser.add_argument("--model_path", type=Path, help="a file of weights to start from, instead of a name")
    parser.add_argument("--minutes", type=float, default=25.0, help="time to train on this machine (default 25)")
    parser.add_argument("--steps", type=int, help="steps to train, instead of minutes")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N (default auto)")
    parser.add_argument("--seed", type=int, default=0, help="of the split, the damage and the networks (default 0)")
    parser.add_argument("--auto_resume", action="store_true", help="go on with a run that was stopped")


def run(args: argparse.Namespace) -> int:
    """Prepare, train, compare."""
    from diffir.config_file import load_config
    from diffir.errors import TrainingError, UsageError
    from diffir.training.finetune import Start
    from diffir.training.run import Run
    from diffir.weights.catalogue import default_name
    from diffir.weights.load import load_network

    if args.model_name and args.model_path:
        raise UsageError("-n and --model_path name two starts: give one")
    source = str(args.model_path or args.model_name or default_name())
    start = Start(*load_network(source), source)
    options = args.output / "options.yml"
    if options.is_file() and not args.auto_resume:
        raise TrainingError(f"{args.output} holds a run already: go on with --auto_resume, or choose another folder")
    config = _resumed(args, load_config(options), source) if options.is_file() else _prepare(args, start)
    weights = Run(config).start(auto_resume=True)
    _report(args, config, start, weights)
    print(weights)
    return 0


def _resumed(args: argparse.Namespace, config: RunConfig, source: str) -> RunConfig:
    """The options of a run that was begun; what was asked for now must be what was asked for then."""
    from diffir.errors import TrainingError

    begun = {
        "weights": (config.path.pretrain_network_g, source),
        "--recipe": (config.datasets.train.degradation[0].get("name"), args.recipe),
        "--seed": (config.manual_seed, args.seed),
    }
    if args.steps is not None:
        begun["--steps"] = (config.train.total_iter + config.stage2.total_iter, args.steps)
    for name, (then, now) in begun.items():
        if str(then) != str(now):
            raise TrainingError(
                f"{args.output} was begun with {name} {then}, not {now}: say the same, or take another -o"
            )
    return config


def _prepare(args: argparse.Namespace, start: Start) -> RunConfig:
    """Check the damage, split the photos, draw the preview, plan the run."""
    from diffir.data.holdout import hold_out
    from diffir.data.training_set import TrainingFacts
    from diffir.degradations.preview import preview_sheet
    from diffir.degradations.recipes import load_recipe
    from diffir.image_io import list_images, read_image, write_image
    from diffir.inference.device import resolve_device
    from diffir.training.finetune import Budget, plan_run

    budget, device = Budget(args.steps, args.minutes), resolve_device(args.device)
    recipe = load_recipe(args.recipe)
    facts = TrainingFacts(recipe.scale, recipe.channels)
    facts.check(start.network.settings, network=start.source, pairs="the recipe makes")
    pieces = args.output / "photos"
    split = hold_out(args.photos, pieces, seed=args.seed)
    left_out = f", {len(split.left_out)} left out" if split.left_out else ""
    print(f"photos: {len(split.training)} to learn from, {len(split.validation)} to validate on{left_out}", flush=True)
    photos = {path.stem: read_image(path).pixels for path in list_images(pieces / "val")[:PREVIEW_PHOTOS]}
    write_image(args.output / "preview.png", preview_sheet(photos, recipe, seed=args.seed, draws=PREVIEW_DRAWS))
    print(f"what the damage does: {args.output / 'preview.png'}", flush=True)
    config = plan_run(start, pieces, args.recipe, args.output, device=device, budget=budget, seed=args.seed)
    steps = f"{config.train.total_iter} + {config.stage2.total_iter} steps"
    print(
        f"{steps} of {config.datasets.train.batch_size_per_gpu} patches of {config.datasets.train.gt_size}", flush=True
    )
    print("stage 1 learns with the clean photo in sight, stage 2 without: its first scores are low", flush=True)
    return config


def _report(args: argparse.Namespace, config: RunConfig, start: Start, weights: Path) -> None:
    """Score the weights before and after on the held-out photos, and say what was gained."""
    from dataclasses import replace

    from diffir.data.holdout import PIECE
    from diffir.inference.device import resolve_device
    from diffir.training.comparison import compare, write_report
    from diffir.training.run import Run
    from diffir.weights.load import load_network

    assert config.datasets.val is not None
    whole = replace(config.datasets, val=replace(config.datasets.val, gt_size=None))
    run, device = Run(replace(config, datasets=whole)), resolve_device(config.device)
    after, _ = load_network(weights)
    result = compare(
        start.network.to(device), after.to(device), run.validation_samples(), config.val.metrics, run.protocol
    )
    train = config.datasets.train
    lines = [
        f"Damage: `{args.recipe}`. Before: `{start.source}`. After: `{weights}`.",
        f"{len(result.before.images)} photos that training did not learn from (up to {PIECE} pixels of their middle, "
        f"damaged once each); {run.protocol}. Smaller cuts of the same photos chose the best step.",
        f"{config.train.total_iter} + {config.stage2.total_iter} steps of {train.batch_size_per_gpu} patches of "
        f"{train.gt_size} pixels at a rate of {config.stage2.optim_g.lr:g}, seed {config.manual_seed}.",
    ]
    write_report(result, args.output, title=f"Fine-tuning on {args.recipe}", lines=lines)
    metric = config.val.metrics[0]
    means = (round(scores.means[metric], 2) for scores in (result.input, result.before, result.after))
    print("PSNR in dB: input {}, before {}, after {}".format(*means) + f": gained {result.gain:+.2f}")
    if result.gain <= 0:
        print(f"nothing was gained: keep using {start.source}, or train longer (--minutes) on more photos")
    print(f"report: {args.output / 'report.md'}, {args.output / 'before_after.png'}")
