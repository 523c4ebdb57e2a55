"""What may be compared stands together, and nothing else does."""

import math

import pytest

from diffir.errors import UsageError
from diffir.report.document import primary_of, read_sections
from diffir.systems.diffir.prior_study import NEED_TEACHER


def methods(tables) -> list[list[str]]:
    return [[result.method for result in table] for table in tables]


def test_methods_on_one_set_under_one_condition_share_a_table(document):
    (section,) = read_sections(document)

    assert methods(section.tables) == [["input", "nlm", "photo"]]


@pytest.mark.parametrize("changed", [{"test_y_channel": True}, {"crop_border": 4}, {"convention": "matlab"}])
def test_another_protocol_makes_another_table(document, changed):
    document["results"][1]["protocol"] |= changed

    (section,) = read_sections(document)

    assert methods(section.tables) == [["input", "photo"], ["nlm"]]


def test_other_images_or_another_damage_make_another_table(document, make_result):
    fewer = make_result("dct", [30.0, 31.0])
    degradation = {**fewer["degradation"], "masks_sha256": "ab"}  # told in the same words
    other = make_result("tv", [30.0, 31.0, 32.0, 33.0], degradation=degradation)
    document["results"] += [fewer, other, make_result("copy", [30.0] * 4, data_sha256="other files of these names")]

    (section,) = read_sections(document)

    assert methods(section.tables) == [["input", "nlm", "photo"], ["dct"], ["tv"], ["copy"]]


def test_an_output_that_is_not_rounded_is_still_compared(document):
    document["results"][0]["protocol"]["round_output"] = False

    assert len(read_sections(document)[0].tables) == 1


def test_every_set_and_condition_is_a_section_in_the_order_of_the_file(document, make_result):
    places = [("Set4", "sigma 50"), ("Other", "sigma 25"), ("Set4", "sigma 25")]
    document["results"] += [make_result("dct", [30.0], dataset=d, condition=c) for d, c in places]

    found = [(section.dataset, section.condition) for section in read_sections(document)]

    assert found == [("Set4", "sigma 25"), ("Set4", "sigma 50"), ("Other", "sigma 25")]


def test_numbers_that_are_not_finite_come_back_from_their_words(document, make_result):
    document["results"] = [make_result("copy", ["inf", "-inf", "nan", 1.0])]

    scores = [image.scores["psnr"] for image in read_sections(document)[0].tables[0][0].images]

    assert scores[:2] == [math.inf, -math.inf]
    assert math.isnan(scores[2])


@pytest.mark.parametrize("prior", NEED_TEACHER)
def test_a_table_is_about_its_first_network_that_has_not_seen_the_truth(document, make_result, prior):
    bound = make_result("bound", [40.0] * 4, kind="network", network={"prior": prior})
    document["results"] = [bound, *document["results"]]

    assert primary_of(read_sections(document)[0].tables[0]).method == "photo"


@pytest.mark.parametrize("broken", [{}, {"format": "diffir evaluation 2"}])
def test_another_file_is_refused_in_one_line(broken):
    with pytest.raises(UsageError, match=r"not an evaluation: .*diffir eval --json"):
        read_sections(broken)


def test_a_result_with_a_field_missing_is_refused(document):
    del document["results"][0]["method"]

    with pytest.raises(UsageError, match=r"broken result .*'method'"):
        read_sections(document)
