"""Find the files that ship beside the code: option files, dataset cards, lists, published scores and sample photos.

In a checkout they are the top-level folders ``options`` and ``datasets``. An installed wheel holds copies of both in
``diffir/shipped``, which setup.py makes. In: a path as a user writes it. Out: the path of a file that exists.
"""

from pathlib import Path
from typing import Literal

Folder = Literal["options", "datasets"]
FOLDERS: tuple[Folder, ...] = ("options", "datasets")
_PACKAGE = Path(__file__).parent


def shipped_folder(name: Folder) -> Path:
    """The folder with this name that came with the installation."""
    installed = _PACKAGE / "shipped" / name
    return installed if installed.is_dir() else _PACKAGE.parent / name


def own_or_shipped(path: str | Path) -> Path:
    """The path itself, or the shipped file or folder if nothing is there and the path begins like one.

    So ``datasets/samples/train`` and ``datasets/lists/permissive_train.txt`` are found from every folder.
    """
    path = Path(path)
    for name in FOLDERS:
        if path.parts[:1] == (name,) and not path.exists():
            shipped = shipped_folder(name).joinpath(*path.parts[1:])
            return shipped if shipped.exists() else path
    return path


def option_names() -> list[str]:
    """Names of all shipped option files, such as ``denoise/small``."""
    root = shipped_folder("options")
    return sorted(path.relative_to(root).with_suffix("").as_posix() for path in root.rglob("*.yml"))


def option_file(name: str | Path) -> Path:
    """The option file with this path, else the shipped one with this name; the path itself if there is neither.

    Args:
        name: the path of a file, or ``denoise/small``, ``denoise/small.yml`` or ``options/denoise/small.yml``.
    """
    path = Path(name)
    wanted = option_name(path)
    return shipped_folder("options") / f"{wanted}.yml" if not path.is_file() and wanted in option_names() else path


def option_name(path: Path) -> str:
    """The name that an option file of this path would have if it shipped."""
    parts = path.parts[1:] if path.parts[:1] == ("options",) else path.parts
    return Path(*parts).with_suffix("").as_posix() if path.suffix in (".yml", ".yaml") else Path(*parts).as_posix()
