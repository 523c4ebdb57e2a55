"""Import the optional package spandrel, which loads networks of other projects."""

import importlib
import importlib.util
from types import ModuleType

from diffir._basicsr import prepare_torchvision
from diffir.errors import MissingDependency


def load_spandrel(what: str) -> ModuleType:
    """Import spandrel; the message says that ``what`` needs it.

    Raises:
        MissingDependency: spandrel or torchvision, which it imports, is not installed.
    """
    for package in ("spandrel", "torchvision"):
        if importlib.util.find_spec(package) is None:
            raise MissingDependency(package, what, "spandrel")
    prepare_torchvision()
    return importlib.import_module("spandrel")
