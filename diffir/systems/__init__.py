"""The table of systems: every restoration method that diffir can train and run, by name. It imports no torch.

Systems of other packages join through an entry point of the group ``diffir.systems``.
"""

from diffir.extensions import Extended
from diffir.system import System
from diffir.systems.diffir.system import DIFFIR
from diffir.systems.latent.system import LATENT


def _what_is_wrong(name: str, system: object) -> str:
    if System not in type(system).__mro__:
        return "must be an instance of a subclass of diffir.system.System"
    own = getattr(system, "name", None)
    return "" if own == name else f"must have the name of its entry point, not {own!r}"


_OWN: dict[str, System] = {system.name: system for system in (DIFFIR, LATENT)}
SYSTEMS: Extended[System] = Extended("diffir.systems", "system", _OWN, _what_is_wrong)
"""Every system by its name, those of other packages included."""
