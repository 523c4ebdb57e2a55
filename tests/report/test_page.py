"""The file: complete, self-contained, honest about what was measured and what was not; without a browser."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from diffir.data.cards.published_rows import PublishedRow
from diffir.errors import ImageError, UsageError
from diffir.evaluation.document import document_from_json
from diffir.evaluation.prior_rows import MEANINGS, NEED_TEACHER
from diffir.report import write_report

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
PUBLISHED = PublishedRow(
    task="denoising",
    method="DnCNN",
    dataset="set4",
    degradation="sigma 25",
    scores={"psnr": 99.25},
    source="a paper, https://example.org/paper",
    protocol="RGB, as they say",
)


class Reader(HTMLParser):
    """Elements with their attributes, and every text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict]] = []
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, text):
        self.texts.append(text)

    def all(self, tag: str) -> list[dict]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture
def page(tmp_path, document, case):
    def write(**changes) -> str:
        settings = {"cases": [case], "published": [PUBLISHED], **changes}
        write_report(tmp_path / "report.html", document_from_json(document), **settings)
        return (tmp_path / "report.html").read_text("utf-8")

    return write


def test_every_number_of_the_document_is_in_the_page(page):
    texts = " ".join(Reader(page()).texts)

    shown = ["30.62", "21.12 – 39.88", "12.50", "36.00", "0.500", "3.29 M", "48 × 32", "4 of 12 images"]
    assert [number for number in shown if number not in texts] == []


def test_protocol_hashes_versions_and_what_was_skipped_are_in_the_page(page):
    texts = " ".join(Reader(page()).texts)

    told = ["every convention", "ab" * 32, "cd" * 32, "numpy 2.4.6", "threads: 1", "what nlm is"]
    assert [words for words in [*told, "DISTS skipped: its weights are not here"] if words not in texts] == []


def test_the_page_names_no_address_that_a_browser_would_fetch(page):
    reader = Reader(page())

    addresses = [a[key] for _, a in reader.elements for key in ("src", "href", "srcset", "action", "data") if key in a]
    assert addresses
    assert all(address.startswith(("data:", "#")) for address in addresses)
    assert not re.search(r"@import|url\(|fetch\(|XMLHttpRequest|import\(", page())


def test_the_policy_forbids_requests_and_every_script_but_ours(page):
    policy = next(meta["content"] for meta in Reader(page()).all("meta") if "http-equiv" in meta)

    assert policy.startswith("default-src 'none'; img-src data:; ")
    assert "unsafe" not in policy
    assert policy.count("'sha256-") == 2


@pytest.mark.parametrize("field", ["method", "summary", "dataset", "condition", "data_sha256", "kind"])
def test_no_text_of_the_document_becomes_markup(page, document, field):
    for result in document["results"]:
        result[field] = HOSTILE + result[field]

    reader = Reader(page(cases=[], published=[]))

    assert len(reader.all("script")) == 1
    assert not reader.all("img")
    assert HOSTILE in " ".join(reader.texts)


def test_no_name_of_an_image_and_no_published_row_becomes_markup(page, document, case):
    document["results"][0]["images"][0]["name"] = HOSTILE
    pictures = {HOSTILE if name == "photo" else name: picture for name, picture in case.pictures.items()}
    hostile = replace(case, name=HOSTILE, why=HOSTILE, pictures=pictures)
    rows = [replace(PUBLISHED, method=HOSTILE, source=HOSTILE, protocol=HOSTILE)]

    reader = Reader(page(cases=[hostile], published=rows, title=HOSTILE))

    assert len(reader.all("script")) == 1
    assert len(reader.all("img")) == 3


def marked(page: str) -> list[str]:
    """The means that are shown as best."""
    return re.findall(r'<td[^>]*class="number best"[^>]*><span class="mean">([\d.]+)<span', page)


def test_the_best_measured_mean_is_marked_and_nothing_else(page):
    assert marked(page()) == ["30.62"]  # the PSNR of photo; FID is alike in all three


def test_a_published_row_stands_apart_however_good_it_is(page):
    content = page()

    published = content.index("Published, not measured here")
    assert content.index("99.25") > published
    assert "DnCNN" not in content[:published]
    assert "best" not in content[published : content.index("Case by case")]


def test_a_published_row_of_another_set_is_not_shown(page):
    assert "DnCNN" not in page(published=[replace(PUBLISHED, dataset="Set5")])


