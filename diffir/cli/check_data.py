"""``diffir check-data SET``: read a whole dataset once and report what would spoil a training or a score.

SET is a card, a folder (an LMDB, a shard) or an option file, whose training photos are also compared with its
validation photos. The exit code is 1 if there are faults, and 0 if there are only remarks.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from diffir.cli.terminal import progress_bar, say
from diffir.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from diffir.data.checking.findings import Finding
    from diffir.data.checking.parts import NamedParts
    from diffir.data.checking.survey import Part, Survey

SHOWN = 5  # largest number of images listed under a finding; --json lists all
NEAR = 8  # of 64 bits; different photos differ in at least 14, one photo at another size or JPEG quality in 0 to 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``diffir check-data``."""
    parser.add_argument("set", metavar="SET", help="a card, a folder of clean photos, or an option file (.yml)")
    parser.add_argument("--lq", metavar="FOLDER", help="folder of the degraded partners of the photos")
    parser.add_argument("--filename_tmpl", default="{}", help="names of the partners, such as {}x4")
    parser.add_argument("-r", "--recursive", action="store_true", help="also search the folders below a folder")
    parser.add_argument(
        "--data_root", type=Path, help="folder of the sets of cards; default: $DIFFIR_DATA, else datasets/"
    )
    parser.add_argument("--against", metavar="SET", help="a card or a folder; none of its images may be in SET")
    parser.add_argument(
        "--near",
        type=int,
        default=NEAR,
        help=f"images look alike if their hashes differ in so many of 64 bits or fewer; default {NEAR}",
    )
    parser.add_argument(
        "--threads", type=int, default=min(os.cpu_count() or 1, 8), help="number of threads that read files"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all findings with all image names")


def run(args: argparse.Namespace) -> int:
    """Survey the set, print the findings, and return the exit code."""
    from diffir.cli.scores import check_target, write_json
    from diffir.data.checking.findings import against_card, findings_of, leaks, scale_mismatch

    if not 0 <= args.near <= 64 or args.threads < 1:
        raise UsageError(f"--near must be from 0 to 64 and --threads at least 1, got {args.near} and {args.threads}")
    check_target(args.json, "--json")

    # Read all images.
    named = _NamedSets(args)
    surveys = [_survey(part, args.threads) for part in named.own.parts]
    held_out = [_survey(part, args.threads) for part in named.held_out.parts] if named.held_out else []

    # Collect the findings.
    findings = [*named.own.findings, *(named.held_out.findings if named.held_out else ())]
    for surveyed in [*surveys, *held_out]:
        findings += findings_of(surveyed, near=args.near)
        if named.scale is not None:
            findings += scale_mismatch(surveyed, named.scale)
    if named.card is not None:
        findings += against_card(surveys[0], named.card)
    if held_out:
        findings += leaks(surveys[0], held_out[0], near=args.near)

    # Print the report and write the JSON file.
    faults = _print_report([*surveys, *held_out], findings)
    if args.json:
        parts = {s.part.title: {"images": len(s.entries), "sizes": _sizes(s)} for s in [*surveys, *held_out]}
        listing = [{**vars(finding), "names": list(finding.names)} for finding in findings]
        write_json(args.json, {"set": args.set, "parts": parts, "faults": faults, "findings": listing})
    return 1 if faults else 0


class _NamedSets:
    """The sets that the command line names: ``own`` is checked and must hold no image of ``held_out``."""

    def __init__(self, args: argparse.Namespace) -> None:
        from diffir.api import load_config
        from diffir.data.cards.cards import load_card
        from diffir.data.checking.parts import parts_of_card, parts_of_options
        from diffir.systems import SYSTEMS

        self.card, self.scale = None, None
        self.held_out: NamedParts | None = None
        _refuse_idle_flags(args)
        if _is_option_file(args.set):
            config = load_config(Path(args.set))
            system = SYSTEMS[config.system]
            self.own, self.held_out = parts_of_options(config)
            self.scale = system.row(config.network_g).facts.scale
        elif _is_place(args.set):
            self.own = _place(args.set, args)
        else:
            self.card = load_card(args.set)
            self.own = parts_of_card(self.card, args.data_root)
        if args.against:
            is_place = _is_place(args.against)
            self.held_out = (
                _place(args.against, args, lq=False)
                if is_place
                else parts_of_card(load_card(args.against), args.data_root)
            )


def _refuse_idle_flags(args: argparse.Namespace) -> None:
    """Refuse flags that would have no effect on the named set."""
    if (args.lq or args.recursive or args.filename_tmpl != "{}") and not _is_place(args.set):
        raise UsageError(f"--lq, --filename_tmpl and --recursive are for a folder; {args.set} defines its files itself")
    if args.filename_tmpl != "{}" and not args.lq:
        raise UsageError("--filename_tmpl names the partners in --lq FOLDER: give --lq as well")
    if args.against and _is_option_file(args.set):
        raise UsageError("--against is for a card or a folder; an option file names its validation photos")


def _is_option_file(name: str) -> bool:
    """True for a YAML file with a section of datasets, which a card does not have."""
    from diffir.shipped_files import option_file
    from diffir.yaml_file import read_yaml

    path = option_file(name)
    if path.suffix.lower() not in (".yml", ".yaml") or not path.is_file():
        return False
    values = read_yaml(path)
    return isinstance(values, dict) and "datasets" in values


def _is_place(name: str) -> bool:
    """True for a folder, an LMDB or a shard; a card takes precedence over a folder of the same name."""
    from diffir.data.cards.cards import CARDS

    is_card = Path(name).name == name and (CARDS / f"{name.lower()}.yml").is_file()
    return not is_card and (Path(name).is_dir() or Path(name).suffix == ".tar")


def _place(name: str, args: argparse.Namespace, *, lq: bool = True) -> NamedParts:
    from diffir.config import PhotosConfig
    from diffir.data.checking.parts import parts_of_section

    section = PhotosConfig(
        name, recursive=args.recursive, dataroot_lq=args.lq if lq else None, filename_tmpl=args.filename_tmpl
    )
    return parts_of_section(name, section, by_option=False)


def _survey(part: Part, threads: int) -> Survey:
    from diffir.data.checking.survey import Survey, survey

    entries = progress_bar(part.title, len(part.pairs), iterable=survey(part, threads), unit="image")
    return Survey(part, list(entries))


def _print_report(surveys: Sequence[Survey], findings: Sequence[Finding]) -> int:
    """Print one paragraph per part and the number of faults, which is returned."""
    from diffir.data.photo_names import counted

    for surveyed in surveys:
        title = surveyed.part.title
        say(f"{title}: {_numbers(surveyed)}, {_sizes(surveyed)}")
        for finding in (finding for finding in findings if finding.part == title):
            say(f"  {'FAULT' if finding.is_fault else 'remark'}: {finding.text}")
            for name in finding.names[:SHOWN]:
                say(f"    {name}")
            if len(finding.names) > SHOWN:
                say(f"    and {len(finding.names) - SHOWN} more (--json FILE names all)")
    faults = sum(finding.is_fault for finding in findings)
    say(counted(faults, "fault") if faults else "no fault found")
    return faults


def _numbers(surveyed: Survey) -> str:
    from diffir.data.photo_names import counted

    if surveyed.part.degraded is None:
        return counted(len(surveyed.entries), "image")
    pairs = sum(entry.degraded_name is not None for entry in surveyed.entries)
    alone = len(surveyed.entries) - pairs
    return counted(pairs, "pair") + (f" and {counted(alone, 'clean image')} without a partner" if alone else "")


def _sizes(surveyed: Survey) -> str:
    """Smallest, largest and median side, and median number of pixels of the clean images."""
    images = list(surveyed.clean_images().values())
    if not images:
        return "none readable"
    sides = [side for facts in images for side in (facts.width, facts.height)]
    megapixels = median(facts.width * facts.height for facts in images) / 1e6
    return f"sides {min(sides)} to {max(sides)}, median {median(sides):g} pixels, {megapixels:.2f} megapixels"
