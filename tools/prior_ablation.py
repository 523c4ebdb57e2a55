"""Measure the benefit of diffusion: train variants of stage 2 with equal steps, and score them on validation photos.

python tools/prior_ablation.py OPTIONS.yml -o RESULTS.json [--seeds 1,2,3] [--variants NAME,...] [key=value ...]
Stage 1 is trained once for each seed if variants of stage 2 start from it; variants without stage 1 are trained for
the steps in which both stages train the DIRformer. A call that was stopped continues. The options name the photos in
`datasets.train` and `datasets.val`.
"""

import argparse
import json
import logging
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from diffir.allocator import keep_freed_memory
from diffir.api import load_config, load_network
from diffir.config import RunConfig
from diffir.files import write_atomically
from diffir.system import BuildStage
from diffir.systems.diffir.initial_weights import given
from diffir.systems.diffir.prior_variants import RegressedPrior, stage_two_of, without_stage_one
from diffir.systems.diffir.stages import StageTwo
from diffir.systems.diffir.system import DIFFIR, PRIOR
from diffir.training.run import Run
from diffir.training.validation import Validator

_NO_LEGS = ["stage2.iters=[]", "stage2.gt_sizes=[]", "stage2.mini_batch_sizes=[]"]
# Variant -> its class of stage, and the options that differ; TOTAL stands for the number of steps of stage 2.
VARIANTS: dict[str, tuple[type[StageTwo], list[str]]] = {
    "T = 4": (StageTwo, []),
    "regressed": (RegressedPrior, []),
    "separate": (StageTwo, ["stage2.encoder_iter=TOTAL"]),
    "T = 1": (
        StageTwo,
        ["network_g.settings.num_timesteps=1", "network_g.settings.linear_start=0.99"],
    ),  # otherwise the only beta would be 0.1
    "T = 8": (StageTwo, ["network_g.settings.num_timesteps=8"]),
    "T = 2": (StageTwo, ["network_g.settings.num_timesteps=2"]),
}
# Variant -> its builder or None for the usual stages, and the options that differ. TOTAL stands for the steps of both
# stages, JOINT for those of stage 2 without those that see thumbnails alone, and START for the weights to start from.
OWN_STAGE_ONE: dict[str, tuple[BuildStage | None, list[str]]] = {
    "no prior": (
        None,
        [
            *("network_g.settings.prior_width=0", "path.strict_load_g=false"),
            *("path.start={diffusion: START}", "path.pretrain_network_g=null", "stages=[2]"),
            *("stage2.total_iter=TOTAL", "stage2.encoder_iter=0", "stage2.encoder_lr=null", *_NO_LEGS),
        ],
    ),
    "regressed, no stage 1": (
        without_stage_one,
        ["stages=[2]", "stage2.total_iter=TOTAL", "stage2.encoder_iter=0", "stage2.prior_weight=0", *_NO_LEGS],
    ),
    "patch view": (
        None,
        ["network_g.settings.prior_view=patch", "stage2.total_iter=JOINT", "stage2.encoder_iter=0", *_NO_LEGS],
    ),
}
ORACLE = "stage 1, oracle prior"


def trained(config: RunConfig, build: BuildStage | None = None) -> tuple[Path, dict[str, float]]:
    """Train a run unless it is complete; return its weights and the PSNR of every validation photo."""
    run = Run(config, DIFFIR, build=build)
    weights = run.start(auto_resume=True)
    # Score the published weights, which may be rounded, and not those of the trainer.
    stage = run.stage(config.run_stages[-1])
    stage.network.load_state_dict(load_network(weights, stage.part)[0].state_dict())
    evaluation = Validator(run.samples.validation(), config.val, run.row.protocol).evaluate(stage, stage.network)
    return weights, {image.name: image.scores["psnr"] for image in evaluation.images}


def scores_of(
    options: Path, overrides: Sequence[str], variants: Sequence[str]
) -> Iterator[tuple[str, dict[str, float]]]:
    """Yield each variant and its PSNR by photo, stage 1 with the oracle prior first if a variant starts from it."""
    base = load_config(options, overrides)
    start = given(base, PRIOR)
    if start is None:
        raise SystemExit("path.start: name weights for prior, from which all variants start")
    prior, diffusion = (base.stages[name] for name in ("prior", "diffusion"))
    alone = sum(steps for steps, size in zip(diffusion.iters, diffusion.gt_sizes, strict=True) if size == 0)
    joint = diffusion.total_iter - alone

    def config_of(name: str, changes: Sequence[str], steps: int) -> RunConfig:
        slug = "".join(letter for letter in name if letter.isalnum())
        words = {"TOTAL": str(steps), "JOINT": str(joint), "START": start}
        own = [re.sub("TOTAL|JOINT|START", lambda word: words[word[0]], change) for change in changes]
        return load_config(options, [*overrides, f"name={base.name}_{slug}", *own])

    # Train stage 1 if variants start from it, then these, then those without it.
    with_stage_one = [name for name in VARIANTS if name in variants]
    if with_stage_one:
        teacher, scores = trained(load_config(options, [*overrides, "stages=[1]"]))
        yield ORACLE, scores
    for name in with_stage_one:
        kind, changes = VARIANTS[name]
        changes = ["stages=[2]", f"path.start={{prior: {teacher}}}", "path.pretrain_network_g=null", *changes]
        yield name, trained(config_of(name, changes, diffusion.total_iter), stage_two_of(teacher, kind))[1]
    for name, (build, changes) in OWN_STAGE_ONE.items():
        if name in variants:
            yield name, trained(config_of(name, changes, prior.total_iter + joint), build)[1]


def main(arguments: Sequence[str] | None = None) -> None:
    """Train all variants with every seed, and write the results after each of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("options", type=Path)
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--seeds", default="1,2,3")
    known = [*VARIANTS, *OWN_STAGE_ONE]
    usual = [name for name in known if name != "patch view"]  # it differs only where the prior sees whole photos
    parser.add_argument("--variants", default=",".join(usual), help=f"those to train, of: {', '.join(known)}")
    args = parser.parse_intermixed_args(arguments)
    variants = args.variants.split(",")
    if unknown := [name for name in variants if name not in known]:
        parser.error(f"unknown variant {unknown[0]!r}; known: {', '.join(known)}")
    keep_freed_memory()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    name, results = load_config(args.options, args.overrides).name, []
    for seed in args.seeds.split(","):
        own = [*args.overrides, f"manual_seed={seed}", f"name={name}_seed{seed}"]
        for variant, scores in scores_of(args.options, own, variants):
            results.append({"variant": variant, "seed": int(seed), "psnr": scores})
            with write_atomically(args.output) as file:
                file.write(json.dumps({"options": args.options.name, "results": results}, indent=1).encode())


if __name__ == "__main__":
    main()
