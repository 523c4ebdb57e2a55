"""A report: the scores of an evaluation and the images behind them in one HTML file.

In: the document of ``diffir eval --json`` and the pictures of some cases; out: a file that opens offline.
"""

from diffir.report.cases import Case, Chosen, choose_cases
from diffir.report.page import write_report

__all__ = ["Case", "Chosen", "choose_cases", "write_report"]
