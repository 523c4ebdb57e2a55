"""The documentation as a site: every page has its place in the navigation, and a strict build has no warning."""

import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[1]
SETTINGS = yaml.safe_load((REPOSITORY / "mkdocs.yml").read_text("utf-8"))
NEEDED = ("mkdocs", "material", "mkdocstrings", "mkdocstrings_handlers.python")


def pages_of(entry: object) -> Iterator[str]:
    """The pages in a part of the navigation, which holds mappings and lists of names and pages."""
    if isinstance(entry, str):
        yield entry
    else:
        for part in entry.values() if isinstance(entry, dict) else entry:
            yield from pages_of(part)


def is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def test_every_page_has_its_place_in_the_navigation() -> None:
    pages = list(pages_of(SETTINGS["nav"]))
    written = {path.relative_to(REPOSITORY / "docs").as_posix() for path in REPOSITORY.glob("docs/**/*.md")}

    assert len(pages) == len(set(pages))
    assert written <= set(pages)
    assert all((REPOSITORY / page).is_file() for page in set(pages) - written - {"index.md"})


@pytest.mark.slow
@pytest.mark.parametrize("address", ["", "https://example.org/diffir"])
def test_the_site_builds_without_a_warning(tmp_path: Path, address: str) -> None:
    missing = [module for module in NEEDED if not is_installed(module)]
    if missing:
        pytest.skip(f"{missing[0]} is not installed (extra: docs)")
    environment = {**os.environ, "DIFFIR_REPOSITORY": address, "NO_MKDOCS_2_WARNING": "1"}

    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", tmp_path]
    built = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True)

    assert built.returncode == 0, built.stderr
    assert 'id="diffir.api.load"' in (tmp_path / "reference/restoring.html").read_text("utf-8")
    assert 'src="images/before_after_photo.jpg"' in (tmp_path / "index.html").read_text("utf-8")
    assert ('href="https://example.org/diffir/blob/main/LICENSE"' in (tmp_path / "index.html").read_text()) == bool(
        address
    )
