"""``-n auto``: choose a network for each photo, and group the photos so that each network is loaded once.

In: the jobs of a run. Out: groups of jobs, each with what ``diffir.load`` takes, and for each photo why. Photos in
which nothing seems wrong form a group without a network. The choice is that of ``diffir suggest``.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from diffir.cli.suggest import findings_text, shipped_names
from diffir.cli.system_flags import foreign_options
from diffir.cli.terminal import progress_bar
from diffir.errors import UsageError

if TYPE_CHECKING:
    from diffir.batch.jobs import Job
    from diffir.diagnosis import Diagnosis

AUTO = "auto"
_ONE_NETWORK = ("mask", "mask_grow", "prior", "save_prior", "share_prior", "uncertainty")
"""Flags for networks that are known beforehand."""


@dataclass(frozen=True)
class Group:
    """Jobs that one network or one chain restores."""

    source: str | Path | None
    """What ``diffir.load`` takes; "" for photos that are left as they are."""
    jobs: list[Job]
    reasons: dict[Path, str] = field(default_factory=dict)
    """Why the network was chosen, by the source of the job; empty if the user named it."""


def choose_groups(args: argparse.Namespace, jobs: Sequence[Job]) -> list[Group]:
    """Look at every photo and group the jobs by network, in the order in which the networks are first needed.

    Raises:
        UsageError: a flag is for a network that is known beforehand, or a job is a video.
    """
    from diffir.diagnosis.suggestions import suggest

    _refuse(args, jobs)
    available = shipped_names()
    enlarges = args.enlarges or (args.outscale or 0) > 1
    groups: dict[str, Group] = {}
    with progress_bar("looking at photos", len(jobs), disable=True if args.quiet or args.json else None) as bar:
        for planned in jobs:
            job, diagnosis = _looked_at(planned, args)
            name, reason = "", ""
            if diagnosis is not None:
                suggestion = suggest(diagnosis, available, enlarges=enlarges)[0]
                name, reason = suggestion.name, findings_text(diagnosis)
                reason += ", and no network that ships helps" if diagnosis.findings and not name else ""
            group = groups.setdefault(name, Group(name, []))
            group.jobs.append(job)
            if reason:
                group.reasons[job.source] = reason
            bar.update()
    return list(groups.values()) or [Group("", [])]


def _looked_at(job: Job, args: argparse.Namespace) -> tuple[Job, Diagnosis | None]:
    """A job with the diagnosis of its photo; None for one that will be skipped or that fails, which the run reports."""
    from diffir.batch.events import Event
    from diffir.batch.jobs import is_complete
    from diffir.batch.look import look_at
    from diffir.image_io import MAX_PIXELS

    if job.refusal or (args.skip_existing and is_complete(job, job.target)):
        return job, None
    try:
        return job, look_at(job.source, max_pixels=args.max_pixels or MAX_PIXELS)[0]
    except Exception as error:  # noqa: BLE001 - it is reported, and the other files go on
        return replace(job, refusal=Event.failure(job, error).error), None


def _refuse(args: argparse.Namespace, jobs: Sequence[Job]) -> None:
    from diffir.diagnosis.suggestions import named_networks
    from diffir.systems import SYSTEMS
    from diffir.weights.catalogue import catalogue

    for flag in _ONE_NETWORK:
        if getattr(args, flag):
            raise UsageError(f"--{flag} needs a network that you name: -n auto chooses one for each photo")
    if args.denoise_strength is not None:
        raise UsageError(
            "-dn needs a network that you name: --strength blends the result of any network with the input"
        )
    if args.samples > 1:
        raise UsageError("--samples needs a network that you name: -n auto chooses one for each photo")
    video = next((job.source for job in jobs if job.is_video), None)
    if video is not None:
        raise UsageError(f"-n auto looks at photos, and {video} is a video: name a network, such as -n photo")
    entries = [entry for entry in catalogue(SYSTEMS).values() if entry.name in named_networks() and entry.card]
    systems = [SYSTEMS[entry.card.system] for entry in entries if entry.card is not None]
    for option in foreign_options(args, systems):
        raise UsageError(f"--{option} is no option of the networks that -n auto chooses from: drop it")
