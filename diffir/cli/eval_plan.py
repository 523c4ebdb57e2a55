"""Make the plan of ``diffir eval`` from its flags: sets, degradations, protocols, methods and metrics.

In: parsed flags. Out: an ``EvalPlan``. Everything that cannot be measured is refused here, before the first image. The
command imports this module only when it runs, so heavy packages are imported at the top.
"""

import argparse
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from diffir.api import card_of_source, load, load_network, locate, members_of, restorer_of_card
from diffir.baselines.baseline_table import BASELINES
from diffir.cli.eval_refusals import refuse_idle_flags, refuse_what_cannot_be_measured
from diffir.cli.eval_setup import Entrant, EvalPlan
from diffir.cli.scores import metrics_from, protocol_from
from diffir.cli.system_flags import foreign_options, given_options
from diffir.data.cards.cards import DatasetCard, find_images, load_card
from diffir.errors import UsageError
from diffir.evaluation import (
    AsGiven,
    BicubicDownscale,
    Degradation,
    GaussianNoise,
    Holes,
    JpegCompression,
    NoReference,
    RecipeDegradation,
)
from diffir.evaluation.benchmark import Benchmark
from diffir.evaluation.contestant import baseline, chain, network
from diffir.evaluation.degradation import MASK_RECIPES, LowResolution
from diffir.evaluation.prior_rows import NEED_TEACHER, PRIOR_KINDS, PriorKind
from diffir.inference.device import resolve_device
from diffir.metrics.protocol import Protocol
from diffir.metrics.table import METRICS
from diffir.near_names import meant
from diffir.public_files import cache_folder
from diffir.systems import SYSTEMS
from diffir.systems.diffir.prior_study import Teacher, load_teacher, with_prior

OLD_PREFIX = "spandrel:"  # was needed before files of other projects were recognised


def make_plan(args: argparse.Namespace) -> EvalPlan:
    """Make the plan from the flags.

    Raises:
        UsageError: a name does not exist, or flags do not fit together or fit no set.
    """
    # Check numbers and names of metrics.
    metrics = tuple(metrics_from(args)) if args.metrics else ()
    if args.limit is not None and args.limit < 1:
        raise UsageError(f"--limit must be 1 or more, got {args.limit}")
    if args.prior_samples < 1:
        raise UsageError(f"--prior_samples must be 1 or more, got {args.prior_samples}")

    # Find degradations, sets and methods.
    degradations = list(_requested_degradations(args))
    cards = [load_card(name) for name in _words(args.dataset)]
    found = [tuple(find_images(card, args.data_root)) for card in cards]
    kinds, teacher = _prior_kinds(args), _teacher(args)
    entrants: tuple[Entrant, ...] = ()
    for name in _words(args.model_name):
        entrants += (_entrant(name, args, kinds, teacher, taken=[entrant.name for entrant in entrants]),)
    scale = _common_scale(entrants)

    # Combine every set with the degradations that fit it.
    refuse_idle_flags(args, cards, degradations, entrants)
    restorers = [entrant.restorer for entrant in entrants if entrant.restorer is not None]
    present = [SYSTEMS[member.system] for restorer in restorers for member in restorer.members]
    for option in foreign_options(args, present):
        raise UsageError(f"--{option} is no option of these networks: drop it")
    benchmarks = [
        Benchmark(
            card.name,
            images[: args.limit],
            card.count or len(images),
            degradation,
            _protocol(args, card, degradation),
            is_public_set=card.count == len(images[: args.limit]),
        )
        for card, images in zip(cards, found, strict=True)
        for degradation in _degradations_for(card, degradations, args, entrants, scale, metrics)
    ]
    cache = None if args.no_cache else args.cache or cache_folder() / "eval"
    plan = EvalPlan(tuple(benchmarks), entrants, metrics, cache, str(resolve_device(args.device)))
    refuse_what_cannot_be_measured(plan, kinds, args.prior_samples)
    return plan


