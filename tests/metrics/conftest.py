"""Packages that metrics are compared with, where they are installed."""

import importlib
from types import ModuleType

import pytest

from diffir._basicsr import prepare_torchvision
from diffir.errors import MissingDependency


@pytest.fixture(scope="session")
def torchvision_models() -> ModuleType:
    """torchvision's networks; beside a torch of another build they need the same repair as for basicsr."""
    try:
        prepare_torchvision()
        return importlib.import_module("torchvision.models")
    except (MissingDependency, ImportError, RuntimeError) as error:
        pytest.skip(f"no torchvision that works: {error}")


@pytest.fixture(scope="session")
def lpips(torchvision_models: ModuleType) -> ModuleType:
    """The authors' package."""
    return pytest.importorskip("lpips", reason="lpips is not installed (pip install lpips)")
