"""The table of systems: every restoration method that diffir can run, by name. It imports no torch.

Systems of other packages join through an entry point of the group ``diffir.systems``.
"""

from diffir.extensions import Extended
from diffir.system import System
from diffir.systems.diffir.system import DIFFIR
from diffir.systems.latent.system import LATENT
from diffir.systems.realesrgan.system import REALESRGAN
from diffir.systems.spandrel.system import SPANDREL


def _what_is_wrong(name: str, system: object) -> str:
    if System not in type(system).__mro__:
        return "must be an instance of a subclass of diffir.system.System"
    own = getattr(system, "name", None)
    return "" if own == name else f"must have the name of its entry point, not {own!r}"


_OWN: dict[str, System] = {system.name: system for system in (DIFFIR, LATENT, REALESRGAN, SPANDREL)}
SYSTEMS: Extended[System] = Extended("diffir.systems", "system", _OWN, _what_is_wrong)
"""Every system by its name, those of other packages included."""
