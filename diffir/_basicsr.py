"""The only door to basicsr, which newer companions of it have locked from inside.

basicsr 1.4.2 (2022) imports a module that torchvision dropped in 0.17, and a CPU build of torch beside a CUDA build of
torchvision fails before that. ``load_basicsr`` mends both for this process, then imports it. It takes seconds and is
never done at module level. In: nothing. Out: the package, or ``MissingDependency`` with the pip line.
"""

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from diffir.errors import MissingDependency

_DROPPED = "torchvision.transforms.functional_tensor"


def load_basicsr() -> ModuleType:
    """The package ``basicsr``, ready to use.

    Raises:
        MissingDependency: it is not installed.
    """
    if importlib.util.find_spec("basicsr") is None:
        raise MissingDependency("basicsr", "comparing with basicsr", "basicsr")
    if "basicsr" not in sys.modules:
        prepare_torchvision()
        if importlib.util.find_spec(_DROPPED) is None:
            sys.modules[_DROPPED] = _functional_tensor()
    return importlib.import_module("basicsr")


def prepare_torchvision() -> None:
    """Declare the two operators that a CUDA build of torchvision misses beside a CPU build of torch.

    Only then: declared beside a working torchvision they would end the process.
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


_KEPT: list[object] = []  # a library that is collected takes its operators along


def _torchvision_build() -> str:
    """Version with its build tag, such as 0.28.0+cu130, from the file's text: importing it would load the package."""
    spec = importlib.util.find_spec("torchvision")
    if spec is None or not spec.submodule_search_locations:
        raise MissingDependency("torchvision", "basicsr", "basicsr")
    text = Path(spec.submodule_search_locations[0], "version.py").read_text("utf-8")
    return text.split("__version__ = '")[1].split("'")[0]


def _functional_tensor() -> ModuleType:
    """What basicsr looks for in the dropped module."""
    from torchvision.transforms.functional import rgb_to_grayscale

    module = ModuleType(_DROPPED)
    vars(module)["rgb_to_grayscale"] = rgb_to_grayscale
    return module
