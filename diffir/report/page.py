"""Write the report: one HTML file that contains everything it shows and makes no request.

In: the document of an evaluation, cases with their pictures, published rows. Out: the file. Its Content-Security-Policy
forbids all requests, and all scripts and styles except the two inside the file, which it allows by their hashes.
"""

import base64
import hashlib
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from diffir.data.cards.published_rows import PublishedRow
from diffir.errors import UsageError
from diffir.evaluation.document import EvaluationDocument, Result
from diffir.files import write_atomically
from diffir.report.cases import Case
from diffir.report.markup import Html, join, tag
from diffir.report.score_table import notes, published_table, score_table
from diffir.report.sections import Section, primary_of, sections_of
from diffir.report.spread import spread
from diffir.report.viewer import case_view


def write_report(
    path: str | Path,
    document: EvaluationDocument,
    cases: Sequence[Case],
    *,
    published: Sequence[PublishedRow] = (),
    title: str = "Restoration report",
) -> None:
    """Write the page; the file is written completely or not at all.

    Args:
        document: results with their versions and machine, as ``diffir.evaluation.document`` reads them.
        cases: images to show, each of a set and degradation of the document.
        published: rows from papers. Rows on a set and degradation of the document are shown in a table of their own.
    Raises:
        UsageError: a case belongs to no section of the document, or the file cannot be written.
        ImageError: the pictures of a case are not of one size and kind.
    """
    page = _page(document, cases, published, title).encode("utf-8", "replace")  # names may hold undecodable bytes
    try:
        with write_atomically(path) as file:
            file.write(page)
    except OSError as error:
        raise UsageError(f"{path}: the report cannot be written ({error.strerror or error})") from error


def _page(document: EvaluationDocument, cases: Sequence[Case], published: Sequence[PublishedRow], title: str) -> Html:
    # Cases and published rows go to the section with their set and degradation.
    sections = sections_of(document.results)
    _check_places(sections, cases)
    numbered = list(enumerate(cases))
    shown = [
        _section(
            section,
            number,
            [(n, case) for n, case in numbered if _same_place(section, case.dataset, case.degradation)],
            [row for row in published if _same_place(section, row.dataset, row.degradation)],
        )
        for number, section in enumerate(sections)
    ]
    return whole_page(title, _head(document, sections, title), tag("main", *shown))


def whole_page(title: str, *content: Html) -> Html:
    """Return a page with this content and with the styles, the script and the policy of the report."""
    body = tag("body", *content, _script())
    return join(Html("<!doctype html>\n"), tag("html", tag("head", *_meta(title)), body, lang="en"))


def _meta(title: str) -> list[Html]:
    # The page may show only inline images, and run only the style and the script of this package.
    policy = (
        f"default-src 'none'; img-src data:; style-src '{_hash('page.css')}'; script-src '{_hash('page.js')}'; "
        "base-uri 'none'; form-action 'none'"
    )
    return [
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        tag("link", rel="icon", href="data:,"),
        tag("style", Html(_text("page.css"))),
    ]


def _script() -> Html:
    return tag("script", Html(_text("page.js")))


def _head(document: EvaluationDocument, sections: Sequence[Section], title: str) -> Html:
    facts = [f"{name} {version}" for name, version in document.versions.items()]
    facts += [f"{key}: {value}" for key, value in document.machine.items()]

    # Links to the sections, if there is more than one.
    links = [
        tag("li", tag("a", s.dataset, tag("span", s.degradation, class_="under"), href=f"#section-{n}"))
        for n, s in enumerate(sections)
    ]
    return tag(
        "header",
        tag("button", "Dark", type="button", class_="theme", aria_pressed="false", hidden=True),
        tag("p", "diffir", class_="brand"),
        tag("h1", title),
        tag("p", _what(document.results), class_="what"),
        tag("p", " · ".join(facts), class_="versions"),
        tag("nav", tag("ul", *links), aria_label="Sections") if len(sections) > 1 else None,
        class_="top",
    )


def _what(results: Sequence[Result]) -> str:
    """Say how much was measured, such as "3 methods on 2 sets", and how to read the tables."""
    methods, sets = len({r.method for r in results}), len({r.dataset for r in results})
    counted = f"{methods} {'method' if methods == 1 else 'methods'} on {sets} {'set' if sets == 1 else 'sets'}"
    return f"{counted}. Means over images, beneath them the 95 % interval of the mean. The best measured is in colour."


def _section(
    section: Section, number: int, cases: Sequence[tuple[int, Case]], published: Sequence[PublishedRow]
) -> Html:
    title = f"{section.dataset}, {section.degradation}"

    # Results that cannot be ranked with one another have tables of their own.
    measured = []
    for table_number, table in enumerate(section.tables):
        measured += [
            tag("p", _about(table[0]), class_="about"),
            score_table(table, title),
            notes(table),
            spread(table, f"measure-{number}-{table_number}"),
        ]

    # Cases start with the result of the method that the first table is about.
    primary = primary_of(section.tables[0]).method
    shown = [case_view(case, primary, n) for n, case in cases]
    return tag(
        "section",
        tag("h2", section.dataset, tag("span", section.degradation)),
        *measured,
        published_table(published, title),
        join(tag("h3", "Case by case"), *shown) if shown else None,
        id=f"section-{number}",
    )


def _about(result: Result) -> str:
    """Say how many images were measured, and how they were degraded."""
    number = f"{result.count} of {result.of}" if result.of else f"{result.count}"
    described = result.degradation_facts.get("description")
    images = "image" if number == "1" else "images"
    return f"{number} {images}. {str(described).rstrip('.')}." if described else f"{number} {images}."


def _check_places(sections: Sequence[Section], cases: Sequence[Case]) -> None:
    for case in cases:
        if not any(_same_place(section, case.dataset, case.degradation) for section in sections):
            known = "; ".join(f"{s.dataset}, {s.degradation}" for s in sections)
            raise UsageError(f"case {case.name}: no section {case.dataset}, {case.degradation}; there are: {known}")


def _same_place(section: Section, dataset: str, degradation: str) -> bool:
    """Compare names without regard to case, since papers and cards differ in it."""
    return (section.dataset.lower(), section.degradation.lower()) == (dataset.lower(), degradation.lower())


def _text(name: str) -> str:
    """Read a text file of this package."""
    return files("diffir.report").joinpath(name).read_text("utf-8")


def _hash(name: str) -> str:
    """The hash by which the policy allows an inline script or style (CSP level 3, 2.3.1)."""
    return "sha256-" + base64.b64encode(hashlib.sha256(_text(name).encode("utf-8")).digest()).decode()
