"""``diffir suggest``: say what seems wrong with photos, with figures, and which networks should help.

This module turns the flags into calls of ``diffir.diagnosis``. Each photo has a line with the findings and a line for
each suggestion; ``--json`` prints an object for each photo, with all figures. Exit code 0: all were read; 1: some could
not be; 2: wrong usage.
"""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffir.cli.parser import Parser
from diffir.cli.terminal import complain, say
from diffir.errors import DiffIRError, UsageError

if TYPE_CHECKING:
    from diffir.diagnosis import Diagnosis, Suggestion

_SMALL = 500_000  # pixels below which enlarging is suggested, too; a matter of taste
_SHOWN = 3  # largest number of suggestions of each kind that are printed
_MOST_DRAWN = 12  # photos on a sheet
_EPILOG = """\
The thresholds are set so that undamaged photos are rarely called damaged, so slight damage is not seen. Rain,
scratches, holes and colour casts are not looked for. docs/which-network.md says how often each damage is recognised.

diffir restore -n auto restores each photo with the first network suggested for its size, and diffir upscale -n auto
with the first one that enlarges it.
"""


def add_arguments(parser: Parser) -> None:
    """Add the flags of ``diffir suggest``."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.usage = "diffir suggest PHOTO ... [flags]"
    parser.epilog = _EPILOG
    parser.set_defaults(positional="inputs")
    parser.add_argument("inputs", nargs="*", metavar="PHOTO", help="photos, folders, or patterns")
    parser.add_argument("-r", "--recursive", action="store_true", help="include subfolders")
    parser.add_argument("--json", action="store_true", help="print a JSON object for each photo, with all figures")
    parser.add_argument(
        "--preview",
        type=Path,
        metavar="SHEET",
        help=f"draw a part of each photo, before and after each network, into one picture (up to {_MOST_DRAWN} photos)",
    )
    parser.add_argument(
        "--device", default="auto", metavar="NAME", help="for --preview: auto, cpu, cuda, cuda:N or mps"
    )


def run(args: argparse.Namespace) -> int:
    """Look at all photos, print what was found, and draw the sheet."""
    from diffir.batch.look import look_at

    # Find the photos, and the networks that there are.
    found = _files(args)
    available = shipped_names()

    # Look at each photo; one that cannot be read is reported, and the others go on.
    rows, failed = [], 0
    for file in found:
        try:
            diagnosis, pixels = look_at(file)
        except UsageError:
            raise
        except DiffIRError as error:
            failed += 1
            _report_failure(file, error, as_json=args.json)
            continue
        suggestions = suggestions_for(diagnosis, available)
        _report(file, diagnosis, suggestions, as_json=args.json)
        if args.preview is not None:
            from diffir.cli.suggest_preview import preview_row  # with torch, which a diagnosis does not need

            rows.append(preview_row(file, pixels, diagnosis, suggestions, args.device))
    if rows:
        from diffir.cli.suggest_preview import draw_sheet

        draw_sheet(args.preview, rows)
        if not args.json:
            say(f"preview {args.preview}")
    return 1 if failed else 0


def shipped_names() -> set[str]:
    """The names of all networks that ship."""
    from diffir.systems import SYSTEMS
    from diffir.weights.catalogue import catalogue

    return {entry.name for entry in catalogue(SYSTEMS).values() if entry.shipped}


def suggestions_for(diagnosis: Diagnosis, available: set[str]) -> list[Suggestion]:
    """Suggestions at the size of the photo, then, for a small photo, some that enlarge it."""
    from diffir.diagnosis import suggest

    found = suggest(diagnosis, available)[:_SHOWN]
    if diagnosis.figures.width * diagnosis.figures.height < _SMALL:
        found += [one for one in suggest(diagnosis, available, enlarges=True)[:_SHOWN] if one.networks]
    return found


def _files(args: argparse.Namespace) -> list[Path]:
    from diffir.batch.inputs import check_is_no_address, find_inputs
    from diffir.image_io import WRITABLE_SUFFIXES
    from diffir.video.encode import VIDEO_SUFFIXES

    for text in args.inputs:
        check_is_no_address(text)
    if args.preview is not None and args.preview.suffix.lower() not in WRITABLE_SUFFIXES:
        raise UsageError(f"--preview draws a picture, such as sheet.png, and not {args.preview}")
    found = [file.source for file in find_inputs(args.inputs, Path("restored"), recursive=args.recursive)]
    video = next((path for path in found if path.suffix.lower() in VIDEO_SUFFIXES), None)
    if video is not None:
        raise UsageError(f"{video} is a video, and diffir suggest looks at photos: take a frame of it")
    if args.preview is not None and any(path.resolve() == args.preview.resolve() for path in found):
        raise UsageError(f"{args.preview} is an input and would be overwritten; choose another name for the sheet")
    if args.preview is not None and len(found) > _MOST_DRAWN:
        raise UsageError(f"--preview draws up to {_MOST_DRAWN} photos, and these are {len(found)}: name fewer")
    return found


def findings_text(diagnosis: Diagnosis) -> str:
    """What was found, in one line; "nothing seems wrong" if nothing was."""
    return ", ".join(finding.text for finding in diagnosis.findings) or "nothing seems wrong"


def _report(file: Path, diagnosis: Diagnosis, suggestions: Sequence[Suggestion], *, as_json: bool) -> None:
    figures = diagnosis.figures
    if as_json:
        findings = [asdict(finding) for finding in diagnosis.findings]
        chosen: list[dict[str, Any]] = [
            {"name": one.name or None, "networks": one.networks, "enlarges": one.enlarges, "reason": one.reason}
            for one in suggestions
        ]
        say(json.dumps({"file": str(file), "figures": asdict(figures), "findings": findings, "suggestions": chosen}))
        return
    say(f"{file}: {figures.width} x {figures.height}, {findings_text(diagnosis)}")
    for one in suggestions:
        command = f"diffir {'upscale' if one.enlarges else 'restore'} {shlex.quote(str(file))} -n {one.name}"
        say(f"  {command}  ({one.reason})" if one.networks else f"  {one.reason}")


def _report_failure(file: Path, error: DiffIRError, *, as_json: bool) -> None:
    if as_json:
        say(json.dumps({"file": str(file), "error": str(error)}))
    else:
        complain(error)