@pytest.mark.parametrize("prior", NEED_TEACHER)
@pytest.mark.parametrize("values", [[90.0] * 4, [30.0, 25.0, 36.0, 31.5]])
def test_a_bound_is_named_and_neither_marked_nor_in_the_way_of_the_best(page, document, make_result, values, prior):
    document["results"].append(make_result("bound", values, kind="network", network={"prior": prior}))

    content = page()

    assert "bound: sees the ground truth; a bound, not ranked." in content
    assert marked(content) == ["30.62"]


def test_images_that_a_metric_leaves_out_are_named(page, document):
    for result in document["results"]:
        result["unscored"] = {"niqe": ["elm"]}

    assert "niqe leaves out 1 of 4 images, too small for it: elm." in " ".join(Reader(page()).texts)


def test_kinds_of_prior_are_explained_and_their_spread_is_told(page, document, make_result):
    document["results"][2]["prior_spread"] = {"noises": 3, "psnr": 0.25, "pixel": 0.5, "prior": "inf"}
    null = make_result("photo, mean", [30.0, 25.0, 36.0, 31.0], kind="network", network={"prior": "mean"})
    document["results"].append(null)

    text = " ".join(Reader(page()).texts)

    assert f"photo, mean: {MEANINGS['mean']}." in text
    assert "over 3 start noises: PSNR varies by 0.2500 dB" in text


def test_a_metric_of_a_newer_version_is_shown_and_not_ranked(page, document):
    for result, score in zip(document["results"], (1.5, 2.5, 3.5), strict=True):
        result["scores"]["novel"] = {"mean": score, "low": None, "high": None}

    content = page()

    assert "2.5000" in content
    assert marked(content) == ["30.62"]


def test_images_that_are_not_finite_are_counted_and_not_drawn(page, document):
    document["results"][2]["images"][0]["scores"]["psnr"] = "inf"

    content = page()

    assert "1 not finite, not drawn" in content
    assert "∞" in content


@pytest.mark.parametrize(("word", "shown"), [("inf", "∞"), ("-inf", "-∞"), ("nan", "–")])
def test_scores_that_are_not_finite_are_shown_wherever_they_stand(page, document, case, word, shown):
    for result in document["results"]:
        result["scores"]["psnr"] = dict.fromkeys(("mean", "low", "high"), word)
        result["seconds"] = result["peak_memory_mb"] = word
        for image in result["images"]:
            image["scores"]["psnr"] = image["seconds"] = word
    rows = [replace(PUBLISHED, scores={"psnr": float(word)})]

    texts = Reader(page(cases=[replace(case, scores={"photo": {"psnr": float(word)}})], published=rows)).texts

    assert texts.count(shown) >= 3 + 3 * 4 + 1  # means, images, the published row
    assert (f"{shown} – {shown}" in texts) is (word != "nan")
    assert f"PSNR {shown} dB" in texts


def test_files_of_a_folder_are_shown_like_any_method(page, make_result, document):
    given = {"kind": "given", "description": "files of two folders"}
    one = make_result("restored", [30.0, 31.0], kind="folder", degradation=given, of=None, condition="as stored")
    missing = {"parameters": None, "multiply_adds": None, "seconds": None, "peak_memory_mb": None}
    document["results"] = [one | missing]

    texts = Reader(page(cases=[])).texts

    assert {"Set4, as stored", "files of a folder", "2 images. files of two folders."} <= set(texts)
    assert "30.50" in texts


def test_a_large_picture_is_cut_and_the_page_says_so(page, case):
    large = {name: np.tile(picture, (20, 14, 1)) for name, picture in case.pictures.items()}

    texts = " ".join(Reader(page(cases=[replace(case, pictures=large)])).texts)

    assert "512 × 512 pixels of 672 × 640: the part with the largest error" in texts


def test_pictures_of_different_sizes_are_refused(page, case):
    uneven = {**case.pictures, "photo": case.pictures["photo"][:-1]}

    with pytest.raises(ImageError, match=r"creek: pictures of a report are H x W x 3 uint8 of one size"):
        page(cases=[replace(case, pictures=uneven)])


def test_a_case_of_no_section_is_refused(page, case):
    with pytest.raises(UsageError, match=r"creek: no section Set9, sigma 25; there are: Set4, sigma 25"):
        page(cases=[replace(case, dataset="Set9")])


def test_a_report_that_cannot_be_written_leaves_the_old_one(page, case, tmp_path):
    old = page()

    with pytest.raises(UsageError):
        page(cases=[replace(case, dataset="Set9")])

    assert (tmp_path / "report.html").read_text("utf-8") == old
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_a_path_that_is_a_folder_is_one_line(tmp_path, document):
    (tmp_path / "report.html").mkdir()

    with pytest.raises(UsageError, match=r"report\.html: the report cannot be written \("):
        write_report(tmp_path / "report.html", document_from_json(document), [])
