"""Tell errors of the program from errors about a user's data, and describe them so that they can be reported.

In: an exception. Out: whether it is a fault of diffir or of a library, and a line that says where it happened and with
which versions. Nobody should delete a photo because a function is missing in OpenCV.
"""

import platform
import traceback
from importlib import metadata
from pathlib import Path

# A name that does not exist says nothing about data, whoever looks for it.
_MISSING_NAMES = (AttributeError, NameError, ImportError)
# Decoders raise these on purpose, too (Pillow: "Missing dimensions"), so their own code decides about them.
_MISUSE = (TypeError, AssertionError, NotImplementedError)
_PACKAGES = ("diffir", "torch", "numpy", "opencv-python", "opencv-python-headless", "pillow", "tifffile")
_PACKAGE = Path(__file__).parent


def is_fault(error: BaseException) -> bool:
    """True for an error of the program: a missing name, a wrong call, or a broken assertion."""
    return isinstance(error, (*_MISSING_NAMES, *_MISUSE))


def is_fault_of_reader(error: BaseException) -> bool:
    """True if an error that was raised while a file was decoded says nothing about the file.

    A wrong call counts only if diffir makes it; inside a decoder it is the decoder's answer to the data.
    """
    if isinstance(error, _MISSING_NAMES):
        return True
    frames = traceback.extract_tb(error.__traceback__)
    return isinstance(error, _MISUSE) and bool(frames) and _PACKAGE in Path(frames[-1].filename).parents


def description(error: BaseException) -> str:
    """Describe a fault in one line that has what a report needs."""
    text = " ".join(str(error).split()) or "no message"
    return (
        f"a fault in diffir or in a library, not in the file: {type(error).__name__}{_place(error)}: {text}; "
        f"please report this line ({_versions()})"
    )


def _place(error: BaseException) -> str:
    """The innermost line of diffir that the error passed, and the innermost of all if that is another."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if _PACKAGE in Path(frame.filename).parents]
    places = [frames[-1]] if frames and frames[-1] not in own else []
    shown = [f"{'/'.join(Path(frame.filename).parts[-2:])}:{frame.lineno}" for frame in [*places, *own[-1:]]]
    return f" in {', called by '.join(shown)}" if shown else ""


def _versions() -> str:
    """Versions of Python and of the installed packages that read, compute and write."""
    found = [f"Python {platform.python_version()}"]
    for name in _PACKAGES:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    return ", ".join(found)