def _requested_degradations(args: argparse.Namespace) -> Iterator[Degradation]:
    """Yield the degradations that the flags request, in the order of the help."""
    yield from (GaussianNoise(sigma) for sigma in _numbers(args.sigma, "--sigma", "a number of 0 or more"))
    for quality in _numbers(args.quality, "--quality", "a whole number from 1 to 100"):
        if quality != int(quality):
            raise UsageError(f"--quality must be a whole number from 1 to 100, got {quality:g}")
        yield JpegCompression(int(quality), args.grey)
    yield from (RecipeDegradation(name, args.seed) for name in _words(args.recipe))
    for mask in _words(args.mask):
        if mask in MASK_RECIPES:
            yield RecipeDegradation(MASK_RECIPES[mask], args.seed)
        elif Path(mask).is_dir():
            yield Holes(mask, white_is_missing=args.mask_is_white == "missing")
        else:
            raise UsageError(f"--mask {mask} is neither a folder nor one of {', '.join(MASK_RECIPES)}")


def _degradations_for(
    card: DatasetCard,
    asked: Sequence[Degradation],
    args: argparse.Namespace,
    entrants: Sequence[Entrant],
    scale: int,
    metrics: Sequence[str],
) -> list[Degradation]:
    """Choose the degradations of one set: its own inputs, requested ones, bicubic downscaling, or none."""
    if card.input:
        return [AsGiven(scale)]
    # Requested degradations must make inputs of the methods' scale.
    fitting = [degradation for degradation in asked if degradation.scale == scale]
    if asked and not fitting:
        raise UsageError(f"{asked[0].label} makes inputs of scale {asked[0].scale}, but the methods upscale x{scale}")
    if fitting:
        return fitting
    if scale > 1:
        return [BicubicDownscale(scale, _low_resolution(args, entrants, metrics))]
    if metrics and not any(METRICS[name].needs_reference for name in metrics if name in METRICS):
        return [NoReference()]
    raise UsageError(
        f"{card.name} holds clean images: say how to degrade them, such as --sigma 25, --quality 10 or --recipe photo; "
        "--metrics niqe judges them as they are"
    )


def _low_resolution(args: argparse.Namespace, entrants: Sequence[Entrant], metrics: Sequence[str]) -> LowResolution:
    """Return ``y_float`` if every method is a baseline scored on rounded luma, else ``rgb8``, which is usual."""
    # Luma in float fits only if nothing needs colours.
    published = {BASELINES[e.name].protocol.convention for e in entrants if e.is_baseline}
    only_baselines = all(entrant.is_baseline for entrant in entrants)
    fits = only_baselines and (args.convention or min(published)) == "matlab" and args.test_y_channel is not False
    fits = fits and all(METRICS[name].sees == "protocol" for name in metrics)
    if args.lr == "y_float" and not fits:
        raise UsageError(
            "--lr y_float makes luma without colours: it is only for baselines, on Y with --convention matlab, and for "
            "metrics that do not use colours"
        )
    return args.lr or ("y_float" if fits else "rgb8")


def _protocol(args: argparse.Namespace, card: DatasetCard, degradation: Degradation) -> Protocol:
    """The protocol of the degradation's published tables, else of the card; flags override it."""
    usual = degradation.protocol or card.protocol
    if usual is None:
        usual = Protocol(crop_border=degradation.scale, test_y_channel=True) if degradation.scale > 1 else Protocol()
    return protocol_from(args, usual)


def _common_scale(entrants: Sequence[Entrant]) -> int:
    if len({entrant.scale for entrant in entrants}) > 1:
        listing = ", ".join(f"{entrant.name} x{entrant.scale}" for entrant in entrants)
        raise UsageError(f"methods of different scale cannot share a table: {listing}")
    return entrants[0].scale


