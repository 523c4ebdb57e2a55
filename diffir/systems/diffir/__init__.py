"""DiffIR: its networks, training stages, engine and released files (Xia et al., ICCV 2023)."""

from typing import TYPE_CHECKING, Any

from diffir.systems.diffir.settings import ArchSettings, Stage

if TYPE_CHECKING:
    from diffir.systems.diffir.network import DiffIR

__all__ = ["ArchSettings", "DiffIR", "Stage"]


def __getattr__(name: str) -> Any:
    """Import torch only if the network is requested (PEP 562): ``diffir models`` needs the settings alone."""
    if name == "DiffIR":
        from diffir.systems.diffir.network import DiffIR

        return DiffIR
    raise AttributeError(f"module 'diffir.systems.diffir' has no attribute {name!r}")
