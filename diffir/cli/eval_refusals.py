"""Refuse wrong use of ``diffir eval`` before the first image: flags without effect, and rows that cannot be measured.

In: flags and the plan. Out: nothing, or an error of one line.
"""

import argparse
from collections import Counter
from collections.abc import Sequence

from diffir.cli.eval_setup import Entrant, EvalPlan, cuts_holes
from diffir.data.cards.cards import DatasetCard
from diffir.errors import UsageError
from diffir.evaluation import Degradation, NoReference
from diffir.evaluation.prior_rows import NEED_TEACHER, PriorKind
from diffir.metrics.table import METRICS

OF_NETWORKS = {
    "prior": "diffusion",
    "prior_samples": 1,
    "stage1": None,
    "tta": False,
    "stats": None,
    "tile": 0,
    "denoise_strength": None,
}
"""Flags that only networks use -> their defaults."""


def refuse_idle_flags(
    args: argparse.Namespace,
    cards: Sequence[DatasetCard],
    degradations: Sequence[Degradation],
    entrants: Sequence[Entrant],
) -> None:
    """Refuse flags that have no effect on this call, since they were meant to have one.

    Raises:
        UsageError: the message names the flag and what it goes with.
    """
    # Degradations and --lr need clean images; sets with inputs have none to degrade.
    clean, scale = [card for card in cards if not card.input], entrants[0].scale
    if degradations and not clean:
        raise UsageError(f"{degradations[0].label} makes inputs, but {cards[0].name} has its own inputs")
    if args.lr and (scale == 1 or not clean or degradations):
        raise UsageError("--lr is for methods that upscale, on a set of clean images")

    # Flags that need another flag, or exclude it.
    has_folder = any(degradation.kind == "mask" for degradation in degradations)
    needs = {
        "--grey goes with --quality": args.grey and not args.quality,
        "--seed goes with --recipe, or drawn masks": args.seed and not any(c.kind == "recipe" for c in degradations),
        "--mask_is_white goes with a folder of masks": args.mask_is_white == "keep" and not has_folder,
        "--cache and --no_cache exclude each other": args.cache and args.no_cache,
        "--cases must be 0 or more": args.cases < 0,
    }
    for complaint, holds in needs.items():
        if holds:
            raise UsageError(complaint)

    # Flags of networks.
    restorers = [entrant.restorer for entrant in entrants if entrant.restorer is not None]
    if not restorers:
        for name, default in OF_NETWORKS.items():
            if getattr(args, name) != default:
                raise UsageError(f"--{name} is for DiffIR networks: name one with -n")
    members = [member for restorer in restorers for member in restorer.members]
    if args.denoise_strength is not None and all(member.options.denoise_strength is None for member in members):
        raise UsageError("-dn mixes a network and its weaker twin, and none of these networks has one: drop it")
    if args.stage1 and args.prior != "all" and not any(kind in args.prior.split(",") for kind in NEED_TEACHER):
        raise UsageError(f"--stage1 is for --prior {' and '.join(NEED_TEACHER)}")


def refuse_what_cannot_be_measured(plan: EvalPlan, kinds: Sequence[PriorKind], noises: int) -> None:
    """Refuse rows that would fail, and rows that would have the same name.

    Raises:
        UsageError: the message names the method, metric or set.
    """
    _refuse_twice([f"{one.dataset}, {one.degradation.label}," for one in plan.benchmarks])
    _refuse_twice([entrant.name for entrant in plan.entrants])
    for benchmark in plan.benchmarks:
        holes, has_truth = cuts_holes(benchmark.degradation), not isinstance(benchmark.degradation, NoReference)
        place = f"{benchmark.dataset}, {benchmark.degradation.label}"
        # Methods that fill holes need holes, and the others cannot work with them.
        for entrant in plan.entrants:
            if entrant.has_mask and not holes:
                raise UsageError(f"{entrant.name} fills holes, and {place} has none: choose --mask, or leave it out")
            if holes and not entrant.has_mask and entrant.name != "input":
                raise UsageError(f"{entrant.name} takes no mask, and {place} has holes: leave it out")
        # Metrics and kinds of prior may need holes, a ground truth, or several images.
        for name in plan.metrics_for(benchmark):
            if METRICS[name].needs_mask and not holes:
                raise UsageError(f"{name} is a metric of holes, and {place} has none: leave it out, or choose --mask")
            if METRICS[name].needs_reference and not has_truth:
                raise UsageError(f"{name} needs a ground truth, and {place} has none: leave it out")
        if not has_truth and (noises > 1 or set(kinds) & set(NEED_TEACHER)):
            raise UsageError(f"--prior_samples and oracle priors need a ground truth, and {place} has none")
        if len(benchmark.files) == 1 and set(kinds) & {"mean", "other"}:
            raise UsageError(f"--prior mean and other need two images or more, and {place} has one")


def _refuse_twice(names: Sequence[str]) -> None:
    name, count = Counter(names).most_common(1)[0]
    if count > 1:
        raise UsageError(f"{name} would appear {count} times: name it once, or rename the file or folder")
