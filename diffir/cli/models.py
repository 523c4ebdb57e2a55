"""``diffir models`` lists all weights with a name; ``diffir models NAME`` shows the details of one of them.

Only the headers of files are read and torch is not imported, so the command is fast.
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from diffir.cli.terminal import say, say_lines

MEGA = 1_000_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``diffir models``."""
    parser.add_argument(
        "name", nargs="?", help="show the details of these weights (a name, or a file of diffir), with all scores"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def run(args: argparse.Namespace) -> int:
    """Print the list or the details, as text or as JSON."""
    from diffir.systems import SYSTEMS
    from diffir.weights.catalogue import catalogue, entry_of_file, find_entry

    if args.name and Path(args.name).suffix == ".safetensors":
        entries = [entry_of_file(Path(args.name), SYSTEMS)]
    else:
        entries = [find_entry(args.name, SYSTEMS)] if args.name else list(catalogue(SYSTEMS).values())
    if args.json:
        rows = [_plain(entry) for entry in entries]
        say_lines(json.dumps(rows[0] if args.name else rows, indent=2).splitlines())
    elif args.name:
        say_lines([f"{key:<12}{text}" for key, text in _details(entries[0])])
    else:
        _print_table([_row(entry) for entry in entries])
    return 0


def _row(entry: Any) -> tuple[str, ...]:
    return (
        entry.name,
        entry.task or "-",
        f"x{entry.facts.scale}",
        f"{entry.parameters / MEGA:.1f} M",
        f"{entry.size / MEGA:.1f} MB" if entry.size else "-",
        "shipped" if entry.shipped else entry.url,
        entry.licence or "not stated",
    )


def _print_table(rows: list[tuple[str, ...]]) -> None:
    table = [("NAME", "TASK", "SCALE", "PARAMETERS", "SIZE", "WHERE", "LICENCE"), *rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _details(entry: Any) -> list[tuple[str, str]]:
    """Return pairs of label and text; an empty label continues the one above it."""
    # Facts that every entry has.
    lines = [
        ("name", entry.name),
        ("summary", entry.summary),
        ("task", entry.task or "none of the table"),
        ("scale", f"x{entry.facts.scale}"),
        ("parameters", f"{entry.parameters:,}"),
        ("file", f"{entry.path} ({entry.size:,} bytes)" if entry.shipped else "not shipped"),
        ("licence", entry.licence or "not stated"),
    ]
    if not entry.shipped:
        lines.append(("get it", f"download from {entry.url}, then: diffir convert DOWNLOAD {entry.name}.safetensors"))
    # Facts from the card of a shipped file.
    if entry.card:
        card = entry.card
        lines += [
            ("part", f"{card.part} of {card.system}"),
            ("headline", str(card.headline_score or "")),
            ("data", card.data),
            ("notes", card.notes),
            ("made by", f"diffir {card.diffir_version}"),
            ("sides", f"multiples of {entry.facts.multiple_of} (others are padded)"),
            ("weaker twin", _twin_words(card.denoise_strength)),
            ("settings", ", ".join(f"{key} {value}" for key, value in card.settings.items())),
        ]
    # Scores and training take several lines.
    lines += [("" if index else "scores", str(score)) for index, score in enumerate(entry.scores)]
    if entry.card:
        lines += [("" if index else "training", line) for index, line in enumerate(_flat(entry.card.training))]
    return [(label, text) for label, text in lines if text]


def _twin_words(usual: float | None) -> str:
    return "" if usual is None else f"keeps grain; restore -dn mixes both, from 0 (the twin) to 1 (usual: {usual:g})"


def _flat(values: Any, path: str = "") -> list[str]:
    """Return nested settings as lines such as "train.total_iter 1000"; a sentence stays one line."""
    if isinstance(values, dict):
        return [line for key, value in values.items() for line in _flat(value, f"{path}.{key}" if path else str(key))]
    return [f"{path} {values}".strip()]


def _plain(entry: Any) -> dict[str, Any]:
    """Return the entry in plain types for JSON."""
    values = asdict(entry)
    facts = values.pop("facts")
    values["path"] = str(entry.path) if entry.shipped else None
    score = entry.card.headline_score if entry.card else None
    headline = asdict(score) if score is not None else None
    return values | {"scale": facts["scale"], "shipped": entry.shipped, "headline": headline}
