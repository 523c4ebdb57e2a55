"""Docstrings are sentences: two limits that can be counted, over all modules, classes and functions of the package."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "diffir"
FEWEST_WORDS = 5
FRAGMENTS = ("Of", "As", "By", "With", "Those")


def docstrings(path: Path) -> Iterator[str]:
    """Docstrings of a file, and the strings under the fields of its classes."""
    tree = ast.parse(path.read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield from filter(None, [ast.get_docstring(node)])
        if isinstance(node, ast.ClassDef | ast.Module):
            for before, after in zip(node.body, node.body[1:], strict=False):
                is_text = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
                if isinstance(before, ast.AnnAssign | ast.Assign) and is_text and isinstance(after.value.value, str):
                    yield after.value.value


def test_few_docstrings_are_shorter_than_five_words():
    short = [text for path in PACKAGE.rglob("*.py") for text in docstrings(path) if len(text.split()) < FEWEST_WORDS]

    assert len(short) < 30, short


def test_few_docstrings_open_as_fragments():
    opening = re.compile(rf"({'|'.join(FRAGMENTS)})\b")
    fragments = [text for path in PACKAGE.rglob("*.py") for text in docstrings(path) if opening.match(text)]

    assert len(fragments) < 10, fragments
