"""The table of systems: every system that diffir can train and restore with, by name. Imports no torch."""

from diffir.system import System
from diffir.systems.diffir.system import DIFFIR

SYSTEMS: dict[str, System] = {system.name: system for system in (DIFFIR,)}
