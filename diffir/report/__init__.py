"""A report: the scores of an evaluation and the images behind them, in one HTML file.

In: the document of an evaluation (``diffir.evaluation.document``) and the pictures of some cases. Out: an HTML file
that opens offline.
"""

from diffir.report.cases import Case, Chosen, choose_cases
from diffir.report.page import write_report

__all__ = ["Case", "Chosen", "choose_cases", "write_report"]
