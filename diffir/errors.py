"""All errors that diffir raises on purpose, with one base class for all of them.

    DiffIRError                 exit code 1
    ├── UsageError              the call itself is wrong: flag, name, value        (exit code 2)
    │   └── ConfigError         an option file or an override is wrong
    ├── ImageError              a file is not a readable image, or its size or mask does not fit
    ├── WeightsError            a file holds no weights, or not those of the expected network
    ├── PairingError            restored and ground-truth files do not match one to one
    ├── TrainingError           a run cannot start, continue or be resumed
    ├── FaultError              diffir or a library is at fault, not the user's file (``diffir.faults``)
    └── MissingDependency       an optional package is not installed

A message is one line that states what was given, what is allowed, and what to do.
"""

from pathlib import Path


class DiffIRError(Exception):
    """Base class of all errors that diffir raises on purpose."""


class UsageError(DiffIRError):
    """Raised if a flag, a name or a value cannot be used."""


class ConfigError(UsageError):
    """Raised if an option file or a ``key=value`` override cannot be used."""


class ImageError(DiffIRError):
    """Raised if a file is not a readable image, or if an image or mask does not suit its use."""


class WeightsError(DiffIRError):
    """Raised if a file does not hold the expected weights."""


class PairingError(DiffIRError):
    """Raised if the files of two folders do not match one to one."""


class TrainingError(DiffIRError):
    """Raised if a training run cannot start, continue or be resumed."""


class FaultError(DiffIRError):
    """Raised if diffir or a library that it uses fails in a way that says nothing about the user's file."""


_CONSTRAINTS = Path(__file__).resolve().parents[1] / "constraints.txt"  # only in a checkout


class MissingDependency(DiffIRError):
    """Raised if an optional package is not installed; the message has the command that installs it.

    Args:
        package: name of the missing package.
        purpose: what needs it, the subject of the message.
        extra: name of diffir's optional dependency group that installs it.
    """

    def __init__(self, package: str, purpose: str, extra: str) -> None:
        # diffir is not on PyPI, where the package of this name is another project: pip must get the folder, and
        # where there is none, the package that is missing.
        command = f"run python -m pip install {package}"
        if _CONSTRAINTS.is_file():
            command = f"in the folder of diffir, run .venv/bin/pip install -c constraints.txt -e '.[{extra}]'"
        super().__init__(f"{purpose} needs the package {package!r}: {command}")
        self._given = package, purpose, extra

    def __reduce__(self) -> tuple[type, tuple[str, str, str]]:
        return type(self), self._given  # without this, another process could not unpickle the error
