"""Say what seems wrong with a photo, and which networks were measured to help.

In: the pixels of a photo, and the quality of its file if that is a JPEG. Out: a ``Diagnosis`` with figures and
findings, and ``Suggestion``s. The estimators are simple, and their thresholds are set so that an undamaged photo is
rarely called damaged; ``docs/which-network.md`` says how often they are right.
"""

from diffir.diagnosis.findings import Diagnosis, Figures, Finding, diagnose
from diffir.diagnosis.suggestions import Suggestion, suggest

__all__ = ["Diagnosis", "Figures", "Finding", "Suggestion", "diagnose", "suggest"]
