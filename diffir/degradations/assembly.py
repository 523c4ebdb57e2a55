"""What a recipe says -> the steps that do it; every mistake is one line that says which step it is in.

In: mappings ``{type: NAME, ...}``; any may say ``prob``, the share of images it happens to. ``recipe`` includes another
recipe. Steps that make lq small take the scale of the outermost recipe that names one. Dataclasses of other packages
join by an entry point of the group ``diffir.degradations``.
"""

from dataclasses import dataclass, fields, is_dataclass, replace
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from diffir.degradations.recipe_file import find_recipe, read_recipe
from diffir.degradations.resample import FROM_RECIPE
from diffir.degradations.steps import GROUPS, STEPS, AllOf, Sometimes, Step
from diffir.errors import ConfigError, UsageError
from diffir.near_names import meant
from diffir.typed_mapping import build

ENTRY_POINTS = "diffir.degradations"
RECIPE = "recipe"
_DEEPEST = 50  # steps inside steps; YAML can make a list that holds itself


@dataclass(frozen=True)
class Place:
    """Where a step stands: what its errors begin with, and what it takes from the recipe around it."""

    path: str = ""
    """Of the steps it lies in, such as "step 2, step 1"."""
    files: tuple[Path, ...] = ()
    """Recipes it lies in, the outermost first."""
    scale: int | None = None
    """Named by the outermost recipe that names one."""

    def inside(self, number: int) -> "Place":
        """The place of one of its steps."""
        return replace(self, path=f"{self.path}, step {number}" if self.path else f"step {number}")


@dataclass(frozen=True)
class _Included:
    """What a step of the type ``recipe`` may say."""

    name: str
    scale: int | None = None


def build_steps(steps: object, place: Place = Place()) -> list[Step]:
    """Steps from a list of mappings.

    Raises:
        ConfigError: no step, an unknown step, a step with keys or values it does not take, a recipe that is not there
            or that lies in itself.
    """
    if not isinstance(steps, list | tuple) or not steps:
        raise ConfigError(f"{place.path or 'a recipe'} needs a list of at least one step, got {steps!r}")
    if place.path.count(",") > _DEEPEST:
        raise ConfigError(f"steps lie inside steps deeper than {_DEEPEST}; does a list hold itself?")
    return [_build_step(step, place.inside(number)) for number, step in enumerate(steps, 1)]


def known_steps() -> list[str]:
    """Names that ``type`` may have."""
    return [*GROUPS, RECIPE, *STEPS, *_foreign_steps()]


def _build_step(step: object, place: Place) -> Step:
    if not isinstance(step, dict) or not isinstance(step.get("type"), str):
        raise ConfigError(f"{place.path}: a degradation is {{type: NAME, ...}}, got {step!r}")
    name: str = step["type"]
    where = f"{place.path} ({name})"
    given = {key: value for key, value in step.items() if key not in ("type", "prob")}
    built = _included(given, where, place) if name == RECIPE else _built(name, given, where, place)
    return built if step.get("prob") is None else build(Sometimes, {"step": built, "prob": step["prob"]}, where)


def _built(name: str, given: dict[str, Any], where: str, place: Place) -> Step:
    if name in GROUPS:
        return build(GROUPS[name], {**given, "steps": build_steps(given.get("steps"), place)}, where)
    cls = _step_class(name, place)
    taken = [item.name for item in fields(cls) if item.metadata == FROM_RECIPE]
    return build(cls, {**(dict.fromkeys(taken, place.scale) if place.scale else {}), **given}, where)


def _included(given: dict[str, Any], where: str, place: Place) -> Step:
    """The steps of another recipe as one step."""
    included = build(_Included, given, where)
    folder = place.files[-1].parent if place.files else None
    path = find_recipe(included.name, folder)
    try:
        file = read_recipe(included.name, folder)
    except UsageError as error:
        raise ConfigError(f"{where}: {error}") from error
    if path.resolve() in [other.resolve() for other in place.files]:
        chain = " -> ".join(other.stem for other in (*place.files, path))
        raise ConfigError(f"{where}: a recipe cannot lie in itself: {chain}")
    scale = place.scale or included.scale or file.scale
    return AllOf(tuple(build_steps(file.steps, replace(place, files=(*place.files, path), scale=scale))))


def _step_class(name: str, place: Place) -> type:
    if name in STEPS:
        return STEPS[name]
    foreign = _foreign_steps()
    if name not in foreign:
        raise ConfigError(f"{place.path}: unknown degradation {name!r}; {meant(name, known_steps())}")
    try:
        loaded = foreign[name].load()
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"{place.path}: {name} ({foreign[name].value}) cannot be loaded: {error}") from error
    if not isinstance(loaded, type) or not is_dataclass(loaded) or not issubclass(loaded, Step):
        raise ConfigError(
            f"{place.path}: {name} ({foreign[name].value}) must be a dataclass with __call__(image, draw)"
        )
    return loaded


def _foreign_steps() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=ENTRY_POINTS)}
