"""Networks of other projects as a ``System`` that restores with whatever the optional package spandrel loads.

spandrel recognises an architecture from the names and shapes of the tensors, so a network is built from its file and
not from settings. Methods import torch only where they need it.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from diffir.errors import UsageError
from diffir.system import Facts, Precision, Released, System

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from diffir.inference.plain_engine import PlainEngine

NETWORK = "network"


class SpandrelSystem(System):
    """Networks that spandrel loads; each method is described in ``diffir.system.System``."""

    name = "spandrel"
    restoring_part = NETWORK
    is_last_resort = True

    def facts(self, settings: Mapping[str, Any]) -> Facts:
        return Facts(settings["scale"], settings["multiple_of"], 4 if settings["has_mask"] else 3)

    def build(self, settings: Mapping[str, Any], part: str) -> "nn.Module":
        raise UsageError("networks that spandrel loads are built from their own file: use it as it is")

    def engine(self, network: "nn.Module", device: "torch.device", precision: Precision, options: Any) -> "PlainEngine":
        from diffir.inference.plain_engine import PlainEngine
        from diffir.systems.spandrel.network import SpandrelNetwork

        assert isinstance(network, SpandrelNetwork)
        kind = f"{network.architecture}, loaded by spandrel"
        return PlainEngine(network, device, self.facts(_settings(network)), kind=kind, reach=network.reach)

    def suited_precision(self, network: "nn.Module", asked: str, options: object) -> str:
        """fp32 unless half precision is asked for: what it does to these networks has not been measured."""
        from diffir.systems.spandrel.network import SpandrelNetwork

        assert isinstance(network, SpandrelNetwork)
        if asked in ("bf16", "fp16") and asked not in network.precisions:
            known = ", ".join(network.precisions)
            raise UsageError(f"spandrel states for {network.architecture} the precisions {known}, not {asked}")
        return "fp32" if asked == "auto" else asked

    def read_released(self, state: Mapping[str, "Tensor"], source: str) -> Released | None:
        from diffir.systems.spandrel.network import recognised

        network = recognised(state, source)
        if network is None:
            return None
        return Released(NETWORK, _settings(network), dict(state), None, network.architecture, network)


def _settings(network: Any) -> dict[str, Any]:
    """What is known of a network without building it again, for its card."""
    return {
        "architecture": network.architecture,
        "scale": network.scale,
        "multiple_of": network.multiple_of,
        "has_mask": network.has_mask,
    }


SPANDREL = SpandrelSystem()
