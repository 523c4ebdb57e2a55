"""Networks of diffir in programs that load networks with spandrel, such as ComfyUI: an architecture for its registry.

In: the tensors of published weights of any system; one of them holds the facts of the card that shapes cannot tell.
Out: spandrel's descriptor, whose calls give what ``diffir.load`` gives in fp32 with the options recommended for these
weights. ``install()`` registers the architecture. This module needs the optional package spandrel.
"""

from typing import Any

from torch import Tensor, nn

from diffir._spandrel import load_spandrel
from diffir.api import restorer_of_card, system_of_card
from diffir.photo_restorer import Restorer
from diffir.weights.card import WeightsCard
from diffir.weights.header import DESCRIPTION
from diffir.weights.load import network_of

spandrel = load_spandrel("diffir.spandrel")
NAME = "diffir"


class DiffIRArchitecture(spandrel.Architecture):  # type: ignore[name-defined]
    """The architecture of every network that diffir publishes."""

    def __init__(self) -> None:
        super().__init__(id=NAME, name=NAME, detect=lambda state: DESCRIPTION in state)

    def load(self, state: dict[str, Any]) -> Any:
        """Build the network; the descriptor has one input and, for networks that fill holes, a mask.

        Raises:
            WeightsError: the tensors are not those of published weights of this version.
        """
        tensors = dict(state)
        card = WeightsCard.from_description(tensors.pop(DESCRIPTION).cpu().numpy().tobytes(), NAME)
        system = system_of_card(card, "a file of weights")
        network, card = network_of(tensors, card, system, NAME)
        weights = network.state_dict()  # the descriptor loads them again; a file with a weaker twin has more
        facts = system.facts(card.settings)
        shared = {
            "architecture": self,
            "tags": [name for name in (card.system, card.task) if name],
            # Restoring casts what may be cast; a network whose weights are cast has not been tried.
            "supports_half": False,
            "supports_bfloat16": False,
            "input_channels": 3,
            "output_channels": 3,
            # Photos are restored in strips, and in tiles with one prior where memory demands it.
            "tiling": spandrel.ModelTiling.INTERNAL,
            "call_fn": _Restore(card),
        }
        if facts.has_mask:
            return spandrel.MaskedImageModelDescriptor(network, weights, purpose="Inpainting", **shared)
        purpose = "SR" if facts.scale > 1 else "Restoration"
        return spandrel.ImageModelDescriptor(network, weights, purpose=purpose, scale=facts.scale, **shared)


def install() -> None:
    """Let spandrel recognise networks of diffir; a second call changes nothing."""
    others = tuple(support.architecture.id for support in spandrel.MAIN_REGISTRY.architectures())
    architecture = DiffIRArchitecture()
    support = spandrel.ArchSupport.from_architecture(architecture, before=others)
    spandrel.MAIN_REGISTRY.add(support, ignore_duplicates=True)


class _Restore:
    """Restores images with a network on the device of the image."""

    def __init__(self, card: WeightsCard) -> None:
        self._card = card
        self._restorer: Restorer | None = None

    def __call__(self, network: nn.Module, image: Tensor, mask: Tensor | None = None) -> Tensor:
        """Restore (1, 3, H, W) in [0, 1], with a mask (1, 1, H, W) that is 1 where pixels are missing."""
        if self._restorer is None or self._restorer.device != image.device:
            self._restorer = restorer_of_card(network, self._card, device=str(image.device), precision="fp32")
        return self._restorer.restore_tensor(image, mask)
