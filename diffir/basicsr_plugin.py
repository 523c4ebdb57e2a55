"""Make DiffIR known to BasicSR, so that BasicSR's own train.py and test.py build, train and test it.

``register()`` adds the architecture ``DiffIR`` to ARCH_REGISTRY and the model ``DiffIRModel`` to MODEL_REGISTRY. From
a shell, ``python -m diffir.basicsr_plugin train -opt FILE`` (or ``test``, or the path of a script) registers both and
starts BasicSR. BasicSR's ``SRModel`` runs networks of stage 2, too; ``DiffIRModel`` also knows the losses of the prior.
Source of the losses: Xia et al., "DiffIR", ICCV 2023, eq. 8 and 13.
"""

import runpy
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from diffir._basicsr import load_basicsr
from diffir.api import load_network
from diffir.errors import ConfigError, DiffIRError, UsageError
from diffir.systems.diffir.network import DiffIR
from diffir.systems.diffir.prior_losses import prior_divergence, prior_l1
from diffir.systems.diffir.settings import ArchSettings
from diffir.systems.diffir.system import DIFFIR, DIFFUSION, PRIOR
from diffir.systems.diffir.tasks import get_task
from diffir.weights.card import WeightsCard
from diffir.weights.published import save_published

ARCHITECTURE, MODEL = "DiffIR", "DiffIRModel"
_SRModel: Any = object  # stands for BasicSR's SRModel, which is mixed in when BasicSR is imported
PARTS = {1: PRIOR, 2: DIFFUSION}


