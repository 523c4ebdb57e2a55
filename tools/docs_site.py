"""Hooks of mkdocs.yml: pages from outside of docs/ join the site, and links to other files lead to the repository.

The README becomes the first page. Links to files that are no pages, such as option files, lead to the repository whose
address is in DIFFIR_REPOSITORY, as in setup.py, and are plain text without one.
"""

import os
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File
from pymdownx.slugs import slugify

REPOSITORY = Path(__file__).resolve().parents[1]
ADDRESS = os.environ.get("DIFFIR_REPOSITORY", "").rstrip("/")
# Page of the site -> file of the repository that it shows.
JOINED = {"index.md": "README.md"}
JOINED |= {
    name: name for name in ("CHANGELOG.md", "options/README.md", "datasets/README.md", "datasets/samples/README.md")
}
_SITE_OF = {source: page for page, source in JOINED.items()}
_LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!\w+:|#)([^)\s#]+)(#[^)\s]*)?\)")


def on_config(config: Any) -> Any:
    """Make the anchors of headings as GitHub does, so that links to them work in both places."""
    config.mdx_configs["toc"]["slugify"] = slugify(case="lower")
    return config


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that lie outside of docs/."""
    for page, source in JOINED.items():
        files.append(File.generated(config, page, content=(REPOSITORY / source).read_text("utf-8")))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Let the links of a page fit its place on the site; blocks of code stay as they are."""
    parts = re.split(r"(^```.*?^```|`[^`\n]*`)", markdown, flags=re.S | re.M)
    for at in range(0, len(parts), 2):
        parts[at] = _LINK.sub(lambda match: moved(match, page.file.src_uri), parts[at])
    return "".join(parts)


def moved(match: re.Match[str], page: str) -> str:
    """Return a link of a page, as it is in the repository, as it must be on the site."""
    mark, words, target, anchor = match.groups(default="")
    source = JOINED.get(page, f"docs/{page}")
    wanted = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
    if wanted in _SITE_OF:
        place = _SITE_OF[wanted]
    elif wanted.startswith("docs/") and (REPOSITORY / wanted).is_file():
        place = wanted.removeprefix("docs/")
    elif ADDRESS:
        return f"{mark}[{words}]({ADDRESS}/{'raw' if mark else 'blob'}/main/{wanted}{anchor})"
    else:
        return words
    return f"{mark}[{words}]({posixpath.relpath(place, posixpath.dirname(page) or '.')}{anchor})"
