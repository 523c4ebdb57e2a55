"""Which images are shown follows from the numbers."""

import pytest

from diffir.evaluation.document import document_from_json
from diffir.evaluation.prior_rows import NEED_TEACHER
from diffir.report import Chosen, choose_cases


def chosen_from(document, **settings) -> list[Chosen]:
    return choose_cases(document_from_json(document), **settings)


def reasons(document, **settings) -> dict[str, str]:
    return {chosen.name: chosen.why for chosen in chosen_from(document, **settings)}


def test_the_worst_the_best_and_the_largest_loss_are_shown(document):
    assert reasons(document) == {
        "creek": "worst of photo by PSNR",
        "dune": "best of photo by PSNR",
        "barn": "where photo loses most: 3.00 dB to nlm",
    }


def test_a_network_that_never_loses_has_no_loss_to_show(document):
    document["results"][1]["images"] = document["results"][0]["images"]

    assert list(reasons(document)) == ["creek", "dune"]


def test_a_loss_that_reads_as_nothing_is_none(document, make_result):
    document["results"] = [document["results"][2], make_result("photo, mean", [30.001, 25.0, 36.0, 31.5])]

    assert not any("loses most" in chosen.why for chosen in chosen_from(document))


def test_the_table_of_baselines_is_not_about_the_input(document):
    document["results"] = document["results"][:2]

    assert all("nlm" in chosen.why for chosen in chosen_from(document))


def test_an_image_chosen_twice_is_shown_once_with_both_reasons(document):
    document["results"][1]["images"][1]["scores"]["psnr"] = 29.0

    chosen = reasons(document)

    assert chosen["creek"] == "worst of photo by PSNR; where photo loses most: 4.00 dB to nlm"
    assert len(chosen) == 2


def test_where_less_is_better_the_largest_score_is_the_worst(document):
    for result in document["results"]:
        for image in result["images"]:
            image["scores"] = {"lpips": image["scores"]["psnr"]}

    chosen = reasons(document)

    assert chosen["dune"].startswith("worst of photo by LPIPS")
    assert chosen["creek"].startswith("best of photo by LPIPS")


@pytest.mark.parametrize("per_group", [0, 1, 2, 3, 4, 9])
def test_no_image_comes_twice_however_many_are_asked_for(document, per_group):
    names = [chosen.name for chosen in chosen_from(document, per_group=per_group)]

    assert len(names) == len(set(names))
    assert min(per_group, 4) <= len(names) <= min(per_group + 1, 4)


@pytest.mark.parametrize("prior", NEED_TEACHER)
def test_a_bound_that_saw_the_truth_beats_nobody(document, make_result, prior):
    before = reasons(document)

    document["results"].insert(0, make_result("bound", [60.0] * 4, kind="network", network={"prior": prior}))

    assert reasons(document) == before


def test_each_set_and_degradation_has_its_own(document, make_result):
    document["results"] += [make_result("dct", [30.0, 31.0], condition="sigma 50")]

    places = [(chosen.dataset, chosen.degradation) for chosen in chosen_from(document)]

    assert places == [("Set4", "sigma 25")] * 3 + [("Set4", "sigma 50")] * 2


def test_infinite_scores_are_the_best_and_missing_ones_are_not_chosen(document):
    photo = document["results"][2]["images"]
    photo[3]["scores"]["psnr"], photo[1]["scores"]["psnr"] = "inf", "nan"

    chosen = reasons(document)

    assert chosen["elm"] == "best of photo by PSNR"
    assert "creek" not in chosen
