"""Recipe files: a summary, a scale and the steps, in YAML; the ones that ship lie in ``shipped/``.

In: the name of a shipped recipe or the path of a file. Out: what the file says, its steps still mappings.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from diffir.errors import ConfigError, UsageError
from diffir.typed_mapping import build

SHIPPED = Path(__file__).parent / "shipped"


@dataclass(frozen=True)
class RecipeFile:
    """What a recipe file may say."""

    steps: tuple[dict[str, Any], ...]
    summary: str = ""
    """One line for lists."""
    scale: int | None = None
    """Clean side over lq side, for the steps that make lq small; None: what the steps say themselves, or 1."""

    def __post_init__(self) -> None:
        if self.scale is not None and self.scale < 1:
            raise ConfigError(f"scale must be 1 or more, got {self.scale}")


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
        values = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        known = ", ".join(shipped_recipes())
        raise UsageError(f"no recipe '{name}': neither shipped ({known}) nor a file ({error.strerror})") from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: no text in UTF-8
        raise ConfigError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    return build(RecipeFile, values, where=str(path))
