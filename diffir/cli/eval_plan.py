"""What the flags of ``diffir eval`` mean: which sets under which conditions, by which protocol, and who takes part.

In: parsed flags. Out: a ``Plan``. All that cannot be measured is refused here, before the first image. Imported by the
command only when it runs, so heavy packages stand at the top.
"""

import argparse
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from diffir.baselines.foreign import load_foreign
from diffir.baselines.table import BASELINES
from diffir.cli.scores import metrics_from, protocol_from
from diffir.data.cards import DatasetCard, find_images, load_card
from diffir.errors import UsageError
from diffir.evaluation import (
    AsGiven,
    BicubicDownscale,
    Condition,
    GaussianNoise,
    Holes,
    JpegCompression,
    NoReference,
    RecipeDamage,
)
from diffir.evaluation.benchmark import Benchmark
from diffir.evaluation.conditions import MASK_RECIPES, LowResolution
from diffir.evaluation.contestant import Contestant, baseline, foreign, network
from diffir.evaluation.priors import NEED_TEACHER, PRIOR_KINDS, PriorKind, Teacher, reseeded, with_prior
from diffir.inference.device import resolve_device
from diffir.inference.restorer import Restorer, load
from diffir.metrics.protocol import Protocol
from diffir.metrics.table import METRICS
from diffir.near_names import meant
from diffir.public_files import cache_folder
from diffir.weights.load import load_network, locate

FOREIGN = "spandrel:"
HOLE_METRICS = ("psnr", "ssim", "lpips", "psnr_hole", "ssim_hole")
USUAL_METRICS = ("psnr", "ssim")


@dataclass(frozen=True)
class Entrant:
    """One name behind ``-n``."""

    name: str
    at: Callable[[Condition], list[Contestant]]
    """What it is under a condition: a baseline may be told sigma, a network stands there once for each prior."""
    scale: int
    has_mask: bool
    restorer: Restorer | None = None

    @property
    def is_baseline(self) -> bool:
        return self.name in BASELINES


@dataclass(frozen=True)
class Plan:
    """All that will be measured."""

    benchmarks: tuple[Benchmark, ...]
    entrants: tuple[Entrant, ...]
    metrics: tuple[str, ...]
    """Empty: what is usual for each condition."""
    cache: Path | None
    device: str

    def contestants(self, condition: Condition) -> list[Contestant]:
        """The rows of a table."""
        return [contestant for entrant in self.entrants for contestant in entrant.at(condition)]

    def metrics_for(self, benchmark: Benchmark) -> tuple[str, ...]:
        """Those asked for, else the usual ones."""
        if self.metrics:
            return self.metrics
        if isinstance(benchmark.condition, NoReference):
            return ("niqe",)
        return HOLE_METRICS if _cuts_holes(benchmark.condition) else USUAL_METRICS

    def restorers_of_noises(self, noises: int) -> dict[str, list[Restorer]]:
        """Name of each network -> itself with ``noises`` seeds; empty where one is enough."""
        networks = [entrant.restorer for entrant in self.entrants if entrant.restorer is not None]
        if noises < 2:
            return {}
        return {one.name: [reseeded(one, one.seed + number) for number in range(noises)] for one in networks}


def make_plan(args: argparse.Namespace) -> Plan:
    """Read the flags.

    Raises:
        UsageError: names that do not exist, flags that do not fit together or fit no set.
    """
    metrics = tuple(metrics_from(args)) if args.metrics else ()
    if args.limit is not None and args.limit < 1:
        raise UsageError(f"--limit must be 1 or more, got {args.limit}")
    if args.prior_samples < 1:
        raise UsageError(f"--prior_samples must be 1 or more, got {args.prior_samples}")
    conditions = list(_asked_conditions(args))
    cards = [load_card(name) for name in args.dataset.split(",")]
    files = [tuple(find_images(card, args.data_root)[: args.limit]) for card in cards]
    kinds, teacher = _prior_kinds(args), _teacher(args)
    entrants = tuple(_entrant(name, args, kinds, teacher) for name in args.model_name.split(","))
    if (args.prior_samples > 1 or args.prior != "diffusion") and not any(entrant.restorer for entrant in entrants):
        raise UsageError("--prior and --prior_samples are for DiffIR networks: name one with -n")
    scale = _common_scale(entrants)
    _refuse_idle_flags(args, cards, conditions, scale)
    benchmarks = [
        Benchmark(card.name, images, card.count, condition, _protocol(args, card, condition))
        for card, images in zip(cards, files, strict=True)
        for condition in _conditions_for(card, conditions, args, entrants, scale, metrics)
    ]
    cache = None if args.no_cache else args.cache or cache_folder() / "eval"
    return Plan(tuple(benchmarks), entrants, metrics, cache, str(resolve_device(args.device)))


def _asked_conditions(args: argparse.Namespace) -> Iterator[Condition]:
    """Those of the flags, in the order of the help."""
    yield from (GaussianNoise(sigma) for sigma in _numbers(args.sigma, "--sigma", "a number of 0 or more"))
    for quality in _numbers(args.quality, "--quality", "a whole number from 1 to 100"):
        if quality != int(quality):
            raise UsageError(f"--quality must be a whole number from 1 to 100, got {quality:g}")
        yield JpegCompression(int(quality), args.grey)
    yield from (RecipeDamage(name, args.seed) for name in _words(args.recipe))
    for mask in _words(args.mask):
        if mask in MASK_RECIPES:
            yield RecipeDamage(MASK_RECIPES[mask], args.seed)
        elif Path(mask).is_dir():
            yield Holes(mask, white_is_missing=args.mask_is_white == "missing")
        else:
            raise UsageError(f"--mask {mask} is neither a folder nor one of {', '.join(MASK_RECIPES)}")


