"""The only module that imports basicsr; it works around two incompatibilities with current torchvision.

basicsr 1.4.2 (2022) imports a module that torchvision removed in 0.17, and torchvision in a CUDA build cannot be
imported beside torch in a CPU build. ``load_basicsr`` repairs both for this process and imports the package, or raises
``MissingDependency``. The import takes seconds, so it never happens when a module is loaded.
"""

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from diffir.errors import MissingDependency

_REMOVED = "torchvision.transforms.functional_tensor"


def load_basicsr() -> ModuleType:
    """Import and return the package ``basicsr``.

    Raises:
        MissingDependency: the package is not installed.
    """
    if importlib.util.find_spec("basicsr") is None:
        raise MissingDependency("basicsr", "comparing with basicsr", "basicsr")
    if "basicsr" not in sys.modules:
        prepare_torchvision()
        if importlib.util.find_spec(_REMOVED) is None:
            sys.modules[_REMOVED] = _functional_tensor()
    return importlib.import_module("basicsr")


def prepare_torchvision() -> None:
    """Declare the two operators that torchvision in a CUDA build lacks beside torch in a CPU build.

    In all other cases nothing is declared, since declaring them twice would end the process.
    """
    import torch

    if torch.version.cuda is not None or "+cu" not in _torchvision_build():
        return
    if hasattr(torch.ops.torchvision, "nms"):
        return
    library = torch.library.Library("torchvision", "FRAGMENT")
    for operator in ("nms", "qnms"):
        library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _KEPT.append(library)


_KEPT: list[object] = []  # operators exist only as long as their library object, so it must not be collected


def _torchvision_build() -> str:
    """Return torchvision's version with its build tag, such as 0.28.0+cu130.

    It is read from the text of the file, since an import would load the package.
    """
    spec = importlib.util.find_spec("torchvision")
    if spec is None or not spec.submodule_search_locations:
        raise MissingDependency("torchvision", "basicsr", "basicsr")
    text = Path(spec.submodule_search_locations[0], "version.py").read_text("utf-8")
    return text.split("__version__ = '")[1].split("'")[0]


def _functional_tensor() -> ModuleType:
    """Build a replacement of the removed module with the function that basicsr imports."""
    from torchvision.transforms.functional import rgb_to_grayscale

    module = ModuleType(_REMOVED)
    vars(module)["rgb_to_grayscale"] = rgb_to_grayscale
    return module
