"""Read recipe files: YAML with a summary, a scale and the steps; the recipes of this package are in ``shipped/``.

In: the name of a shipped recipe or the path of a file. Out: the content of the file, its steps still as mappings.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from diffir.errors import UsageError
from diffir.field_ranges import Within, check_fields
from diffir.near_names import nearest
from diffir.typed_mapping import build
from diffir.yaml_file import read_yaml

SHIPPED = Path(__file__).parent / "shipped"


@dataclass(frozen=True)
class RecipeFile:
    """The keys that a recipe file may have."""

    steps: tuple[dict[str, Any], ...]
    summary: str = ""
    """One line that ``diffir degrade --list`` shows."""
    scale: Annotated[int | None, Within(1)] = None
    """Clean side over lq side, for the steps that reduce the size; None: the scale of each step, or 1."""

    def __post_init__(self) -> None:
        check_fields(self)


def shipped_recipes() -> list[str]:
    """Return the sorted names of the recipes that come with the package."""
    return sorted(path.stem for path in SHIPPED.glob("*.yml"))


def find_recipe(name: str | Path, folder: Path | None = None) -> Path:
    """Return the file of a shipped recipe, or ``name`` as a path; a relative path starts at ``folder``."""
    return SHIPPED / f"{name}.yml" if str(name) in shipped_recipes() else (folder or Path()) / name


def read_recipe(name: str | Path, folder: Path | None = None) -> RecipeFile:
    """Read a recipe by its name or file.

    Raises:
        UsageError: there is neither a recipe nor a file of that name.
        ConfigError: the file is not YAML, or has keys or values that a recipe does not take.
    """
    path = find_recipe(name, folder)
    try:
        values = read_yaml(path)
    except OSError as error:
        near, known = nearest(str(name), shipped_recipes()), ", ".join(shipped_recipes())
        hint = f"; did you mean {near!r}?" if near else ""
        raise UsageError(
            f"no recipe '{name}': neither shipped ({known}) nor a file ({error.strerror}){hint}"
        ) from error
    return build(RecipeFile, values, where=str(path))
