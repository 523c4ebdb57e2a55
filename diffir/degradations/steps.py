"""What a step of a recipe is, the table of all of them, and the four that hold other steps.

A step takes one image (1, C, H, W) float, RGB, around [0, 1], and its ``Draw``; it returns the damaged image. In YAML
it is a mapping ``{type: NAME, ...}``; any step may say ``prob``, the share of images it happens to. Classes of other
packages join by an entry point of the group ``diffir.degradations``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any

from torch import Tensor

from diffir.degradations.blur import Blur, SincBlur
from diffir.degradations.compression import JPEG, Quantize, WebP
from diffir.degradations.draw import Draw
from diffir.degradations.noise import GaussianNoise, PoissonNoise
from diffir.degradations.ranges import check_probability
from diffir.degradations.recipe_file import read_recipe
from diffir.degradations.resample import MatlabBicubic, Resize, ResizeBack
from diffir.errors import ConfigError
from diffir.typed_mapping import build

Step = Callable[[Tensor, Draw], Tensor]
ENTRY_POINTS = "diffir.degradations"


@dataclass(frozen=True)
class AllOf:
    """The steps in their order; with ``prob``, all of them or none."""

    steps: tuple[dict[str, Any], ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "_built", build_steps(self.steps))

    def __call__(self, image: Tensor, draw: Draw) -> Tensor:
        return apply_steps(self._built, image, draw)  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Shuffled:
    """The steps in a drawn order."""

    steps: tuple[dict[str, Any], ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "_built", build_steps(self.steps))

    def __call__(self, image: Tensor, draw: Draw) -> Tensor:
        return apply_steps(draw.shuffled(self._built), image, draw)  # type: ignore[attr-defined]


@dataclass(frozen=True)
class OneOf:
    """One of the steps, evenly or by ``weights``."""

    steps: tuple[dict[str, Any], ...]
    weights: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.weights and len(self.weights) != len(self.steps):
            raise ConfigError(f"weights must be {len(self.steps)} numbers, one a step, got {len(self.weights)}")
        if self.weights and (min(self.weights) < 0 or sum(self.weights) <= 0):
            raise ConfigError("weights must be 0 or more, and one above 0")
        object.__setattr__(self, "_built", build_steps(self.steps))

    def __call__(self, image: Tensor, draw: Draw) -> Tensor:
        step: Step = draw.choose(self._built, self.weights)  # type: ignore[attr-defined]
        return step(image, draw)


@dataclass(frozen=True)
class NamedRecipe:
    """The steps of a shipped recipe or of a recipe file."""

    name: str
    """A shipped recipe's name or the path of a YAML file."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "_built", build_steps(read_recipe(self.name).steps))

    def __call__(self, image: Tensor, draw: Draw) -> Tensor:
        return apply_steps(self._built, image, draw)  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Sometimes:
    """What ``prob`` makes of a step."""

    step: Step
    prob: float

    def __post_init__(self) -> None:
        check_probability("prob", self.prob)

    def __call__(self, image: Tensor, draw: Draw) -> Tensor:
        return self.step(image, draw) if draw.happens(self.prob) else image


STEPS: dict[str, type] = {
    "all_of": AllOf,
    "one_of": OneOf,
    "shuffled": Shuffled,
    "recipe": NamedRecipe,
    "blur": Blur,
    "sinc_blur": SincBlur,
    "gaussian_noise": GaussianNoise,
    "poisson_noise": PoissonNoise,
    "resize": Resize,
    "resize_back": ResizeBack,
    "matlab_bicubic": MatlabBicubic,
    "jpeg": JPEG,
    "webp": WebP,
    "quantize": Quantize,
}


def build_steps(steps: Sequence[dict[str, Any]]) -> list[Step]:
    """Steps from their mappings.

    Raises:
        ConfigError: no step, an unknown step, or a step with keys or values it does not take.
    """
    if not steps:
        raise ConfigError("a recipe needs at least one step")
    return [_build_step(step) for step in steps]


def apply_steps(steps: Sequence[Step], image: Tensor, draw: Draw) -> Tensor:
    """One after the other."""
    for step in steps:
        image = step(image, draw)
    return image


def _build_step(step: Any) -> Step:
    if not isinstance(step, dict):
        raise ConfigError(f"a degradation is {{type: NAME, ...}}, got {step!r}")
    name, prob = step.get("type"), step.get("prob")
    given = {key: value for key, value in step.items() if key not in ("type", "prob")}
    built: Step = build(_step_class(name), given, where=f"degradation {name}")
    if prob is None:
        return built
    if isinstance(prob, bool) or not isinstance(prob, int | float):
        raise ConfigError(f"degradation {name}: prob: expected a number, got {prob!r}")
    return Sometimes(built, prob)


def _step_class(name: Any) -> type:
    if name in STEPS:
        return STEPS[name]
    foreign = {point.name: point for point in entry_points(group=ENTRY_POINTS)}
    if name in foreign:
        return foreign[name].load()
    raise ConfigError(f"unknown degradation {name!r}; known: {', '.join([*STEPS, *foreign])}")
