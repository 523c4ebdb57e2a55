"""Tools as modules, imported as Python runs them: with their neighbours at hand."""

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

TOOLS = Path(__file__).resolve().parents[2] / "tools"


@pytest.fixture(scope="session")
def load_tool() -> Callable[[str], ModuleType]:
    """From a name in ``tools/`` to its module."""

    def load(name: str) -> ModuleType:
        specification = importlib.util.spec_from_file_location(name, TOOLS / f"{name}.py")
        assert specification and specification.loader
        module = importlib.util.module_from_spec(specification)
        with pytest.MonkeyPatch.context() as patch:
            patch.syspath_prepend(TOOLS)
            patch.setitem(sys.modules, name, module)  # where its dataclasses look for their types
            specification.loader.exec_module(module)
        return module

    return load
