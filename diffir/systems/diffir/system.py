"""DiffIR as a ``System``: its stages, and how its networks are built, trained and used to restore photos.

Stage ``prior`` trains DIRformer and CPEN with the ground truth as a second input; stage ``diffusion`` learns to
estimate the same prior from the low-quality image alone; stage ``gan`` continues it, usually with a discriminator. Xia
et al., "DiffIR: Efficient Diffusion Model for Image Restoration", ICCV 2023. Methods import what they need, since the
command line reads ``restore_options`` of every system.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffir.errors import ConfigError, UsageError
from diffir.system import Facts, NetworkRow, Precision, Released, ReleasedRow, System
from diffir.systems.diffir.restore_options import DiffIROptions

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from diffir.config import NetworkConfig, RunConfig, TrainConfig
    from diffir.system import FinetuneRequest, Stage, StageStart
    from diffir.systems.diffir.engine.engine import DiffIREngine
    from diffir.systems.diffir.settings import Stage as StageNumber

PRIOR, DIFFUSION, GAN = "prior", "diffusion", "gan"
NETWORK_STAGE: dict[str, "StageNumber"] = {PRIOR: 1, DIFFUSION: 2}  # part -> ``DiffIR.stage``


class DiffIRSystem(System):
    """DiffIR; each method is described in ``diffir.system.System``."""

    name = "diffir"
    stages = (PRIOR, DIFFUSION, GAN)
    usual_stages = (PRIOR, DIFFUSION)
    restoring_part = DIFFUSION
    can_finetune = True
    takes_losses = True
    restore_options = DiffIROptions

    @property
    def parts(self) -> tuple[str, ...]:
        return tuple(NETWORK_STAGE)

    @property
    def training_options(self) -> type:
        from diffir.systems.diffir.training_options import DiffIRTraining

        return DiffIRTraining

    def stages_for(self, network: "NetworkConfig") -> tuple[str, ...]:
        return self.usual_stages if self.row(network).settings["prior_width"] else (DIFFUSION,)

    def row(self, network: "NetworkConfig") -> NetworkRow:
        from diffir.systems.diffir.settings import ArchSettings
        from diffir.systems.diffir.tasks import get_task

        task = get_task(network.task)
        arch = ArchSettings.from_dict({**task.arch.to_dict(), **network.settings}, "network_g: settings")
        return NetworkRow(task.name, task.summary, arch.to_dict(), arch.facts, task.protocol)

    def facts(self, settings: Mapping[str, Any]) -> Facts:
        from diffir.systems.diffir.settings import ArchSettings

        return ArchSettings.from_dict(dict(settings)).facts

    def build(self, settings: Mapping[str, Any], part: str) -> "nn.Module":
        from diffir.systems.diffir.network import DiffIR
        from diffir.systems.diffir.settings import ArchSettings

        if part not in NETWORK_STAGE:
            raise ConfigError(f"DiffIR has no part {part!r}; known: {', '.join(NETWORK_STAGE)}")
        return DiffIR(ArchSettings.from_dict(dict(settings)), NETWORK_STAGE[part])

    def engine(
        self, network: "nn.Module", device: "torch.device", precision: Precision, options: DiffIROptions
    ) -> "DiffIREngine":
        from diffir.systems.diffir.engine.engine import DiffIREngine
        from diffir.systems.diffir.network import DiffIR

        if not isinstance(network, DiffIR) or network.stage != NETWORK_STAGE[DIFFUSION]:
            raise UsageError("only a stage-2 network can restore; this one needs the ground truth to compute its prior")
        return DiffIREngine(network.eval().requires_grad_(False), device, precision, options)

    def suited_precision(self, network: "nn.Module", asked: str, options: DiffIROptions) -> str:
        return "fp32" if options.engine == "onnx" and asked == "auto" else asked

    def suited_options(
        self, options: DiffIROptions, task: str | None, settings: Mapping[str, Any], gt_patch: int | None
    ) -> DiffIROptions:
        from diffir.systems.diffir.tasks import TASKS

        # Choose the statistics of attention.
        row, facts = TASKS.get(task or ""), self.facts(settings)
        patch = gt_patch // facts.scale if gt_patch else None
        stats = options.stats
        if stats == "auto":  # released networks are evaluated with global statistics
            needs_whole = facts.has_mask or (row is not None and row.needs_whole)
            stats = "global" if patch is None or needs_whole else "local"

        # Weights without a patch size in their card: take that of the released checkpoints.
        if patch is None and row is not None and row.patch is not None:
            patch = row.patch // row.arch.scale
        return replace(options, stats=stats, patch=patch)

    def stage(self, name: str, start: "StageStart") -> "Stage":
        from diffir.systems.diffir.initial_weights import build_stage

        return build_stage(name, start)

    def check(self, name: str, stage: "TrainConfig") -> None:
        patches = list(zip(stage.gt_sizes, stage.iters, strict=True))
        alone = sum(steps for size, steps in patches if size == 0)
        if alone and (name == PRIOR or patches[0] != (0, alone) or alone != stage.own.encoder_iter):
            raise ConfigError(
                "gt_sizes: 0 is for the first steps of the stages after prior, as many as encoder_iter says"
            )
        if stage.own.encoder_iter > stage.total_iter:
            raise ConfigError(f"encoder_iter {stage.own.encoder_iter} exceeds total_iter {stage.total_iter}")

    def check_run(self, config: "RunConfig") -> None:
        from diffir.systems.diffir.training_options import options_of_the_prior

        if self.row(config.network_g).settings["prior_width"]:
            return
        needs = "for networks with a prior, and network_g has none (prior_width: 0)"
        if PRIOR in config.run_stages:
            raise ConfigError(f"stage 1 is {needs}: train stage 2 alone, with stages: [2]")
        if PRIOR in config.path.start or config.path.pretrain_network_g is not None:
            raise ConfigError(f"path: weights of stage 1 are {needs}: name weights in start: {{diffusion: FILE}}")
        for name in config.run_stages:
            for option in options_of_the_prior(config.stages[name].own):
                raise ConfigError(f"stage {config.number(name)}: {option} is {needs}: leave it out")

    def shortened(self, own: Any, steps: int) -> Any:
        return replace(own, encoder_iter=min(own.encoder_iter, steps))

    def plan_finetuning(self, request: "FinetuneRequest") -> "RunConfig":
        from diffir.systems.diffir.finetune import plan_run

        return plan_run(request)

    def fold_prior(self, network: "nn.Module", prior: "Tensor") -> "tuple[nn.Module, Mapping[str, Any]]":
        from diffir.systems.diffir.folded_prior import fold_prior
        from diffir.systems.diffir.network import DiffIR

        if not isinstance(network, DiffIR) or network.stage != NETWORK_STAGE[DIFFUSION]:
            raise UsageError("only a stage-2 network estimates a prior from the photo alone")
        if not network.settings.prior_width or prior.shape != (1, network.settings.prior_width):
            width = network.settings.prior_width
            raise UsageError(
                f"a prior of {prior.shape[1]} numbers is given, and the network has one of {width or 'none'}"
            )
        folded = fold_prior(network, prior)
        return folded, folded.settings.to_dict()

    def export_onnx(
        self, network: "nn.Module", facts: Mapping[str, Any], folder: Path, options: DiffIROptions
    ) -> float:
        from diffir.systems.diffir.engine.engine import chosen_windows
        from diffir.systems.diffir.network import DiffIR
        from diffir.systems.diffir.onnx_export import export

        assert isinstance(network, DiffIR)
        return export(network, facts, folder, chosen_windows(options, network.settings.multiple_of))

    def read_released(self, state: Mapping[str, "Tensor"], source: str) -> Released | None:
        from diffir.systems.diffir.released import read_official

        if not any(name.startswith(("G.patch_embed.", "dirformer.")) for name in state):
            return None
        official = read_official(state, source)
        part = next(part for part, stage in NETWORK_STAGE.items() if stage == official.stage)
        return Released(part, official.settings.to_dict(), official.state, next(iter(official.tasks), None))

    def matching_rows(self, settings: Mapping[str, Any], part: str) -> Sequence[str]:
        from diffir.systems.diffir.released import matching_tasks
        from diffir.systems.diffir.settings import ArchSettings

        return matching_tasks(ArchSettings.from_dict(dict(settings)), NETWORK_STAGE[part])

    def released_rows(self) -> Sequence[ReleasedRow]:
        from diffir.systems.diffir.released_rows import RELEASED_ROWS

        return RELEASED_ROWS

    def translated_options(self, values: Mapping[str, Any]) -> dict[str, Any] | None:
        from diffir.systems.diffir.released_options import is_official, to_our_options

        return to_our_options(dict(values)) if is_official(dict(values)) else None


DIFFIR = DiffIRSystem()
