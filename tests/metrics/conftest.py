"""Optional packages that the metrics are compared with."""

import importlib
from types import ModuleType

import pytest

from diffir._basicsr import prepare_torchvision
from diffir.errors import MissingDependency


@pytest.fixture(scope="session")
def torchvision_models() -> ModuleType:
    """Import torchvision's networks, with the repair for builds that do not match (see ``diffir._basicsr``)."""
    try:
        prepare_torchvision()
        return importlib.import_module("torchvision.models")
    except (MissingDependency, ImportError, RuntimeError) as error:
        pytest.skip(f"no torchvision that works: {error}")


@pytest.fixture(scope="session")
def lpips(torchvision_models: ModuleType) -> ModuleType:
    """Import the package of the authors of LPIPS."""
    return pytest.importorskip("lpips", reason="lpips is not installed (pip install lpips)")
