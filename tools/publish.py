"""Add trained weights to the package: write measured scores into their card, and save them under their name.

python tools/publish.py WEIGHTS.safetensors NAME RESULTS.json ... [--notes TEXT]
RESULTS are documents of ``diffir eval --json``; the scores used are those of the method with the name in the card.
Where the card states no licence or training data, those of the weights that are replaced hold for the new ones.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

import diffir
from diffir.metrics.protocol import Protocol
from diffir.systems import SYSTEMS
from diffir.weights.card import Score, WeightsCard
from diffir.weights.published import read_published, save_published

PRETRAINED = Path(diffir.__file__).parent / "weights/pretrained"
LARGEST = 16_000_000  # bytes; every user downloads them with a wheel or a clone


def scores_of(documents: list[Path], name: str) -> tuple[Score, ...]:
    """Return the mean scores of the method ``name`` in all documents."""
    scores = []
    for path in documents:
        for result in json.loads(path.read_text("utf-8"))["results"]:
            if result["method"] != name:
                continue
            given = {key: result["protocol"][key] for key in ("crop_border", "test_y_channel", "convention")}
            protocol, condition = str(Protocol(**given)), result["condition"]
            for metric, score in result["scores"].items():
                scores.append(Score(result["dataset"], metric, round(float(score["mean"]), 4), protocol, condition))
    return tuple(scores)


def with_origin(card: WeightsCard, replaced: Path) -> WeightsCard:
    """The card with licence and training data, which it may take from the weights that it replaces."""
    if replaced.is_file() and not (card.licence and card.data):
        old = read_published(replaced)[1]
        card = replace(card, licence=card.licence or old.licence, data=card.data or old.data)
    if not (card.licence and card.data):
        raise SystemExit("the card states no licence or training data: train with licence=... training_data=...")
    return card


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the weights, complete their card, and save them in the package."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights", type=Path)
    parser.add_argument("name")
    parser.add_argument("results", type=Path, nargs="*")
    parser.add_argument("--notes", default="")
    parser.add_argument("--headline", default="", help='score that stands for the weights, such as "cbsd68 sigma 25"')
    args = parser.parse_args(arguments)

    # Complete the card.
    state, card = read_published(args.weights)
    scores = scores_of(args.results, card.name)
    target = PRETRAINED / f"{args.name}.safetensors"
    card = replace(card, name=args.name, scores=scores or card.scores, notes=args.notes or card.notes)
    card = with_origin(replace(card, headline=args.headline or card.headline), target)
    if card.headline and f"{card.headline}: " not in "".join(f"{score} " for score in card.scores):
        raise SystemExit(f"no score is of {card.headline!r}; there are: {'; '.join(map(str, card.scores))}")

    # Save a trial file first, so that weights which are too large replace nothing.
    with tempfile.TemporaryDirectory() as folder:
        trial = Path(folder) / target.name
        save_published(trial, state, card, SYSTEMS[card.system], dtype=torch.float16)
        size = trial.stat().st_size
    if size > LARGEST:
        raise SystemExit(f"{target.name} would be {size / 1e6:.1f} MB; at most {LARGEST / 1e6:.0f} MB may be shipped")
    save_published(target, state, card, SYSTEMS[card.system], dtype=torch.float16)
    print(f"{target}: {size / 1e6:.1f} MB, {len(scores)} scores")


if __name__ == "__main__":
    main()
