"""Every error diffir raises on purpose, and the one base that catches them all.

    DiffIRError                 exit code 1
    ├── UsageError              the call itself is wrong: flag, name, value        (exit code 2)
    │   └── ConfigError         an option file or an override is wrong
    ├── ImageError              a file is not a readable image, or its size or mask does not fit
    ├── WeightsError            a file is not weights, or not weights of the network asked for
    ├── PairingError            restored and ground-truth files do not match one to one
    ├── TrainingError           a run cannot start, go on or be resumed
    └── MissingDependency       an optional package is not installed

A message is one line: what was given, what is allowed, what to do.
"""


class DiffIRError(Exception):
    """Base of all errors raised on purpose."""


class UsageError(DiffIRError):
    """A flag, a name or a value that cannot be used."""


class ConfigError(UsageError):
    """An option file or a ``key=value`` override that cannot be used."""


class ImageError(DiffIRError):
    """A file that is not a readable image, or an image that does not fit its use."""


class WeightsError(DiffIRError):
    """A file that does not hold the weights it should."""


class PairingError(DiffIRError):
    """Two folders whose files do not match one to one."""


class TrainingError(DiffIRError):
    """A training run that cannot start, go on or be resumed."""


class MissingDependency(DiffIRError):
    """An optional package is not installed; the message holds the pip line."""

    def __init__(self, package: str, purpose: str, extra: str) -> None:
        super().__init__(f"{purpose} needs the package {package!r}: pip install 'diffir[{extra}]'")
        self._given = package, purpose, extra

    def __reduce__(self) -> tuple[type, tuple[str, str, str]]:
        return type(self), self._given  # or a process that is handed this error could not build it
