"""DiffIR: its networks, training stages, engine and released files (Xia et al., ICCV 2023)."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from diffir.systems.diffir.network import DiffIR
    from diffir.systems.diffir.settings import ArchSettings, Stage

__all__ = ["ArchSettings", "DiffIR", "Stage"]


def __getattr__(name: str) -> Any:
    """Import a public name on its first use (PEP 562): the command line's flags need no torch and no settings."""
    if name not in __all__:
        raise AttributeError(f"module 'diffir.systems.diffir' has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{'network' if name == 'DiffIR' else 'settings'}"), name)
