"""What does the diffusion buy? Trains variants of stage 2 on one budget and scores them on photos none has seen.

python tools/prior_ablation.py OPTIONS.yml -o RESULTS.json [--seeds 1,2,3] [--variants ...] [key=value ...]
Each seed trains stage 1 once; every variant of stage 2 starts from it. `no prior` has no stage 1 and takes the steps of
both. A call goes on where the last one stopped. The sections `datasets.train` and `datasets.val` say which photos.
"""

import argparse
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from diffir.allocator import keep_freed_memory
from diffir.archs import DiffIR
from diffir.config import RunConfig
from diffir.config_file import load_config
from diffir.files import write_atomically
from diffir.training.handover import BuildStage, build_stage
from diffir.training.run import Run
from diffir.training.stages import Stage, StageOne, StageTwo
from diffir.training.validation import Validator
from diffir.weights.load import load_network


class RegressedPrior(StageTwo):
    """CPEN's view of lq is the prior itself: no diffusion, all else equal (variant V1 of the paper)."""

    def estimate(self, network: DiffIR, lq: Tensor, noise: Tensor, oracle: Tensor | None) -> Tensor:
        """CPEN alone."""
        return network.condition(lq)


class NoPrior(StageOne):
    """One learnt prior for all photos: CPEN sees black images."""

    def prior(self, network: DiffIR, lq: Tensor, gt: Tensor, noise: Tensor) -> Tensor:
        """A constant."""
        return network.oracle_prior(torch.zeros_like(lq), torch.zeros_like(gt))


@dataclass(frozen=True)
class Variant:
    """One way to train stage 2."""

    settings: dict[str, Any] = field(default_factory=dict)
    """Of the network, where they differ."""
    kind: type[StageTwo] = StageTwo
    is_joint: bool = True
    """Whether DIRformer learns with the prior; else the prior alone learns, for all steps."""


ONE_STEP = {"num_timesteps": 1, "linear_start": 0.99, "linear_end": 0.99}  # or its only step would start at 0.1
VARIANTS = {
    "T = 4": Variant(),
    "regressed": Variant(kind=RegressedPrior),
    "separate": Variant(is_joint=False),
    "T = 1": Variant(ONE_STEP),
    "T = 8": Variant({"num_timesteps": 8}),
    "T = 2": Variant({"num_timesteps": 2}),
}
NO_PRIOR, ORACLE = "no prior", "stage 1, oracle prior"


def stage_two_of(teacher_file: Path, variant: Variant) -> BuildStage:
    """What makes the stage of a variant, guided by the stage 1 in that file."""

    def build(config: RunConfig, folder: object, number: object, first_batch: object) -> Stage:
        taught, _ = load_network(teacher_file, stage=1)
        teacher = DiffIR(config.network_g.arch(), stage=1)  # the number of steps is all in which the two may differ
        teacher.load_state_dict(taught.state_dict())
        learning = config.learning(2)
        torch.manual_seed(config.manual_seed)
        return variant.kind(
            teacher, learning if variant.is_joint else replace(learning, encoder_iter=learning.total_iter)
        )

    return build


def no_prior(config: RunConfig, folder: object, number: object, first_batch: Any) -> Stage:
    """DIRformer of the weights that stage 1 starts from, and a constant that begins as the mean of their priors."""
    stage = NoPrior(config.network_g.arch(), config.learning(1))
    before, _ = load_network(str(config.path.pretrain_network_g), stage=2)
    stage.take_over(before, first_batch())
    return stage


def trained(config: RunConfig, build: BuildStage = build_stage) -> tuple[Path, dict[str, float]]:
    """Train, go on, or find it done: the weights, and the PSNR of every test photo."""
    run = Run(config, build=build)
    weights, number = run.start(auto_resume=True), config.stages[0]
    stage = build(config, run.folder, number, lambda: run.first_lq(number))
    stage.network.load_state_dict(load_network(weights, stage=stage.network.stage)[0].state_dict())
    evaluation = Validator(run.validation_samples(), config.val, run.protocol).evaluate(stage, stage.network)
    return weights, {image.name: image.scores["psnr"] for image in evaluation.images}


def variants_of(
    options: Path, overrides: Sequence[str], names: Sequence[str]
) -> Iterator[tuple[str, dict[str, float]]]:
    """(variant, PSNR by photo), stage 1 first."""
    base = load_config(options, overrides)
    teacher, scores = trained(load_config(options, [*overrides, "stages=[1]"]))
    yield ORACLE, scores
    for name in names:
        own = [*overrides, f"name={base.name}_{name.replace(' ', '').replace('=', '')}"]
        if name == NO_PRIOR:
            steps = base.learning(1).total_iter + base.learning(2).total_iter
            yield name, trained(load_config(options, [*own, "stages=[1]", f"train.total_iter={steps}"]), no_prior)[1]
            continue
        variant = VARIANTS[name]
        own += [f"network_g.settings.{key}={value}" for key, value in variant.settings.items()]
        config = load_config(options, [*own, "stages=[2]", f"path.pretrain_network_g={teacher}"])
        yield name, trained(config, stage_two_of(teacher, variant))[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("options", type=Path)
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--variants", default=",".join([*VARIANTS, NO_PRIOR]))
    args = parser.parse_intermixed_args()
    keep_freed_memory()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    results: list[dict[str, Any]] = []
    for seed in map(int, args.seeds.split(",")):
        name = f"{load_config(args.options, args.overrides).name}_seed{seed}"
        overrides = [*args.overrides, f"manual_seed={seed}", f"name={name}"]
        for variant, scores in variants_of(args.options, overrides, args.variants.split(",")):
            results.append({"variant": variant, "seed": seed, "psnr": scores})
            with write_atomically(args.output) as file:
                file.write(json.dumps({"options": args.options.name, "results": results}, indent=1).encode())


if __name__ == "__main__":
    main()
