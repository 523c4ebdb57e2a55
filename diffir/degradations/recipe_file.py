"""Recipe files: a summary, a scale and the steps, in YAML; the ones that ship lie in ``shipped/``.

In: the name of a shipped recipe or the path of a file. Out: what the file says, its steps still mappings.
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
    """What a recipe file may say."""

    steps: tuple[dict[str, Any], ...]
    summary: str = ""
    """One line for lists."""
    scale: Annotated[int | None, Within(1)] = None
    """Clean side over lq side, for the steps that make lq small; None: what the steps say themselves, or 1."""

    def __post_init__(self) -> None:
        check_fields(self)


def shipped_recipes() -> list[str]:
    """Names of the recipes that come with the package."""
    return sorted(path.stem for path in SHIPPED.glob("*.yml"))


def find_recipe(name: str | Path, folder: Path | None = None) -> Path:
    """The file of a shipped recipe, or the file of that path; relative ones start at ``folder``."""
    return SHIPPED / f"{name}.yml" if str(name) in shipped_recipes() else (folder or Path()) / name


def read_recipe(name: str | Path, folder: Path | None = None) -> RecipeFile:
    """The recipe of that name or in that file.

    Raises:
        UsageError: no such recipe and no such file.
        ConfigError: the file is not YAML, or says what a recipe cannot.
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