class PaddedDiffIR(DiffIR):
    """A DiffIR network for images of any size, with one ``forward`` for both stages, as BasicSR calls networks."""

    def forward(  # type: ignore[override]
        self, lq: Tensor, gt: Tensor | None = None, teacher_prior: Tensor | None = None, *, with_prior: bool = False
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Restore lq (B, C, H, W) to (B, 3, scale*H, scale*W).

        Args:
            gt: (B, 3, scale*H, scale*W), from which stage 1 extracts the prior; stage 2 does not look at it.
            teacher_prior: (B, P), from whose noisy version the diffusion of stage 2 starts in training.
            with_prior: return the prior (B, P), too.
        """
        height, width = lq.shape[-2:]
        facts = self.settings.facts
        padded = _padded(lq, facts.multiple_of)
        if self.stage == 1:
            if gt is None:
                raise UsageError(f"a DiffIR network of stage 1 needs the clean image: set model_type to {MODEL}")
            prior = self.oracle_prior(padded, _padded(gt, facts.multiple_of * facts.scale))
        else:
            prior = self.estimate_prior(padded, teacher_prior=teacher_prior)
        restored = self.restore(padded, prior)[..., : height * facts.scale, : width * facts.scale]
        return (restored, prior) if with_prior else restored


class DiffIRTraining(_SRModel):
    """What DiffIR changes in BasicSR's SRModel: stage 1 with the oracle prior, stage 2 with the losses of the prior.

    Stage 2 of a network with a prior needs a section ``network_teacher``, a DiffIR network of stage 1 with
    ``pretrained`` weights or with ``path.pretrain_network_teacher``. Without ``path.pretrain_network_g`` it starts from
    the teacher's DIRformer. ``train.prior_weight`` (default 1) weighs the L1 loss of the prior.
    """

    def init_training_settings(self) -> None:
        network = self.get_bare_model(self.net_g)
        self.teacher = None
        if network.stage == 2 and network.settings.prior_width:
            self.teacher = self._teacher()
            if not self.opt["path"].get("pretrain_network_g") and not self.opt["network_g"].get("pretrained"):
                network.dirformer.load_state_dict(self.teacher.dirformer.state_dict())
        super().init_training_settings()
        self.prior_weight = self.opt["train"].get("prior_weight", 1.0)

    def _teacher(self) -> PaddedDiffIR:
        if "network_teacher" not in self.opt:
            raise ConfigError(f"{MODEL}: stage 2 needs network_teacher, the network that stage 1 has trained")
        teacher: PaddedDiffIR = load_basicsr().archs.build_network(self.opt["network_teacher"]).to(self.device)
        weights = self.opt["path"].get("pretrain_network_teacher")
        if weights:
            self.load_network(teacher, weights, True, self.opt["path"].get("param_key_teacher", "params"))
        if teacher.stage != 1:
            raise ConfigError(f"{MODEL}: network_teacher is a network of stage {teacher.stage}; it must be stage 1")
        return teacher.requires_grad_(False).eval()

    def optimize_parameters(self, current_iter: int) -> None:
        self.optimizer_g.zero_grad()
        oracle = None
        if self.teacher is not None:
            with torch.no_grad():
                oracle = self.teacher.oracle_prior(self.lq, self.gt)
        self.output, prior = self.net_g(self.lq, self.gt, oracle, with_prior=True)

        # Losses of the image, then of the prior; as in diffir, only the L1 loss of the prior is part of the sum.
        terms = self._image_losses()
        total = torch.stack(list(terms.values())).sum()
        if oracle is not None:
            terms["l_abs"], terms["l_kd"] = prior_l1(prior, oracle), prior_divergence(prior, oracle)
            total = total + self.prior_weight * terms["l_abs"]
        total.backward()
        self.optimizer_g.step()
        self.log_dict = self.reduce_loss_dict(terms)
        if self.ema_decay > 0:
            self.model_ema(decay=self.ema_decay)

    def _image_losses(self) -> dict[str, Tensor]:
        terms = {}
        if self.cri_pix:
            terms["l_pix"] = self.cri_pix(self.output, self.gt)
        if self.cri_perceptual:
            found = self.cri_perceptual(self.output, self.gt)
            terms |= {name: loss for name, loss in zip(("l_percep", "l_style"), found, strict=True) if loss is not None}
        return terms

    def save(self, epoch: int, current_iter: int) -> None:
        """Save as BasicSR does, and beside it the weights with their card, which ``diffir`` loads."""
        super().save(epoch, current_iter)
        if self.opt["rank"] == 0:
            network = self.get_bare_model(self.net_g_ema if hasattr(self, "net_g_ema") else self.net_g)
            number = "latest" if current_iter == -1 else current_iter
            _publish(network, self.opt, Path(self.opt["path"]["models"]) / f"net_g_{number}.safetensors")

    def test(self) -> None:
        network = self.net_g_ema if hasattr(self, "net_g_ema") else self.net_g
        was_training = network.training
        network.eval()
        with torch.no_grad():
            # The clean image is for the oracle prior of stage 1; stage 2 does not look at it.
            self.output = network(self.lq, getattr(self, "gt", None))
        network.train(was_training)


def build_architecture(
    task: str = "", stage: int = 2, settings: dict[str, Any] | None = None, pretrained: str = ""
) -> PaddedDiffIR:
    """Build the network of a section ``network_g: {type: DiffIR, ...}``.

    Args:
        task: row of diffir's table of networks, such as ``denoise_small`` or ``deblur``.
        stage: 1 or 2.
        settings: network settings that replace those of the row.
        pretrained: a name that ``diffir models`` lists or a file of weights, which then decides about all of these.

    Raises:
        ConfigError: neither or both of ``task`` and ``pretrained`` are given, or the stage is no stage.
        UsageError: the table has no such row, or there are no such weights.
    """
    if bool(task) == bool(pretrained):
        raise ConfigError("network_g of type DiffIR needs either task (a row of networks) or pretrained (weights)")
    if stage not in (1, 2):
        raise ConfigError(f"network_g: stage must be 1 or 2, got {stage!r}")
    if not pretrained:
        arch = {**get_task(task).arch.to_dict(), **(settings or {})}
        return PaddedDiffIR(ArchSettings.from_dict(arch, "network_g: settings"), 1 if stage == 1 else 2)
    loaded, _ = load_network(pretrained)
    if not isinstance(loaded, DiffIR):
        raise UsageError(f"network_g: pretrained {pretrained} is no DiffIR network")
    network = PaddedDiffIR(loaded.settings, loaded.stage)
    network.load_state_dict(loaded.state_dict())
    return network


def register() -> None:
    """Add architecture and model to BasicSR's registries; a second call changes nothing.

    Raises:
        MissingDependency: BasicSR is not installed.
    """
    basicsr = load_basicsr()
    registries = basicsr.utils.registry
    if ARCHITECTURE in registries.ARCH_REGISTRY:
        return

    def architecture(**options: Any) -> PaddedDiffIR:
        return build_architecture(**options)

    # BasicSR takes the name of what it registers from the object.
    architecture.__name__ = ARCHITECTURE
    registries.ARCH_REGISTRY.register(architecture)
    registries.MODEL_REGISTRY.register(_model_class(basicsr))


def _model_class(basicsr: Any) -> type:
    """Make the model, whose base class exists only once BasicSR is imported."""
    return type(MODEL, (DiffIRTraining, basicsr.models.sr_model.SRModel), {"__doc__": DiffIRTraining.__doc__})


def _publish(network: PaddedDiffIR, options: dict[str, Any], path: Path) -> None:
    """Write the weights of a network with a card that holds what BasicSR's options say about them."""
    part, settings = PARTS[network.stage], network.settings.to_dict()
    task = next(iter(DIFFIR.matching_rows(settings, part)), None)
    training = f"BasicSR's {options['model_type']}, options {options['name']}"
    card = WeightsCard(options["name"], settings, part, task=task, training=training)
    dtype = torch.float16 if network.stage == 2 else torch.float32
    save_published(path, network.state_dict(), card, DIFFIR, dtype=dtype)


def _padded(image: Tensor, multiple: int) -> Tensor:
    """Extend an image (B, C, H, W) at its right and lower edge to multiples of a number, by repeating the edge."""
    height, width = image.shape[-2:]
    return F.pad(image, (0, -width % multiple, 0, -height % multiple), mode="replicate")


def main(words: Sequence[str]) -> int:
    """Register DiffIR, then run BasicSR's training or test, or a script that uses BasicSR, with the other words."""
    if not words or (words[0] not in ("train", "test") and not Path(words[0]).is_file()):
        raise UsageError("python -m diffir.basicsr_plugin takes train, test or the path of a script, then -opt FILE")
    register()
    sys.argv = list(words)
    if words[0] in ("train", "test"):
        # BasicSR writes experiments/ and results/ below this folder.
        getattr(load_basicsr(), f"{words[0]}_pipeline")(str(Path.cwd()))
    else:
        runpy.run_path(words[0], run_name="__main__")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except DiffIRError as error:
        sys.exit(f"diffir: {error}")
