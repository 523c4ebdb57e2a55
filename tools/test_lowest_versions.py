"""Runs the quick tests with the lowest versions that setup.py allows, in a virtual environment of their own.

    python tools/test_lowest_versions.py                       all quick tests
    python tools/test_lowest_versions.py tests/image_io -x     some of them: arguments are those of pytest

    PYTHON=python3.10    the interpreter that makes the environment (default: the running one)
    VENV=FOLDER          the environment (default: .venv-lowest); one that is there is kept, and its versions set right
    TORCH=cpu            takes torch from the index of the builds for CPUs, which is much smaller on Linux

A bound that does not hold shows as a failing test: raise the bound in setup.py, or mend the code.
"""

import ast
import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
TORCH_INDEX = "https://download.pytorch.org/whl"


def lowest(requirement: str) -> str:
    """Turn ``scipy>=1.13.0,<2`` into ``scipy==1.13.0``."""
    name, bound, version = requirement.partition(">=")
    if not bound:
        raise ValueError(f"setup.py: {requirement!r} has no lower bound")
    return f"{name}=={version.split(',')[0]}"


def requirements() -> list[str]:
    """Read the lists REQUIRES and TEST of setup.py."""
    found: dict[str, list[str]] = {}
    for node in ast.parse((REPOSITORY / "setup.py").read_text("utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            if name in ("REQUIRES", "TEST"):
                found[name] = ast.literal_eval(node.value)
    return found["REQUIRES"] + found["TEST"]


def main(arguments: list[str]) -> int:
    """Make the environment, install the versions, run the tests; returns the exit code of pytest."""
    venv = Path(os.environ.get("VENV", REPOSITORY / ".venv-lowest"))
    python = venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not python.exists():
        subprocess.run([os.environ.get("PYTHON", sys.executable), "-m", "venv", venv], check=True)

    # torch first, since only it may come from another index.
    pins = [lowest(requirement) for requirement in requirements()]
    pip = [python, "-m", "pip", "install", "--only-binary", ":all:"]
    if "TORCH" in os.environ:
        pin = next(pin for pin in pins if pin.startswith("torch=="))
        subprocess.run([*pip, pin, "--index-url", f"{TORCH_INDEX}/{os.environ['TORCH']}"], check=True)
    subprocess.run([*pip, *pins], check=True)

    # The package itself comes from the checkout.
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    tests = [python, "-m", "pytest", "-m", "not slow", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(tests, cwd=REPOSITORY, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
