"""Networks: torch and einops only; no files, devices or logs."""

from typing import TYPE_CHECKING, Any

from diffir.systems.diffir.settings import ArchSettings, Stage

if TYPE_CHECKING:
    from diffir.systems.diffir.network import DiffIR

__all__ = ["ArchSettings", "DiffIR", "Stage"]


def __getattr__(name: str) -> Any:
    """Import torch only for the network itself (PEP 562): the settings alone serve ``diffir models``."""
    if name == "DiffIR":
        from diffir.systems.diffir.network import DiffIR

        return DiffIR
    raise AttributeError(f"module 'diffir.systems.diffir' has no attribute {name!r}")
