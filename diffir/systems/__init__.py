"""The table of systems: every restoration method that diffir can train and run, by name. It imports no torch."""

from diffir.system import System
from diffir.systems.diffir.system import DIFFIR

SYSTEMS: dict[str, System] = {system.name: system for system in (DIFFIR,)}
