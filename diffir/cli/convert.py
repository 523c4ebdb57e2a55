"""``diffir convert IN OUT.safetensors``: convert a released checkpoint, or any weights diffir reads, to safetensors.

``--layout diffusers`` makes a folder for the library diffusers instead, and ``--fold_prior`` a network without a prior.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from diffir.cli.terminal import say
from diffir.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from diffir.system import System
    from diffir.weights.card import WeightsCard

PRECISIONS = {"fp16": "float16", "bf16": "bfloat16", "fp32": "float32"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``diffir convert``."""
    parser.add_argument("source", metavar="IN", help="a file or folder of weights, or a name of diffir models")
    parser.add_argument("target", metavar="OUT", type=Path, help="the .safetensors file to write, or a new folder")
    parser.add_argument(
        "--layout",
        choices=("diffir", "diffusers"),
        default="diffir",
        help="diffir (default): a file with a card; diffusers: a folder that this library loads, for latent diffusion",
    )
    parser.add_argument("--name", help="name in the card (default: the name of OUT)")
    parser.add_argument("--task", help="row of the task table, if several share one network (sr_x4, realsr_x4)")
    parser.add_argument("--licence", help="licence of the weights, written into the card")
    parser.add_argument(
        "--fold_prior",
        metavar="FILE",
        nargs="+",
        type=Path,
        help="build the mean of these priors (restore --save_prior) into the weights: smaller and faster, and as good "
        "where each photo has nearly the same prior (eval --prior mean)",
    )
    parser.add_argument(
        "--weak_twin",
        metavar="FILE",
        help="weights (file or name) of the same network that denoise less, trained from IN or with it: OUT holds "
        "both, and restore -dn mixes them",
    )
    parser.add_argument(
        "-dn",
        "--denoise_strength",
        type=float,
        metavar="0-1",
        help="with a weaker twin: the mix that restore uses without -dn (default: 1, the network itself)",
    )
    storage = parser.add_mutually_exclusive_group()
    storage.add_argument(
        "--precision", choices=tuple(PRECISIONS), default="fp16", help="stored dtype (default: %(default)s)"
    )
    storage.add_argument(
        "--fp32", action="store_const", const="fp32", dest="precision", help="same as --precision fp32"
    )


def run(args: argparse.Namespace) -> int:
    """Read the weights, complete their card, and write the file."""
    import torch

    from diffir.api import load_network, system_of_card
    from diffir.inference.prior_file import load_priors_of
    from diffir.weights.published import save_published

    # Read the weights.
    target: Path = args.target
    if args.layout == "diffusers":
        return _write_folder(args)
    if target.suffix != ".safetensors":
        raise UsageError(f"{target} must end in .safetensors")
    network, card = load_network(args.source)
    system = system_of_card(card, args.source)

    state: Mapping[str, Tensor] = network.state_dict()
    if args.weak_twin or card.denoise_strength is not None:
        state, card = _with_twin(args, network, card)
    elif args.denoise_strength is not None:
        raise UsageError("--denoise_strength is for weights with a weaker twin: give its file with --weak_twin")

    # Fold a prior into them. What the card says of the network that estimates its prior is then no longer true.
    if args.fold_prior:
        if card.denoise_strength is not None:
            raise UsageError("--fold_prior is for one network: fold both first, then join them with --weak_twin")
        network, settings = system.fold_prior(network, load_priors_of(card.name, args.fold_prior))
        state = network.state_dict()
        folded = f"{card.name} with a fixed prior, the mean of {len(args.fold_prior)}, folded into its weights"
        card = replace(card, settings=dict(settings), scores=(), headline="", notes=folded)

    # Complete the card, and write it with the weights.
    tasks = system.matching_rows(card.settings, card.part)
    card = replace(
        card,
        name=args.name or target.stem,
        task=_chosen_task(args.task, tasks, system) if args.task else card.task,
        licence=card.licence if args.licence is None else args.licence,
    )
    save_published(target, state, card, system, dtype=getattr(torch, PRECISIONS[args.precision]))
    parameters = sum(tensor.numel() for tensor in network.parameters())
    twin = "" if card.denoise_strength is None else f", with a weaker twin (-dn {card.denoise_strength:g} by default)"
    is_sure = bool(card.training)  # weights that diffir trained name their task; a released file may fit several
    what = f"{_task_words(card, () if is_sure else tasks, system)}, {parameters:,} parameters{twin}"
    say(f"{target}: {what}, {_size(target)} {args.precision}")
    return 0


def _with_twin(
    args: argparse.Namespace, network: "nn.Module", card: "WeightsCard"
) -> "tuple[Mapping[str, Tensor], WeightsCard]":
    """The tensors of a network, which was loaded with its card, and of its weaker twin, and a card that says so."""
    from diffir.api import load_network
    from diffir.inference.options import RestoreOptions
    from diffir.weights.twins import joined

    usual = RestoreOptions(denoise_strength=args.denoise_strength).denoise_strength  # which checks the value
    if args.weak_twin is None:
        measured = card.denoise_strength
        strong, weak = (load_network(args.source, denoise_strength=end)[0] for end in (1.0, 0.0))
    else:
        measured = 1.0
        weak, of_weak = load_network(args.weak_twin, card.part)
        for name, one in ((args.source, card), (args.weak_twin, of_weak)):
            if one.denoise_strength is not None:
                raise UsageError(f"{name} holds a network and its weaker twin already: give files of one network")
        if (of_weak.system, of_weak.settings) != (card.system, card.settings):
            raise UsageError(f"{args.weak_twin} is another network than {args.source}: their settings differ")
        strong = network
    card = replace(card, denoise_strength=measured if usual is None else usual)
    if card.denoise_strength != measured:  # the scores are those of another mix
        card = replace(card, scores=(), headline="")
    return joined(strong.state_dict(), weak.state_dict()), card


def _write_folder(args: argparse.Namespace) -> int:
    """Write the weights for diffusers, whose folders have no card."""
    import torch

    from diffir.api import load_network, system_of_card

    for flag in ("fold_prior", "weak_twin", "denoise_strength"):
        if getattr(args, flag) is not None:
            raise UsageError(
                f"--{flag} writes a file of diffir, and a folder of diffusers has no place for it: drop it"
            )
    for flag in ("name", "task", "licence"):
        if getattr(args, flag) is not None:
            raise UsageError(f"--{flag} is for diffir's card, which a folder of diffusers does not have: drop it")
    network, card = load_network(args.source)
    dtype = getattr(torch, PRECISIONS[args.precision])
    system_of_card(card, args.source).write_diffusers_folder(network, args.target, dtype)
    size = sum(path.stat().st_size for path in args.target.rglob("*")) / 1e6
    say(f"{args.target}: {card.name} in the layout of diffusers, {size:.1f} MB {args.precision}")
    return 0


def _chosen_task(task: str, tasks: Sequence[str], system: "System") -> str:
    from diffir.config import NetworkConfig

    system.row(NetworkConfig(task))  # raises for an unknown row
    if task not in tasks:
        raise UsageError(
            f"this network is not that of {task}; it matches {', '.join(tasks) or 'no row of the task table'}"
        )
    return task


def _task_words(card: "WeightsCard", tasks: Sequence[str], system: "System") -> str:
    others = [task for task in tasks if task != card.task]
    also = f" (or {', '.join(others)}: choose with --task)" if others else ""
    stage = f", stage {system.stages.index(card.part) + 1}" if card.part in system.stages else ""
    return f"task {card.task or 'unknown'}{also}{stage}"


def _size(path: Path) -> str:
    return f"{path.stat().st_size / 1e6:.1f} MB"
