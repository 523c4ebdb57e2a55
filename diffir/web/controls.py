"""Controls for the restore options of a system, made from the fields of its dataclass as the flags of the command are.

In: a dataclass of options. Out: a description of a control for each field, and the options that visitors changed.
Names, choices, ranges and texts are those of the fields, so that an option of a new system needs no line here.
"""

import ast
import inspect
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, fields
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from diffir.field_ranges import Within, rules_of
from diffir.inference.options import RestoreOptions

Kind = Literal["choice", "switch", "slider", "number", "text"]
# These say how the machine works, not what becomes of a photo: who starts the page decides, or diffir by itself.
_OF_THE_MACHINE = frozenset({"device", "precision", "tile", "tile_overlap", "engine", "graphs"})
_ALONE = frozenset({"strength"})  # has a place of its own on the page
SOMETIMES = ("denoise_strength", "mask_grow", "seed")
"""Options that only networks with a weaker twin, with a mask, or that draw at random have a use for."""


@dataclass(frozen=True)
class Control:
    """What a visitor can set: one option of all systems, or of one."""

    name: str
    """Field of the dataclass, and argument of ``diffir.load``."""
    kind: Kind
    default: Any
    help: str
    """What the option does, in the words of the command's help."""
    choices: tuple[Any, ...] = ()
    lowest: float | None = None
    highest: float | None = None
    is_whole: bool = False
    """True if only whole numbers are allowed."""

    @property
    def label(self) -> str:
        """Name in words, such as "color fix"."""
        return self.name.replace("_", " ")


def shared_controls() -> list[Control]:
    """Controls for the options that all systems have, without the strength."""
    return [one for one in controls_of(RestoreOptions) if one.name not in _ALONE]


def controls_of(options: type) -> list[Control]:
    """Controls for the fields of a dataclass of restore options, in their order."""
    hints, texts = get_type_hints(options), _docstrings(options)
    return [
        _control(field, hints[field.name], field.metadata.get("help") or texts.get(field.name, ""), options)
        for field in fields(options)
        if field.metadata.get("flag", True) and field.name not in _OF_THE_MACHINE
    ]


def changed(controls: Sequence[Control], values: Sequence[Any]) -> dict[str, Any]:
    """The options whose controls were changed, by name; an emptied control counts as unchanged."""
    given: dict[str, Any] = {}
    for control, value in zip(controls, values, strict=True):
        if value is None or value == "" or value == control.default:
            continue
        given[control.name] = int(value) if control.is_whole and float(value).is_integer() else value
    return given


def _control(field: Field, hint: Any, text: str, options: type) -> Control:
    default = None if field.default is MISSING else field.default
    if get_origin(hint) in (Union, UnionType):
        (hint,) = (kind for kind in get_args(hint) if kind is not NoneType)
    if get_origin(hint) is Literal:
        return Control(field.name, "choice", default, text, choices=get_args(hint))
    if hint is bool:
        return Control(field.name, "switch", default, text)
    if hint is str:
        return Control(field.name, "text", default, text)
    assert hint in (int, float), f"no control can hold a {hint}"
    ends = _ends(options, field.name)
    # A slider needs two ends near each other, and a value to stand at.
    is_slider = ends is not None and hint is float and default is not None and ends[1] - ends[0] <= 2
    lowest, highest = ends or (None, None)
    kind: Kind = "slider" if is_slider else "number"
    return Control(field.name, kind, default, text, lowest=lowest, highest=highest, is_whole=hint is int)


def _ends(options: type, name: str) -> tuple[float, float] | None:
    rule = next((rule for rule in rules_of(options).get(name, ()) if isinstance(rule, Within)), None)
    return None if rule is None else (rule.lowest, rule.highest)


def _docstrings(options: type) -> Mapping[str, str]:
    """The sentences under the fields of a dataclass, by field; Python itself does not keep them."""
    (body,) = ast.parse(textwrap.dedent(inspect.getsource(options))).body
    assert isinstance(body, ast.ClassDef)
    found: dict[str, str] = {}
    for statement, following in zip(body.body, body.body[1:], strict=False):
        is_field = isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)
        if is_field and isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
            found[statement.target.id] = " ".join(str(following.value.value).replace("``", "").split())  # type: ignore[attr-defined]
    return found
