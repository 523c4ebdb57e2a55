"""diffir restores photos: it removes noise, blur, JPEG artefacts, rain and scratches, and enlarges.

Three lines that work, with a photo of yours in place of noisy.jpg:

    import diffir
    restorer = diffir.load("photo")
    restorer.restore_file("noisy.jpg", "clean.png")

``restorer(image)`` restores a PIL image, a numpy array, a torch tensor, a path, or a list of them, and returns the same
kind. ``diffir.read`` and ``diffir.write`` read and write image files with all that they hold. In a terminal,
``diffir --help`` shows the commands, and ``diffir models`` the networks that ``load`` takes.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from diffir._version import __version__
from diffir.errors import DiffIRError

if TYPE_CHECKING:
    from diffir.api import load
    from diffir.image_io import Animation, Pages, Photo
    from diffir.photo_restorer import Restored, Restorer
    from diffir.pictures import read, write

_LAZY = {
    "load": "diffir.api",
    "read": "diffir.pictures",
    "write": "diffir.pictures",
    "Animation": "diffir.image_io",
    "Pages": "diffir.image_io",
    "Photo": "diffir.image_io",
    "Restored": "diffir.photo_restorer",
    "Restorer": "diffir.photo_restorer",
}

__all__ = ["Animation", "DiffIRError", "Pages", "Photo", "Restored", "Restorer", "__version__", "load", "read", "write"]


def __getattr__(name: str) -> Any:
    """Import torch and the decoders only when something that needs them is asked for (PEP 562)."""
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'diffir' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
