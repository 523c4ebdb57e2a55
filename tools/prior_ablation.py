"""What does the diffusion buy? Train variants of stage 2 on one budget and score them on photos that none has seen.

python tools/prior_ablation.py OPTIONS.yml -o RESULTS.json [--seeds 1,2,3] [key=value ...]
Each seed trains stage 1 once, and every variant of stage 2 starts from it; `no prior` has no stage 1 and takes the
steps of both. A stopped call goes on. `datasets.train` and `datasets.val` of the options say which photos.
"""

import argparse
import json
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from diffir.allocator import keep_freed_memory
from diffir.archs import DiffIR
from diffir.config import RunConfig
from diffir.config_file import load_config
from diffir.files import write_atomically
from diffir.training.handover import BuildStage, FirstBatch, build_stage
from diffir.training.run import Run
from diffir.training.stages import Stage, StageOne, StageTwo
from diffir.training.validation import Validator
from diffir.weights.load import load_network


class RegressedPrior(StageTwo):
    """CPEN's view of lq is the prior itself: no diffusion, all else equal (variant V1 of the paper)."""

    def estimate(self, network: DiffIR, lq: Tensor, noise: Tensor, oracle: Tensor | None) -> Tensor:
        return network.condition(lq)


class NoPrior(StageOne):
    """One learnt prior for all photos: CPEN sees black images."""

    def prior(self, network: DiffIR, lq: Tensor, gt: Tensor, noise: Tensor) -> Tensor:
        return network.oracle_prior(torch.zeros_like(lq), torch.zeros_like(gt))


# name -> its kind of stage, and the options in which it differs; TOTAL is the number of steps of stage 2
VARIANTS: dict[str, tuple[type[StageTwo], list[str]]] = {
    "T = 4": (StageTwo, []),
    "regressed": (RegressedPrior, []),
    "separate": (StageTwo, ["stage2.encoder_iter=TOTAL"]),
    "T = 1": (StageTwo, ["network_g.settings={num_timesteps: 1, linear_start: 0.99}"]),  # or its only beta would be 0.1
    "T = 8": (StageTwo, ["network_g.settings.num_timesteps=8"]),
    "T = 2": (StageTwo, ["network_g.settings.num_timesteps=2"]),
}
ORACLE, NO_PRIOR = "stage 1, oracle prior", "no prior"


def stage_two_of(teacher_file: Path, kind: type[StageTwo]) -> BuildStage:
    """What makes a stage 2 of that kind, guided by the stage 1 in that file."""

    def build(config: RunConfig, folder: object, number: object, first_batch: object) -> Stage:
        torch.manual_seed(config.manual_seed)
        teacher = DiffIR(config.network_g.arch(), stage=1)  # the number of diffusion steps may differ, nothing else
        teacher.load_state_dict(load_network(teacher_file, stage=1)[0].state_dict())
        return kind(teacher, config.learning(2))

    return build


def no_prior(config: RunConfig, folder: object, number: object, first_batch: FirstBatch) -> Stage:
    """DIRformer of the weights that stage 1 starts from, and a constant that begins as the mean of their priors."""
    torch.manual_seed(config.manual_seed)
    stage = NoPrior(config.network_g.arch(), config.learning(1))
    if config.path.pretrain_network_g is not None:
        stage.take_over(load_network(config.path.pretrain_network_g)[0], first_batch())
    return stage


def trained(config: RunConfig, build: BuildStage = build_stage) -> tuple[Path, dict[str, float]]:
    """Train, go on, or find it done: the weights, and the PSNR of every test photo."""
    run, number = Run(config, build=build), config.stages[0]
    weights = run.start(auto_resume=True)
    stage = build(config, run.folder, number, lambda: run.first_lq(number))
    stage.network.load_state_dict(load_network(weights, stage=stage.network.stage)[0].state_dict())
    evaluation = Validator(run.validation_samples(), config.val, run.protocol).evaluate(stage, stage.network)
    return weights, {image.name: image.scores["psnr"] for image in evaluation.images}


def scores_of(options: Path, overrides: Sequence[str]) -> Iterator[tuple[str, dict[str, float]]]:
    """(variant, PSNR by photo), stage 1 first."""
    base = load_config(options, overrides)
    teacher, scores = trained(load_config(options, [*overrides, "stages=[1]"]))
    yield ORACLE, scores
    for name, (kind, changes) in VARIANTS.items():
        own = [f"name={base.name}_{name.replace(' ', '').replace('=', '')}", "stages=[2]"]
        own += [change.replace("TOTAL", str(base.learning(2).total_iter)) for change in changes]
        config = load_config(options, [*overrides, *own, f"path.pretrain_network_g={teacher}"])
        yield name, trained(config, stage_two_of(teacher, kind))[1]
    steps = base.learning(1).total_iter + base.learning(2).total_iter
    own = [f"name={base.name}_noprior", "stages=[1]", f"train.total_iter={steps}"]
    yield NO_PRIOR, trained(load_config(options, [*overrides, *own]), no_prior)[1]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("options", type=Path)
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--seeds", default="1,2,3")
    args = parser.parse_intermixed_args(arguments)
    keep_freed_memory()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    name, results = load_config(args.options, args.overrides).name, []
    for seed in args.seeds.split(","):
        own = [*args.overrides, f"manual_seed={seed}", f"name={name}_seed{seed}"]
        for variant, scores in scores_of(args.options, own):
            results.append({"variant": variant, "seed": int(seed), "psnr": scores})
            with write_atomically(args.output) as file:
                file.write(json.dumps({"options": args.options.name, "results": results}, indent=1).encode())


if __name__ == "__main__":
    main()
