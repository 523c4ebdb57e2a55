"""``diffir finetune PHOTOS --recipe recipe.yml -n photo -o experiments/mine``: adapt weights to a degradation.

The command splits the photos into training and validation photos, draws a preview of the degradation, trains, and
reports the gain in PSNR on the validation photos.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from diffir.cli.terminal import say

if TYPE_CHECKING:
    from torch import nn

    from diffir.config import RunConfig
    from diffir.system import System
    from diffir.weights.card import WeightsCard

PREVIEW_PHOTOS, PREVIEW_DRAWS = 3, 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``diffir finetune``."""
    parser.add_argument("photos", type=Path, metavar="PHOTOS", help="folder of clean photos, including subfolders")
    parser.add_argument("--recipe", required=True, help="name or file of the degradation (diffir degrade --list)")
    parser.add_argument("-o", "--output", required=True, type=Path, help="folder of the run")
    parser.add_argument("-n", "--model_name", help="weights to start from (default: as diffir restore)")
    parser.add_argument("--model_path", type=Path, help="file of weights to start from, instead of a name")
    parser.add_argument(
        "--teacher", metavar="FILE", help="learn from the outputs of this network instead of the clean photos"
    )
    parser.add_argument("--minutes", type=float, default=25.0, help="training time on this machine (default 25)")
    parser.add_argument("--steps", type=int, help="training steps, instead of --minutes")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N (default auto)")
    parser.add_argument(
        "--seed", type=int, default=0, help="seed of the split, the recipe and the networks (default 0)"
    )
    parser.add_argument("--auto_resume", action="store_true", help="continue a run that was stopped")


def run(args: argparse.Namespace) -> int:
    """Prepare or resume the run, train, and compare the weights before and after."""
    from diffir.api import load_config, load_network, system_of_card
    from diffir.errors import TrainingError, UsageError
    from diffir.systems import SYSTEMS
    from diffir.training.run import Run
    from diffir.weights.catalogue import default_name

    # Load the weights to start from, and check whether this run exists already.
    if args.model_name and args.model_path:
        raise UsageError("-n and --model_path both name weights to start from: give one")
    source = str(args.model_path or args.model_name or default_name())
    network, card = load_network(source, restores=True)
    system = system_of_card(card, source)
    if not system.can_finetune:
        raise UsageError(f"networks of the system {system.name} cannot be fine-tuned by diffir finetune")
    options = args.output / "options.yml"
    if options.is_file() and not args.auto_resume:
        raise TrainingError(f"{args.output} holds a run already: continue with --auto_resume, or choose another folder")
    if options.is_file():
        config = _resumed(args, load_config(options), source)
    else:
        config = _prepare(args, system, network, card, source)

    # Train, then compare on the held-out photos.
    weights = Run(config, system, systems=SYSTEMS).start(auto_resume=True)
    _report(args, config, system, source, weights)
    say(str(weights))
    return 0


def _total_steps(config: RunConfig) -> list[int]:
    """Return the number of steps of each stage that runs."""
    return [config.stages[stage].total_iter for stage in config.run_stages]


def _resumed(args: argparse.Namespace, config: RunConfig, source: str) -> RunConfig:
    """Return the options of an existing run, after a check that the flags are those of its start."""
    from diffir.errors import TrainingError

    teacher = config.datasets.train.teacher
    begun_from = next(iter(config.path.start.values()), config.path.pretrain_network_g)  # the latter in older runs
    compared = {
        "weights": (begun_from, source),
        "--recipe": (config.datasets.train.degradation[0].get("name"), args.recipe),
        "--seed": (config.manual_seed, args.seed),
        "--teacher": (teacher and teacher.file, args.teacher),
    }
    if args.steps is not None:
        compared["--steps"] = (sum(_total_steps(config)), args.steps)
    for name, (then, now) in compared.items():
        if str(then) != str(now):
            raise TrainingError(
                f"{args.output} was started with {name} {then}, not {now}: give the same, or another -o"
            )
    return config


