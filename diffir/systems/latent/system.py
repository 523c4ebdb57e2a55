"""Latent diffusion as a ``System``: its stages, and how its networks are built, trained and used to restore photos.

Stage ``autoencoder`` learns a latent of 1/f of the resolution; stage ``denoiser`` learns to restore latents. Rombach et
al., "High-Resolution Image Synthesis with Latent Diffusion Models", CVPR 2022. torch is imported only where needed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from diffir.errors import ConfigError, UsageError
from diffir.system import Facts, NetworkRow, Precision, Released, ReleasedRow, Stage, StageStart, System
from diffir.systems.latent.restore_options import LatentOptions

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from diffir.config import NetworkConfig, TrainConfig
    from diffir.systems.latent.engine import LatentEngine

AUTOENCODER, DENOISER = "autoencoder", "denoiser"


class LatentSystem(System):
    """Latent diffusion; each method is described in ``diffir.system.System``."""

    name = "latent"
    stages = (AUTOENCODER, DENOISER)
    usual_stages = (AUTOENCODER, DENOISER)
    restoring_part = DENOISER
    restore_options = LatentOptions

    @property
    def training_options(self) -> type:
        from diffir.systems.latent.training_options import LatentTraining

        return LatentTraining

    def row(self, network: "NetworkConfig") -> NetworkRow:
        from diffir.systems.latent.rows import get_row
        from diffir.systems.latent.settings import LatentSettings

        row = get_row(network.task)
        settings = LatentSettings.from_dict(_merged(row.settings.to_dict(), network.settings), "network_g: settings")
        return NetworkRow(row.name, row.summary, settings.to_dict(), settings.facts, row.protocol)

    def facts(self, settings: Mapping[str, Any]) -> Facts:
        from diffir.systems.latent.settings import LatentSettings

        return LatentSettings.from_dict(dict(settings)).facts

    def build(self, settings: Mapping[str, Any], part: str) -> "nn.Module":
        from diffir.systems.latent.autoencoder import Autoencoder
        from diffir.systems.latent.network import LatentDiffusion
        from diffir.systems.latent.settings import LatentSettings

        known = LatentSettings.from_dict(dict(settings))
        if part == AUTOENCODER:
            return Autoencoder(known.autoencoder)
        if part == DENOISER:
            return LatentDiffusion(known)
        raise ConfigError(f"latent diffusion has no part {part!r}; known: {AUTOENCODER}, {DENOISER}")

    def engine(
        self, network: "nn.Module", device: "torch.device", precision: Precision, options: LatentOptions
    ) -> "LatentEngine":
        import torch

        from diffir.systems.latent.engine import LatentEngine
        from diffir.systems.latent.network import LatentDiffusion

        if not isinstance(network, LatentDiffusion):
            raise UsageError("an autoencoder alone cannot restore; give the weights of the denoiser")
        # Channels last: convolutions of a CPU are up to 1.7 times as fast, since they need not reorder their input.
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return LatentEngine(network.eval().requires_grad_(False), device, options)

    def stage(self, name: str, start: StageStart) -> Stage:
        from diffir.systems.latent.initial_weights import build_stage
        from diffir.systems.latent.settings import LatentSettings

        return build_stage(name, LatentSettings.from_dict(self.row(start.config.network_g).settings), start)

    def shortened(self, own: Any, steps: int) -> Any:
        return replace(
            own,
            gan_start=min(own.gan_start, steps // 2),
            restart_codes=min(own.restart_codes, steps),
            encoded_patches=min(own.encoded_patches, steps),
        )

    def check(self, name: str, stage: "TrainConfig") -> None:
        from diffir.config_losses import TargetsConfig

        stage.own.check_stage(name)
        if stage.targets != TargetsConfig():
            raise ConfigError("targets is for DiffIR; the losses of latent diffusion have no such choice")
        if stage.gan is not None and (stage.gan.r1 or stage.gan.feature_matching):
            raise ConfigError("gan: r1 and feature_matching are for DiffIR; leave them out")
        if name == AUTOENCODER and stage.gan is None and stage.own.gan_start:
            raise ConfigError("gan_start needs the section gan")
        if stage.gan is not None and stage.own.gan_start >= stage.total_iter:
            raise ConfigError(f"gan_start {stage.own.gan_start} is not before the end, total_iter {stage.total_iter}")
        if name == DENOISER and stage.pixel_weight != 1:
            raise ConfigError("pixel_weight is for the stage autoencoder; the denoiser has one loss")
        if stage.checkpoint_activations:
            raise ConfigError("checkpoint_activations is not implemented for latent diffusion; leave it out")
        if name == DENOISER and (stage.gan is not None or stage.perceptual is not None):
            raise ConfigError("gan and perceptual are for the stage autoencoder; the denoiser has one loss")
        if stage.own.encoded_patches and stage.gt_sizes:
            raise ConfigError("encoded_patches needs patches of one size: leave out gt_sizes")
        if name == AUTOENCODER and stage.perceptual is not None:
            raise ConfigError("the autoencoder's perceptual loss is LPIPS: set lpips_weight instead of perceptual")

    def matching_rows(self, settings: Mapping[str, Any], part: str) -> Sequence[str]:
        from diffir.systems.latent.rows import ROWS
        from diffir.systems.latent.settings import LatentSettings

        known = LatentSettings.from_dict(dict(settings))
        if part == AUTOENCODER:
            return [row.name for row in ROWS.values() if row.settings.autoencoder == known.autoencoder]
        return [row.name for row in ROWS.values() if row.settings == known]

    def export_onnx(self, network: "nn.Module", facts: Mapping[str, Any], folder: Path, options: Any) -> NoReturn:
        raise UsageError(
            "networks of the system latent cannot be exported to ONNX: they run in a sampling loop that no graph has; "
            "docs/other-programs.md says which other programs run them"
        )

    def read_released(self, state: Mapping[str, "Tensor"], source: str) -> Released | None:
        from diffir.systems.latent.released import read_lightning

        return read_lightning(state, source)

    def read_folder(self, folder: Path) -> Released | None:
        from diffir.systems.latent.diffusers_folder import read_diffusers_folder

        return read_diffusers_folder(folder)

    def write_diffusers_folder(self, network: "nn.Module", folder: Path, dtype: "torch.dtype") -> None:
        from diffir.systems.latent.diffusers_save import write_diffusers_folder

        write_diffusers_folder(network, folder, dtype)

    def released_rows(self) -> Sequence[ReleasedRow]:
        from diffir.systems.latent.released_rows import RELEASED_ROWS

        return RELEASED_ROWS


def _merged(settings: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a row with the changes of an option file, section by section."""
    merged = dict(settings)
    for key, value in changes.items():
        inner = merged.get(key)
        merged[key] = {**inner, **value} if isinstance(inner, dict) and isinstance(value, dict) else value
    return merged


LATENT = LatentSystem()
