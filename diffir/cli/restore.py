"""``diffir restore``: restore photos, animations and videos.

This module turns the flags into arguments of the library. The first line of the output names network
and device, then each file has a line, and the last line is a summary; ``--json`` prints the same for programs. Exit
code 0: all restored or skipped; 1: some files failed; 2: wrong usage; 130: interrupted.
"""

from __future__ import annotations

import argparse
import logging
import re
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffir.cli.restore_auto import AUTO, Group, choose_groups
from diffir.cli.restore_flags import DEFAULT_OUTPUT
from diffir.cli.restore_flags import add_arguments as add_arguments
from diffir.cli.restore_report import JsonReport, Report, Tally, TextReport
from diffir.cli.standard_streams import STREAM, StreamReport, stream_files
from diffir.cli.system_flags import foreign_options, given_options
from diffir.errors import UsageError, WeightsError

if TYPE_CHECKING:
    from torch import Tensor

    from diffir.batch.claims import Claims
    from diffir.batch.events import Event, Settings
    from diffir.inference.restorer import Restorer
    from diffir.weights.card import WeightsCard


def run(args: argparse.Namespace) -> int:
    """Restore all inputs, which may be standard input, and report."""
    if args.verbose:
        logging.getLogger("diffir").setLevel(logging.DEBUG)
    report: Report = JsonReport() if args.json else TextReport(args.quiet, args.verbose)
    inputs = [*args.inputs, *args.input]
    output = args.output or (STREAM if STREAM in inputs else DEFAULT_OUTPUT)
    if STREAM not in (*inputs, output):
        return _run(args, inputs, output, report)
    with stream_files(inputs, output, prints_json=args.json) as files:
        return _run(args, files.inputs, files.output, StreamReport(report, files), writes_one=files.writes_one)


def _run(
    args: argparse.Namespace, inputs: Sequence[str], output: str, report: Report, *, writes_one: bool = False
) -> int:
    """Check the arguments, restore all inputs, and report."""
    from diffir.batch.claims import Claims
    from diffir.batch.jobs import plan_jobs
    from diffir.batch.own_mask import own_mask_kind

    if args.prior_mix and not args.prior:
        raise UsageError("--prior_mix needs --prior: it gives the weights of its files")
    if args.mask_grow and args.mask is None:
        raise UsageError("--mask_grow needs --mask: it widens the mask")
    _check_samples(args, writes_one=writes_one)

    # Plan which input becomes which file.
    jobs = plan_jobs(
        inputs,
        output,
        suffix=args.suffix,
        ext=args.ext,
        recursive=args.recursive,
        mask=None if own_mask_kind(args.mask) else args.mask,
        save_prior=args.save_prior,
        skip_existing=args.skip_existing,
        protected_paths=[path for path in (*(args.prior or ()), args.model_path) if path is not None],
        samples=args.samples,
        uncertainty=args.uncertainty,
    )
    if args.shard is not None:
        part, parts = args.shard
        jobs = jobs[part - 1 :: parts]
    if writes_one and len(jobs) != 1:
        raise UsageError(f"-o - writes one photo to standard output, and the input is {len(jobs)} files")
    video = next((job.source for job in jobs if job.is_video), None)
    if args.strip_metadata and video is not None:
        raise UsageError(f"--strip_metadata is for photos, and {video} is a video")
    if args.outscale and video is not None:
        raise UsageError(f"-s is for photos, and {video} is a video, whose size the network decides")

    # Name the network, or let each photo have its own; then restore, and report on the terminal or as JSON.
    claims = Claims(jobs)
    groups = [Group(args.model_path or args.model_name, jobs)]
    if args.model_name != AUTO and AUTO in re.split(r"[,+]", args.model_name or ""):
        raise UsageError(f"-n {args.model_name}: auto chooses a network for each photo and cannot be part of a chain")
    if args.model_name == AUTO:
        groups = choose_groups(args, jobs)
    return _tell(args, groups, report) if args.dry_run else _restore_all(args, groups, claims, report)


def _prepared(args: argparse.Namespace, group: Group) -> tuple[list[Restorer], Settings]:
    """Load the network of a group once per device, and check that it suits the flags."""
    from diffir.inference.samples import seeds_of

    if group.source == "":
        from diffir.inference.options import RestoreOptions
        from diffir.photo_restorer import Chain

        return [Chain([], name="none", options=RestoreOptions(seed=args.seed))], settings_of(args, None)
    restorers = _load(args, group.source)
    restorer = restorers[0]
    if restorer.has_mask != (args.mask is not None):
        needs = "fills holes and needs --mask" if restorer.has_mask else "takes no --mask"
        raise UsageError(f"{restorer.name} {needs}")
    _refuse_missing_priors(args, restorer)
    seeds_of(restorer, args.samples)
    return restorers, settings_of(args, _given_prior(args, restorer))


def _check_samples(args: argparse.Namespace, *, writes_one: bool) -> None:
    """Refuse options for several results that make no sense in this call."""
    if args.uncertainty and args.samples == 1:
        raise UsageError("--uncertainty needs --samples: how many results to compare, such as --samples 8")
    if args.samples == 1:
        return
    if writes_one:
        raise UsageError("-o - writes one photo, and --samples makes several files: name a folder with -o")
    if args.prior is not None:
        raise UsageError("--samples needs results that differ, and --prior makes them equal: drop one of them")
    if args.strength == 0:
        raise UsageError("--samples needs results that differ, and --strength 0 returns the input: drop one of them")
    if args.uncertainty and args.save_prior is not None:
        raise UsageError("--save_prior saves the prior of one result, and --uncertainty takes the mean: drop one")


