"""Links of the README and of the pages resolve: the file is there, and the heading that an anchor names is in it."""

import re
from collections import Counter
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
FOLDERS = ("", "docs", "docs/reference", "options", "datasets", "datasets/samples")
PAGES = [page for folder in FOLDERS for page in sorted((REPOSITORY / folder).glob("*.md"))]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def prose(text: str) -> str:
    """The text without blocks and spans of code, in which brackets are no links."""
    return re.sub(r"`[^`\n]*`", "code", re.sub(r"^```.*?^```", "", text, flags=re.S | re.M))


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings: small letters, hyphens for blanks, numbered where they repeat."""
    seen: Counter[str] = Counter()
    found = set()
    for heading in re.findall(r"^#+ +(.+?) *$", re.sub(r"^```.*?^```", "", text, flags=re.S | re.M), flags=re.M):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return found


def broken_links(page: Path) -> list[str]:
    """Relative links of a page whose file or heading does not exist."""
    broken = []
    for target in LINK.findall(prose(page.read_text("utf-8"))):
        name, _, anchor = target.partition("#")
        if re.match(r"\w+:", target):
            continue
        file = page.parent / name if name else page
        headings = anchors(file.read_text("utf-8")) if file.suffix == ".md" and file.is_file() else set()
        if not file.exists() or (anchor and anchor not in headings):
            broken.append(target)
    return broken


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(REPOSITORY).as_posix())
def test_every_relative_link_resolves(page: Path) -> None:
    assert broken_links(page) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[a](gone.md)", ["gone.md"]),
        ("# Here\n[a](#there)", ["#there"]),
        ("# In two (2) words\n[a](#in-two-2-words)", []),
        ("# Twice\n# Twice\n[a](#twice-1), ![b](https://example.org/b.png)", []),
        ("`[a](gone.md)`\n```\n[b](gone.md)\n# No heading\n```\n[c](#no-heading)", ["#no-heading"]),
    ],
)
def test_a_broken_link_is_found(tmp_path: Path, text: str, expected: list[str]) -> None:
    (tmp_path / "page.md").write_text(text, "utf-8")

    assert broken_links(tmp_path / "page.md") == expected
