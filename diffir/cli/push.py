"""``diffir push NAME_OR_FILE hf:OWNER/NAME``: publish weights on the Hugging Face Hub, with a model card."""

import argparse
import tempfile
from pathlib import Path

from diffir.cli.terminal import say
from diffir.errors import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``diffir push``."""
    parser.add_argument(
        "source", metavar="NAME_OR_FILE", help="a name of diffir models, or a .safetensors file of diffir"
    )
    parser.add_argument(
        "target",
        metavar="TARGET",
        help="hf:OWNER/NAME, a repository that is made if it is missing; or a folder, which gets the same files",
    )
    parser.add_argument("--private", action="store_true", help="a new repository is seen by its owner alone")


def run(args: argparse.Namespace) -> int:
    """Write the weights and their model card into a folder, and upload it."""
    from diffir.weights.hub import is_hub_name, parsed, push_folder

    if is_hub_name(args.target):
        name = parsed(args.target).repository
        with tempfile.TemporaryDirectory() as temporary:
            _write_folder(args.source, name, Path(temporary))
            say(f"{args.source} is on the hub: {push_folder(Path(temporary), args.target, private=args.private)}")
        return 0
    if args.private:
        raise UsageError("--private is for repositories on the hub: TARGET is a folder")
    folder = Path(args.target)
    _write_folder(args.source, f"OWNER/{folder.resolve().name}", folder)
    say(f"{folder}: weights and model card of {args.source}, as diffir push hf:OWNER/NAME would upload them")
    return 0


def _write_folder(source: str, repository: str, folder: Path) -> None:
    """Write the weights as they are, and the model card.

    Raises:
        WeightsError: the weights have no card of diffir, or their card states no licence.
    """
    from diffir.api import locate, system_of_card
    from diffir.files import write_atomically
    from diffir.weights.card import WeightsCard
    from diffir.weights.header import is_safetensors, read_header
    from diffir.weights.hub import MODEL_FILE
    from diffir.weights.hub_card import model_card

    path = locate(source)
    if path.is_dir() or not is_safetensors(path):
        raise UsageError(f"{path} is no .safetensors file of diffir: make one with diffir convert, and push that")
    card = WeightsCard.from_metadata(read_header(path).metadata, str(path))
    has_mask = system_of_card(card, str(path)).facts(card.settings).has_mask
    texts = {"README.md": model_card(card, repository, has_mask=has_mask).encode(), MODEL_FILE: path.read_bytes()}
    for name, content in texts.items():
        with write_atomically(folder / name) as file:
            file.write(content)
