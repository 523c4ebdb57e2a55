"""Train small variants of latent diffusion for equal steps, and compare them: factor, regulariser, kind of condition.

python tools/latent_tradeoffs.py options/ldm/tradeoffs.yml -o RESULTS.json [--only f2,f4] [--seeds 1,2] [key=value ...]
python tools/latent_tradeoffs.py tables -o RESULTS.json
Variants that differ in the denoiser alone share the autoencoder of the first one with the same factor. A call that was
stopped continues: trainings from their last state, and rows that the file holds are not measured again. The options
name the photos in `datasets.train` and `datasets.val`. The second form prints the table of a file.
"""

import argparse
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from latent_study import SCORES, Results, Row, measured, table
from measure_reconstruction import scores as reconstruction_scores

from diffir.allocator import keep_freed_memory
from diffir.api import load, load_config
from diffir.config import RunConfig
from diffir.pixels import to_float
from diffir.systems import SYSTEMS
from diffir.systems.latent.network import LatentDiffusion
from diffir.training.run import Run

AUTOENCODER = "network_g.settings.autoencoder"


@dataclass(frozen=True)
class Variant:
    """How a training differs from the options."""

    changes: tuple[str, ...]
    autoencoder_of: str = ""
    """Variant whose autoencoder is taken; empty if it trains its own."""


def latent(multipliers: list[int], channels: int) -> tuple[str, ...]:
    """The options of an autoencoder with these levels and channels of the latent."""
    return (
        f"{AUTOENCODER}.multipliers={multipliers}",
        f"{AUTOENCODER}.z_channels={channels}",
        f"{AUTOENCODER}.latent_channels={channels}",
    )


CODEBOOK = (
    f"{AUTOENCODER}.regulariser=vq",
    f"{AUTOENCODER}.codes=1024",
    f"{AUTOENCODER}.counts_use=true",
    "stages.autoencoder.restart_codes=100",
)
CROSS = ("network_g.settings.context=image", "network_g.settings.denoiser.context_channels=64")
VARIANTS: dict[str, Variant] = {
    "f4": Variant(()),
    "f2": Variant(latent([1], 3)),
    "f8": Variant(latent([1, 2, 2], 8)),
    "f4 vq": Variant(CODEBOOK),
    "f4 cross": Variant((*CROSS, "network_g.settings.condition=[]"), "f4"),
    "f4 both": Variant(CROSS, "f4"),
}


def config_of(options: Path, name: str, overrides: Sequence[str]) -> RunConfig:
    """The options of a variant, whose run is named after it."""
    variant, base = VARIANTS[name], load_config(options, overrides)
    own = [*overrides, *variant.changes, f"name={base.name}_{name.replace(' ', '_')}"]
    if variant.autoencoder_of:
        source = Run(config_of(options, variant.autoencoder_of, overrides), SYSTEMS["latent"]).folder
        own += ["run_stages=[denoiser]", f"path.start.autoencoder={source.weights('autoencoder')}"]
    return load_config(options, own)


def trained(config: RunConfig) -> Row:
    """Train a variant unless that is done, and measure its reconstruction and its results on the validation photos."""
    run = Run(config, SYSTEMS["latent"])
    restorer = load(run.start(auto_resume=True), device=config.device, precision="fp32")
    network, samples = restorer.engine.network, run.samples.validation()
    assert isinstance(network, LatentDiffusion)
    photos = [to_float(np.asarray(sample.truth)) for sample in samples]
    kept = dict(zip(("psnr", "ssim", "lpips"), reconstruction_scores(network.autoencoder, photos), strict=True))
    one_step = load(run.folder.weights("denoiser"), device=config.device, precision="fp32", steps=1)
    settings = network.settings.autoencoder
    return {
        "factor": settings.factor,
        "channels": settings.latent_channels,
        "steps": restorer.in_use()["steps"],
        "reconstruction": kept,
        "one_step": measured(one_step, samples),
        **measured(restorer, samples),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Train and measure all variants with every seed, or print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("options", help="option file, or the word tables")
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--only", default=",".join(VARIANTS), help=f"some of {','.join(VARIANTS)}")
    parser.add_argument("--seeds", default="1")
    args = parser.parse_intermixed_args(arguments)
    results = Results(args.output)
    if args.options == "tables":
        print(table(COLUMNS, results.rows))
        return

    keep_freed_memory()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    base = load_config(Path(args.options), args.overrides).name
    for seed in args.seeds.split(","):
        own = [*args.overrides, f"manual_seed={seed}", f"name={base}_seed{seed}"]
        for name in args.only.split(","):
            results.add(
                {"variant": name, "seed": int(seed)},
                lambda name=name, own=own: trained(config_of(Path(args.options), name, own)),
            )


COLUMNS = {
    "variant": lambda row: row["variant"],
    "latent": lambda row: f"1/{row['factor']}, {row['channels']} channels",
    "reconstruction: PSNR, LPIPS": lambda row: (
        f"{row['reconstruction']['psnr']:.2f}, {row['reconstruction']['lpips']:.3f}"
    ),
    "one step: PSNR, LPIPS": lambda row: f"{row['one_step']['psnr']:.2f}, {row['one_step']['lpips']:.3f}",
    **SCORES,
    "multiply-adds a megapixel": lambda row: f"{row['multiply_adds_per_megapixel'] / 1e9:,.0f} G",
    "parameters": lambda row: f"{row['parameters'] / 1e6:.2f} M",
}


if __name__ == "__main__":
    main()
