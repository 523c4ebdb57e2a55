"""diffir: image restoration with DiffIR (Xia et al., ICCV 2023).

``diffir.load(NAME).restore(image)`` restores an array; ``diffir --help`` shows the commands.
"""

from typing import TYPE_CHECKING, Any

from diffir._version import __version__
from diffir.errors import DiffIRError

if TYPE_CHECKING:
    from diffir.api import load
    from diffir.inference.restorer import Restorer

__all__ = ["DiffIRError", "Restorer", "__version__", "load"]


def __getattr__(name: str) -> Any:
    """Import torch only when something that needs it is asked for (PEP 562)."""
    if name == "load":
        from diffir.api import load

        return load
    if name == "Restorer":
        from diffir.inference.restorer import Restorer

        return Restorer
    raise AttributeError(f"module 'diffir' has no attribute {name!r}")
