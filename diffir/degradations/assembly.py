"""Build the steps of a recipe from the mappings in its file; every error is one line that names the step.

In: mappings ``{type: NAME, ...}``; each may set ``prob``, the share of images that the step is applied to. The type
``recipe`` includes another recipe. Steps that reduce the size take the scale of the outermost recipe that sets one.
Dataclasses of other packages join through an entry point of the group ``diffir.degradations``.
"""

from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from diffir.degradations.recipe_file import find_recipe, read_recipe
from diffir.degradations.resample import FROM_RECIPE
from diffir.degradations.steps import GROUPS, STEPS, AllOf, Sometimes, Step
from diffir.errors import ConfigError, UsageError
from diffir.extensions import Extended
from diffir.near_names import meant
from diffir.typed_mapping import build

RECIPE = "recipe"
_DEEPEST = 50  # levels of nested steps; an alias in YAML can make a list that contains itself


@dataclass(frozen=True)
class Place:
    """Position of a step inside nested recipes; it opens error messages and carries the scale of the recipe."""

    path: str = ""
    """Numbers of the enclosing steps, such as "step 2, step 1"; empty at the top."""
    files: tuple[Path, ...] = ()
    """Files of the enclosing recipes, the outermost first."""
    scale: int | None = None
    """Scale of the outermost recipe that sets one; None if no recipe does."""

    def inside(self, number: int) -> "Place":
        """Return the place of the step with this number in the list at this place."""
        return replace(self, path=f"{self.path}, step {number}" if self.path else f"step {number}")


@dataclass(frozen=True)
class _Included:
    """Keys of a step of the type ``recipe``."""

    name: str
    scale: int | None = None


def build_steps(steps: object, place: Place = Place()) -> list[Step]:
    """Build steps from a list of mappings.

    Raises:
        ConfigError: the list is empty, a step is unknown or has keys or values that it does not take, or a recipe does
            not exist or includes itself.
    """
    if not isinstance(steps, list | tuple) or not steps:
        raise ConfigError(f"{place.path or 'a recipe'} needs a list of at least one step, got {steps!r}")
    if place.path.count(",") > _DEEPEST:
        raise ConfigError(f"steps are nested deeper than {_DEEPEST} levels; does a list contain itself?")
    return [_build_step(step, place.inside(number)) for number, step in enumerate(steps, 1)]


def known_steps() -> list[str]:
    """Return all values that ``type`` may have, the steps of other packages included."""
    return [*GROUPS, RECIPE, *_CLASSES]


def _build_step(step: object, place: Place) -> Step:
    if not isinstance(step, dict) or not isinstance(step.get("type"), str):
        raise ConfigError(f"{place.path}: a degradation is {{type: NAME, ...}}, got {step!r}")
    name: str = step["type"]
    where = f"{place.path} ({name})"
    given = {key: value for key, value in step.items() if key not in ("type", "prob")}
    # A recipe becomes one step, so that its prob applies to all of its steps together.
    built = _included(given, where, place) if name == RECIPE else _built(name, given, where, place)
    return built if step.get("prob") is None else build(Sometimes, {"step": built, "prob": step["prob"]}, where)


def _built(name: str, given: dict[str, Any], where: str, place: Place) -> Step:
    if name in GROUPS:
        return build(GROUPS[name], {**given, "steps": build_steps(given.get("steps"), place)}, where)
    cls = _step_class(name, place)
    # Fields marked FROM_RECIPE take the scale of the recipe, unless the step sets its own.
    taken = [item.name for item in fields(cls) if item.metadata == FROM_RECIPE]
    return build(cls, {**(dict.fromkeys(taken, place.scale) if place.scale else {}), **given}, where)


def _included(given: dict[str, Any], where: str, place: Place) -> Step:
    """Build the steps of another recipe as one step."""
    included = build(_Included, given, where)
    # A relative path starts at the folder of the recipe that includes it.
    folder = place.files[-1].parent if place.files else None
    path = find_recipe(included.name, folder)
    try:
        file = read_recipe(included.name, folder)
    except UsageError as error:
        raise ConfigError(f"{where}: {error}") from error
    # Compare resolved paths: one file can be reached by several names.
    if path.resolve() in [other.resolve() for other in place.files]:
        chain = " -> ".join(other.stem for other in (*place.files, path))
        raise ConfigError(f"{where}: a recipe cannot include itself: {chain}")
    scale = place.scale or included.scale or file.scale
    return AllOf(tuple(build_steps(file.steps, replace(place, files=(*place.files, path), scale=scale))))


def _step_class(name: str, place: Place) -> type:
    """Find the class of a step, of this package or of another one."""
    if name not in _CLASSES:
        raise ConfigError(f"{place.path}: unknown degradation {name!r}; {meant(name, known_steps())}")
    try:
        return _CLASSES[name]
    except ConfigError as error:
        raise ConfigError(f"{place.path}: {error}") from error


def _what_is_wrong(name: str, loaded: object) -> str:
    is_step = isinstance(loaded, type) and is_dataclass(loaded) and issubclass(loaded, Step)
    return "" if is_step else "must be a dataclass with __call__(image, draw)"


_CLASSES: Extended[type] = Extended("diffir.degradations", "degradation", STEPS, _what_is_wrong)