def _conditions_for(
    card: DatasetCard,
    asked: Sequence[Condition],
    args: argparse.Namespace,
    entrants: Sequence[Entrant],
    scale: int,
    metrics: Sequence[str],
) -> list[Condition]:
    """What makes the inputs of one set."""
    if card.input:
        return [AsGiven(scale)]
    fitting = [condition for condition in asked if condition.scale == scale]
    if asked and not fitting:
        raise UsageError(f"{asked[0].label} makes inputs of scale {asked[0].scale}, but the methods enlarge x{scale}")
    if fitting:
        return fitting
    if scale > 1:
        return [BicubicDownscale(scale, _low_resolution(args, entrants))]
    if metrics and not any(METRICS[name].needs_reference for name in metrics if name in METRICS):
        return [NoReference()]
    raise UsageError(
        f"{card.name} holds clean images: say how to degrade them, such as --sigma 25, --quality 10 or --recipe photo; "
        "--metrics niqe judges them as they are"
    )


def _low_resolution(args: argparse.Namespace, entrants: Sequence[Entrant]) -> LowResolution:
    """``y_float`` where every method is a baseline scored on rounded luma; elsewhere the 8-bit RGB of the field."""
    published = {BASELINES[e.name].protocol.convention for e in entrants if e.is_baseline}
    only_baselines = all(entrant.is_baseline for entrant in entrants)
    fits = only_baselines and (args.convention or min(published)) == "matlab" and args.test_y_channel is not False
    if args.lr == "y_float" and not fits:
        raise UsageError("--lr y_float is rounded luma alone: only for baselines, on Y with --convention matlab")
    return args.lr or ("y_float" if fits else "rgb8")


def _protocol(args: argparse.Namespace, card: DatasetCard, condition: Condition) -> Protocol:
    """Of the condition's published tables, else of the card; flags are laid over it."""
    usual = condition.protocol or card.protocol
    if usual is None:
        usual = Protocol(crop_border=condition.scale, test_y_channel=True) if condition.scale > 1 else Protocol()
    return protocol_from(args, usual)


def _refuse_idle_flags(
    args: argparse.Namespace, cards: Sequence[DatasetCard], conditions: Sequence[Condition], scale: int
) -> None:
    """A flag that would change nothing was meant to change something."""
    clean = [card for card in cards if not card.input]
    if conditions and not clean:
        raise UsageError(f"{conditions[0].label} makes inputs, but {cards[0].name} has its own inputs")
    if args.lr and (scale == 1 or not clean or conditions):
        raise UsageError("--lr is for methods that enlarge, on a set of clean images")
    if args.grey and not args.quality:
        raise UsageError("--grey goes with --quality")


def _common_scale(entrants: Sequence[Entrant]) -> int:
    if len({entrant.scale for entrant in entrants}) > 1:
        listing = ", ".join(f"{entrant.name} x{entrant.scale}" for entrant in entrants)
        raise UsageError(f"methods of different scale cannot share a table: {listing}")
    return entrants[0].scale


def _entrant(name: str, args: argparse.Namespace, kinds: Sequence[PriorKind], teacher: Teacher | None) -> Entrant:
    """A baseline, a network of others, or a DiffIR network."""
    if name in BASELINES:
        method = baseline(name, None)
        return Entrant(name, lambda condition: [baseline(name, _sigma(condition))], method.scale, method.has_mask)
    if name.startswith(FOREIGN):
        path = Path(name.removeprefix(FOREIGN))
        one = foreign(load_foreign(path, device=resolve_device(args.device)), path)
        return Entrant(name, lambda condition: [one], one.scale, one.has_mask)
    try:
        path = locate(name)
    except UsageError as error:
        raise UsageError(f"{error}; baselines: {', '.join(BASELINES)}; {FOREIGN}FILE for other networks") from error
    restorer = load(path, device=args.device, precision=args.precision, tile=args.tile, stats=args.stats, tta=args.tta)
    base = network(restorer, path)
    rows = [with_prior(base, restorer, kind, teacher) for kind in kinds]
    return Entrant(restorer.name, lambda condition: rows, base.scale, base.has_mask, restorer)


def _sigma(condition: Condition) -> float | None:
    return condition.sigma if isinstance(condition, GaussianNoise) else None


def _prior_kinds(args: argparse.Namespace) -> list[PriorKind]:
    """Those asked for; ``all`` leaves out what needs stage 1 where it is not given."""
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
    return Teacher(load_network(args.stage1, stage=1)[0], args.stage1)


def _cuts_holes(condition: Condition) -> bool:
    return isinstance(condition, Holes) or (isinstance(condition, RecipeDamage) and condition.cuts_holes)


def _words(text: str | None) -> list[str]:
    return text.split(",") if text else []


def _numbers(text: str | None, flag: str, what: str) -> Iterator[float]:
    for word in _words(text):
        try:
            number = float(word)
        except ValueError:
            number = math.nan
        if not 0 <= number < math.inf:
            raise UsageError(f"{flag} must be {what}, got {word}")
        yield number
