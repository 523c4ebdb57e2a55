"""diffir: image restoration with DiffIR (Xia et al., ICCV 2023).

``diffir.load(NAME).restore(image)`` restores an array; ``diffir --help`` shows the commands.
"""

from typing import TYPE_CHECKING, Any

from diffir.errors import DiffIRError

if TYPE_CHECKING:
    from diffir.inference.restorer import Restorer, load

__version__ = "0.1.0"
__all__ = ["DiffIRError", "Restorer", "__version__", "load"]


def __getattr__(name: str) -> Any:
    """Import torch only when something that needs it is asked for (PEP 562)."""
    if name in ("Restorer", "load"):
        from diffir.inference import restorer

        return getattr(restorer, name)
    raise AttributeError(f"module 'diffir' has no attribute {name!r}")
