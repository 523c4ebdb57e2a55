"""Recipe files: a summary and the steps, in YAML; the ones that ship lie in ``shipped/``.

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


def shipped_recipes() -> list[str]:
    """Names of the recipes that come with the package."""
    return sorted(path.stem for path in SHIPPED.glob("*.yml"))


def read_recipe(name: str) -> RecipeFile:
    """The recipe of that name or in that file.

    Raises:
        UsageError: no such recipe and no such file.
        ConfigError: the file is not YAML, or says what a recipe cannot.
    """
    path = SHIPPED / f"{name}.yml" if name in shipped_recipes() else Path(name)
    try:
        values = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        known = ", ".join(shipped_recipes())
        raise UsageError(f"no recipe {name!r}: neither shipped ({known}) nor a file ({error.strerror})") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    return build(RecipeFile, values, where=str(path))
