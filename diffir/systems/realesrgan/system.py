"""Real-ESRGAN's compact networks as a ``System`` that restores; they are trained by Real-ESRGAN's own code.

X. Wang, L. Xie, C. Dong, Y. Shan, "Real-ESRGAN: Training Real-World Blind Super-Resolution with Pure Synthetic Data",
ICCVW 2021. Methods import torch only where they need it.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from diffir.errors import ConfigError
from diffir.system import Facts, NoOptions, Precision, Released, System
from diffir.systems.realesrgan.settings import CompactSettings

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from diffir.inference.plain_engine import PlainEngine

NETWORK = "network"
KIND = "compact network of Real-ESRGAN"


class RealESRGANSystem(System):
    """Compact networks; each method is described in ``diffir.system.System``."""

    name = "realesrgan"
    restoring_part = NETWORK

    def facts(self, settings: Mapping[str, Any]) -> Facts:
        return CompactSettings.from_dict(settings).facts

    def build(self, settings: Mapping[str, Any], part: str) -> "nn.Module":
        from diffir.systems.realesrgan.network import CompactNetwork

        if part != NETWORK:
            raise ConfigError(f"{self.name} has no part {part!r}; known: {NETWORK}")
        return CompactNetwork(CompactSettings.from_dict(settings))

    def engine(
        self, network: "nn.Module", device: "torch.device", precision: Precision, options: NoOptions
    ) -> "PlainEngine":
        from diffir.inference.plain_engine import PlainEngine
        from diffir.systems.realesrgan.network import CompactNetwork

        assert isinstance(network, CompactNetwork)
        settings = network.settings
        return PlainEngine(network, device, settings.facts, kind=KIND, reach=settings.reach)

    def read_released(self, state: Mapping[str, "Tensor"], source: str) -> Released | None:
        from diffir.systems.realesrgan.network import settings_of

        settings = settings_of(state)
        return None if settings is None else Released(NETWORK, settings.to_dict(), dict(state), None, KIND)


REALESRGAN = RealESRGANSystem()
