"""Losses of other packages, which join the losses of a stage through an entry point of the group ``diffir.losses``.

In: the section ``losses`` of an option file, ``{NAME: {weight: 1.0, ...}}``, where the other keys are options of the
loss. Out: functions from restored and clean images (B, 3, H, W), around [0, 1], to a scalar.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, is_dataclass
from typing import Any

from torch import Tensor

from diffir.errors import ConfigError
from diffir.extensions import Extended
from diffir.typed_mapping import build

ImageLoss = Callable[[Tensor, Tensor], Tensor]
_OWN_TERMS = ("pix", "percep", "gan", "fm")  # names under which the log has diffir's own losses


@dataclass(frozen=True)
class WeightedLoss:
    """One loss of another package, and its factor in the sum of all losses."""

    name: str
    weight: float
    loss: ImageLoss
    """A function from restored and clean images (B, 3, H, W) to a scalar."""


def _what_is_wrong(name: str, loss: object) -> str:
    if name in _OWN_TERMS:
        return f"needs another name: diffir's own losses are called {', '.join(_OWN_TERMS)}"
    is_loss = isinstance(loss, type) and any("__call__" in vars(base) for base in loss.__mro__)
    return "" if is_loss else "must be a class with __call__(restored, gt)"


LOSSES: Extended[type] = Extended("diffir.losses", "loss", {}, _what_is_wrong)
"""Classes of losses by name; an instance is called with restored and clean images."""


def build_losses(sections: Mapping[str, Any]) -> list[WeightedLoss]:
    """Build the losses of the section ``losses``.

    Raises:
        ConfigError: a loss is unknown or cannot be loaded, or has options that it does not take.
    """
    return [_build(name, section) for name, section in sections.items()]


def check_losses(sections: Mapping[str, Any]) -> None:
    """Check names and weights without building the losses; raises the errors of ``build_losses`` about them."""
    for name, section in sections.items():
        LOSSES.find(name, "losses")
        _weight(name, section)


def _build(name: str, section: Any) -> WeightedLoss:
    cls, weight = LOSSES.find(name, "losses"), _weight(name, section)
    options = {key: value for key, value in (section or {}).items() if key != "weight"}
    where = f"losses: {name}"
    try:
        loss: Any = build(cls, options, where) if is_dataclass(cls) else cls(**options)
        return WeightedLoss(name, weight, loss)
    except TypeError as error:
        raise ConfigError(f"{where}: {error}") from error


def _weight(name: str, section: Any) -> float:
    if section is not None and not isinstance(section, dict):
        raise ConfigError(f"losses: {name}: expected keys and values such as {{weight: 0.1}}, got {section!r}")
    weight = (section or {}).get("weight", 1.0)
    if isinstance(weight, bool) or not isinstance(weight, int | float) or weight < 0:
        raise ConfigError(f"losses: {name}: weight must be a number, 0 or more, got {weight!r}")
    return float(weight)
