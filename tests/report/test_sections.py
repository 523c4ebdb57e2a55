"""What may be compared stands together, and nothing else does."""

import pytest

from diffir.evaluation.document import document_from_json
from diffir.evaluation.prior_rows import NEED_TEACHER
from diffir.report.sections import Section, primary_of, sections_of


def read_sections(document) -> list[Section]:
    return sections_of(document_from_json(document).results)


def methods(tables) -> list[list[str]]:
    return [[result.method for result in table] for table in tables]


def test_methods_on_one_set_under_one_degradation_share_a_table(document):
    (section,) = read_sections(document)

    assert methods(section.tables) == [["input", "nlm", "photo"]]


@pytest.mark.parametrize("changed", [{"test_y_channel": True}, {"crop_border": 4}, {"convention": "matlab"}])
def test_another_protocol_makes_another_table(document, changed):
    document["results"][1]["protocol"] |= changed

    (section,) = read_sections(document)

    assert methods(section.tables) == [["input", "photo"], ["nlm"]]


def test_other_images_or_another_degradation_make_another_table(document, make_result):
    fewer = make_result("dct", [30.0, 31.0])
    degradation = {**fewer["degradation"], "masks_sha256": "ab"}  # described by the same words
    other = make_result("tv", [30.0, 31.0, 32.0, 33.0], degradation=degradation)
    document["results"] += [fewer, other, make_result("copy", [30.0] * 4, data_sha256="other files of these names")]

    (section,) = read_sections(document)

    assert methods(section.tables) == [["input", "nlm", "photo"], ["dct"], ["tv"], ["copy"]]


def test_an_output_that_is_not_rounded_is_still_compared(document):
    document["results"][0]["protocol"]["round_output"] = False

    assert len(read_sections(document)[0].tables) == 1


def test_every_set_and_degradation_is_a_section_in_the_order_of_the_file(document, make_result):
    places = [("Set4", "sigma 50"), ("Other", "sigma 25"), ("Set4", "sigma 25")]
    document["results"] += [make_result("dct", [30.0], dataset=d, condition=c) for d, c in places]

    found = [(section.dataset, section.degradation) for section in read_sections(document)]

    assert found == [("Set4", "sigma 25"), ("Set4", "sigma 50"), ("Other", "sigma 25")]


@pytest.mark.parametrize("prior", NEED_TEACHER)
def test_a_table_is_about_its_first_network_that_has_not_seen_the_truth(document, make_result, prior):
    bound = make_result("bound", [40.0] * 4, kind="network", network={"prior": prior})
    document["results"] = [bound, *document["results"]]

    assert primary_of(read_sections(document)[0].tables[0]).method == "photo"