def _entrant(
    name: str, args: argparse.Namespace, kinds: Sequence[PriorKind], teacher: Teacher | None, taken: Sequence[str]
) -> Entrant:
    """Make a baseline or load a network of any system; a repeated name gets the name of its file."""
    if name in BASELINES:
        method = baseline(name, None)
        return Entrant(name, lambda degradation: [baseline(name, _sigma(degradation))], method.scale, method.has_mask)
    members = members_of(name.removeprefix(OLD_PREFIX))
    try:
        paths = [locate(member) for member in members]
    except UsageError as error:
        reason = str(error).replace("--model_path takes a file", "a weights file stands in its place")
        raise UsageError(f"{reason}; baselines: {', '.join(BASELINES)}") from error
    if len(members) > 1:
        return _chain(name, members, paths, args, kinds)
    path = paths[0]
    net, card = load_network(path, restores=True, denoise_strength=_mix_for([path], args))
    own = given_options(args, SYSTEMS[card.system])
    how = {"device": args.device, "precision": args.precision, "tile": args.tile, "tta": args.tta}
    restorer = restorer_of_card(net, card, **how, **own)
    # Two networks may have the same name; the file distinguishes them.
    if restorer.name in taken:
        restorer.name = f"{restorer.name} ({path.stem})"
    base = network(restorer, path)
    rows = [with_prior(base, restorer, kind, teacher) for kind in kinds]
    return Entrant(restorer.name, lambda degradation: rows, base.scale, base.has_mask, restorer)


def _chain(
    name: str,
    members: Sequence[str | Path],
    paths: Sequence[Path],
    args: argparse.Namespace,
    kinds: Sequence[PriorKind],
) -> Entrant:
    """Load networks that restore one after the other."""
    if list(kinds) != ["diffusion"] or args.prior_samples > 1:
        raise UsageError(f"{name} is a chain, which has no single prior: leave out --prior and --prior_samples")
    own = given_options(args, *(SYSTEMS[card_of_source(member).system] for member in members))
    how = {"device": args.device, "precision": args.precision, "tile": args.tile, "tta": args.tta}
    restorer = load(name, **how, denoise_strength=_mix_for(members, args), **own)
    method = chain(restorer, paths)
    return Entrant(method.name, lambda degradation: [method], method.scale, method.has_mask, restorer)


def _mix_for(members: Sequence[str | Path], args: argparse.Namespace) -> float | None:
    """The strength of denoising that was asked for, if one of these networks has a weaker twin."""
    asked: float | None = args.denoise_strength
    if asked is None or all(card_of_source(member).denoise_strength is None for member in members):
        return None
    return asked


def _sigma(degradation: Degradation) -> float | None:
    return degradation.sigma if isinstance(degradation, GaussianNoise) else None


def _prior_kinds(args: argparse.Namespace) -> list[PriorKind]:
    """Kinds of prior that were requested; ``all`` leaves out those that need stage 1 if it is not given."""
    if args.prior == "all":
        return [kind for kind in PRIOR_KINDS if args.stage1 or kind not in NEED_TEACHER]
    by_name = {kind.replace("-", "_"): kind for kind in PRIOR_KINDS}
    asked = [word.replace("-", "_") for word in _words(args.prior)]
    for word in asked:
        if word not in by_name:
            raise UsageError(f"unknown --prior {word!r}; {meant(word, [*PRIOR_KINDS, 'all'])}")
    return [by_name[word] for word in asked]


def _teacher(args: argparse.Namespace) -> Teacher | None:
    if args.stage1 is None:
        return None
    return Teacher(load_teacher(args.stage1), args.stage1)


def _words(text: str | None) -> list[str]:
    return [word for word in map(str.strip, text.split(",")) if word] if text else []


def _numbers(text: str | None, flag: str, what: str) -> Iterator[float]:
    for word in _words(text):
        try:
            number = float(word)
        except ValueError:
            number = math.nan
        if not 0 <= number < math.inf:
            raise UsageError(f"{flag} must be {what}, got {word}")
        yield number