def _prepare(args: argparse.Namespace, system: System, network: nn.Module, card: WeightsCard, source: str) -> RunConfig:
    """Check the recipe and the teacher, split the photos, draw the preview, and plan the run."""
    from diffir.config import TeacherConfig
    from diffir.data.holdout import hold_out
    from diffir.data.training_set import TrainingFacts
    from diffir.degradations.preview import preview_sheet
    from diffir.degradations.recipes import load_recipe
    from diffir.image_io import list_images, read_image, write_image
    from diffir.inference.device import resolve_device
    from diffir.system import Budget, FinetuneRequest
    from diffir.training.teacher import teacher_file

    # Refuse a recipe whose scale or channels do not suit the network.
    budget, device = Budget(args.steps, args.minutes), resolve_device(args.device)
    recipe = load_recipe(args.recipe)
    facts = TrainingFacts(recipe.scale, recipe.channels)
    facts.check(system.facts(card.settings), network=source, pairs="the recipe makes")
    teacher = TeacherConfig(args.teacher) if args.teacher else None
    if teacher is not None:
        teacher_file(teacher, system)  # refuses a file that does not exist

    # Split the photos, and draw some of them with the degradation.
    pieces = args.output / "photos"
    split = hold_out(args.photos, pieces, seed=args.seed)
    left_out = f", {len(split.left_out)} left out" if split.left_out else ""
    say(f"photos: {len(split.training)} for training, {len(split.validation)} for validation{left_out}")
    photos = {path.stem: read_image(path).pixels for path in list_images(pieces / "val")[:PREVIEW_PHOTOS]}
    write_image(args.output / "preview.png", preview_sheet(photos, recipe, seed=args.seed, draws=PREVIEW_DRAWS))
    say(f"preview of the degradation: {args.output / 'preview.png'}")

    # Plan the run.
    request = FinetuneRequest(
        network, card.task, card.settings, card.gt_patch, card.licence, card.name, source,
        pieces, args.recipe, args.output, device, budget, args.seed,
    )  # fmt: skip
    config = system.plan_finetuning(request)
    train = config.datasets.train
    if teacher is not None:
        # No more targets than training has samples.
        samples = sum(_total_steps(config)) * train.batch_size_per_gpu
        train = replace(train, teacher=replace(teacher, patches=min(teacher.patches, samples)))
        config = replace(config, datasets=replace(config.datasets, train=train))
    steps = " + ".join(map(str, _total_steps(config)))
    say(f"{steps} steps of {train.batch_size_per_gpu} patches of {train.gt_size}")
    say("stage 2 starts with low scores: unlike stage 1, it does not get the clean photo as an input")
    return config


def _report(args: argparse.Namespace, config: RunConfig, system: System, source: str, weights: Path) -> None:
    """Score the weights before and after on the validation photos, and report the gain."""
    from diffir.api import load
    from diffir.data.holdout import PIECE
    from diffir.systems import SYSTEMS
    from diffir.training.comparison import compare, write_report
    from diffir.training.run import Run

    # Restore whole photos with both networks, as diffir restore does in fp32.
    assert config.datasets.val is not None
    whole = replace(config.datasets, val=replace(config.datasets.val, gt_size=None))
    run = Run(replace(config, datasets=whole), system, systems=SYSTEMS)
    before, after = (load(name, device=config.device, precision="fp32") for name in (source, str(weights)))
    result = compare(before, after, run.samples.validation(), config.val.metrics, run.row.protocol)

    # Write the report.
    train, last = config.datasets.train, config.stages[config.run_stages[-1]]
    lines = [
        f"Degradation: `{args.recipe}`. Before: `{source}`. After: `{weights}`.",
        f"{len(result.before.images)} photos that were not used for training (up to {PIECE} pixels of their middle, "
        f"degraded once each); {run.row.protocol}. The best step was chosen on smaller cuts of the same photos.",
        f"{' + '.join(map(str, _total_steps(config)))} steps of {train.batch_size_per_gpu} patches of "
        f"{train.gt_size} pixels at a learning rate of {last.optim_g.lr:g}, seed {config.manual_seed}.",
    ]
    if train.teacher is not None:
        lines.append(
            f"Teacher: `{train.teacher.file}`. The scores compare with its outputs, not with the clean photos."
        )
    write_report(result, args.output, title=f"Fine-tuning on {args.recipe}", lines=lines)

    # Print the result.
    metric = config.val.metrics[0]
    means = (round(scores.means[metric], 2) for scores in (result.input, result.before, result.after))
    say("PSNR in dB: input {}, before {}, after {}".format(*means) + f", gain {result.gain:+.2f}")
    if result.gain <= 0:
        say(f"no gain: keep using {source}, or train longer (--minutes) on more photos")
    say(f"report: {args.output / 'report.md'}, {args.output / 'before_after.png'}")