def _load(args: argparse.Namespace, source: str | Path | None) -> list[Restorer]:
    """A restorer for each device; it is a chain if several networks are named."""
    from diffir.api import card_of_source, load, members_of

    devices = [args.device] if args.gpu_id is None else [f"cuda:{number}" for number in args.gpu_id]
    try:
        options = load_options(args, [card_of_source(member) for member in members_of(source)])
        return [load(source, device=device, mask_grow=args.mask_grow, **options) for device in devices]
    except WeightsError as error:  # the file that a flag names is at fault
        raise UsageError(str(error)) from error


def load_options(args: argparse.Namespace, cards: Sequence[WeightsCard]) -> dict[str, Any]:
    """The keyword arguments of ``diffir.load`` for networks with these cards, without device and mask.

    ``-dn`` means ``--strength`` where no network has a weaker twin.

    Raises:
        UsageError: an option was given that none of these networks has.
    """
    from diffir.systems import SYSTEMS

    systems = [SYSTEMS[card.system] for card in cards]
    strength, denoise_strength = args.strength, args.denoise_strength
    if denoise_strength is not None and all(card.denoise_strength is None for card in cards):
        if strength != 1:
            raise UsageError(f"-dn is --strength for {cards[0].name}, and both are given: drop one of them")
        strength, denoise_strength = denoise_strength, None
    if args.model_name != AUTO:  # which has checked them against all networks that it chooses from
        names = " and ".join(dict.fromkeys(system.name for system in systems))
        for option in foreign_options(args, systems):
            raise UsageError(f"--{option} is no option of {names} networks: drop it")
    return {
        "precision": args.precision,
        "tile": args.tile,
        "tile_overlap": args.tile_overlap,
        "tta": args.tta,
        "strength": strength,
        "seed": args.seed,
        "seamless": args.seamless,
        **({} if denoise_strength is None else {"denoise_strength": denoise_strength}),
        **given_options(args, *systems),
    }


def _refuse_missing_priors(args: argparse.Namespace, restorer: Restorer) -> None:
    is_chain = len(restorer.members) > 1
    if not is_chain and restorer.members[0].engine.has_prior:
        return
    lack = (
        "needs one network, and {} is a chain, which has no single prior"
        if is_chain
        else "is for networks with a prior, and {} has none"
    )
    for flag in ("prior", "save_prior", "share_prior"):
        if getattr(args, flag):
            raise UsageError(f"--{flag} {lack.format(restorer.name)}")


def _given_prior(args: argparse.Namespace, restorer: Restorer) -> Tensor | None:
    if args.prior is None:
        return None
    from diffir.inference.prior_file import load_priors_of

    return load_priors_of(restorer.name, args.prior, args.prior_mix)


def settings_of(args: argparse.Namespace, prior: Tensor | None) -> Settings:
    """The settings of a batch; ``prior`` (1, P) is used for all photos, or None."""
    from diffir.batch.events import AUTO_BATCH, Settings
    from diffir.batch.own_mask import own_mask_kind
    from diffir.image_io import MAX_PIXELS

    return Settings(
        quality=args.quality,
        max_pixels=args.max_pixels or MAX_PIXELS,
        strip_metadata=args.strip_metadata,
        skip_existing=args.skip_existing,
        batch_size=args.batch_size or AUTO_BATCH,
        outscale=args.outscale,
        mask_from=own_mask_kind(args.mask),
        share_prior=args.share_prior,
        prior=prior,
    )


def _tell(args: argparse.Namespace, groups: Sequence[Group], report: Report) -> int:
    """Report what would be done; several devices share the predicted time."""
    from diffir.batch.dry_run import dry_run

    tally = Tally(sum(len(group.jobs) for group in groups), is_prediction=True)
    for group in groups:
        restorers, settings = _prepared(args, group)
        report.start(restorers, len(group.jobs))
        for event in dry_run(restorers[0], group.jobs, settings):
            tally.count(event)
            tally.seconds += event.seconds / len(restorers)
            report.event(_explained(event, group))
    report.finish(tally)
    return 1 if tally.failed else 0


def _restore_all(args: argparse.Namespace, groups: Sequence[Group], claims: Claims, report: Report) -> int:
    """Restore the groups one after the other; ``claims`` were made before the photos were looked at."""
    from diffir.batch.batch import run_jobs
    from diffir.batch.events import Stop
    from diffir.cli.interrupts import EXIT_INTERRUPTED, stopping_on_signals

    # A signal requests a stop; the file in progress is finished.
    prepared = _prepared(args, groups[0])
    stop, tally, start = Stop(), Tally(sum(len(group.jobs) for group in groups)), time.perf_counter()
    with stopping_on_signals(stop):
        for number, group in enumerate(groups):
            if stop.is_requested:
                break
            restorers, settings = prepared if number == 0 else _prepared(args, group)
            report.start(restorers, len(group.jobs))
            events = run_jobs(
                restorers,
                group.jobs,
                settings,
                on_progress=lambda job, share: report.progress(job.source, share),
                stop=stop,
                claims=claims,
            )
            with closing(events):
                for event in events:
                    tally.count(event)
                    report.event(_explained(event, group))
        tally.seconds, tally.is_interrupted = time.perf_counter() - start, stop.is_requested
        report.finish(tally)
    if stop.is_requested:
        return EXIT_INTERRUPTED
    return 1 if tally.failed else 0


def _explained(event: Event, group: Group) -> Event:
    """The event with the network that was chosen for its photo, and why."""
    why = group.reasons.get(event.job.source, "")
    return replace(event, network=str(group.source or ""), why=why) if why else event
