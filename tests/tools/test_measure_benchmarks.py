"""tools/measure_benchmarks.py: new weights take the place of the old ones, and nothing else moves."""

import json
from pathlib import Path

import pytest

from diffir.evaluation import ImageScores
from diffir.evaluation.document import EvaluationDocument, Result, document_to_json, read_document
from diffir.evaluation.scoring import summarise
from diffir.metrics.protocol import Protocol


@pytest.fixture(scope="module")
def tool(load_tool):
    return load_tool("measure_benchmarks")


def result(dataset: str, method: str, psnr: float) -> Result:
    evaluation = summarise([ImageScores("a", {"psnr": psnr})], Protocol(), round_output=True)
    facts = {"kind": "noise", "sigma": 25}
    return Result(method, "baseline", "does nothing", {}, None, None, dataset, 1, 1, "d", "sigma 25", facts, evaluation)


def file_of(*results: tuple[str, str, float], torch: str = "2.13.0") -> EvaluationDocument:
    return EvaluationDocument({"torch": torch}, {"cores": 2}, tuple(result(*row) for row in results))


def write(path: Path, document: EvaluationDocument) -> None:
    path.write_text(json.dumps(document_to_json(document)), "utf-8")


def test_the_new_result_stands_where_the_old_one_stood(tool):
    old = file_of(("set5", "nlm", 27.0), ("set5", "denoise", 30.0), ("set5", "photo", 29.0), ("set14", "nlm", 26.0))

    merged = tool.with_results(old, file_of(("set5", "denoise", 31.0)), ["nlm", "denoise", "photo"])

    expected = file_of(
        ("set5", "nlm", 27.0), ("set5", "denoise", 31.0), ("set5", "photo", 29.0), ("set14", "nlm", 26.0)
    )
    assert merged == expected


def test_methods_stand_in_the_order_of_the_run_and_no_others(tool):
    old = file_of(("set14", "photo", 28.0), ("set5", "nlm", 27.0), ("set5", "photo", 29.0), ("set5", "gone", 1.0))

    merged = tool.with_results(old, file_of(("set5", "denoise", 31.0)), ["nlm", "denoise", "photo"])

    assert [(row.dataset, row.method) for row in merged.results] == [
        ("set14", "photo"),
        ("set5", "nlm"),
        ("set5", "denoise"),
        ("set5", "photo"),
    ]


def test_results_of_other_versions_are_not_mixed(tool):
    with pytest.raises(SystemExit, match=r"versions were .*2.13.0.* and are .*2.14.0.*: measure the whole run"):
        tool.with_results(file_of(), file_of(torch="2.14.0"), [])


def test_one_method_is_measured_alone_and_the_file_keeps_the_others(tool, tmp_path, monkeypatch):
    commands = []

    def fake_eval(command: list[str]) -> int:
        commands.append(command)
        write(Path(command[command.index("--json") + 1]), file_of(("set5", "denoise", 31.0)))
        return 0

    monkeypatch.setattr(tool, "diffir", fake_eval)
    monkeypatch.setattr(tool, "FOLDER", tmp_path)
    monkeypatch.setattr(tool, "RUNS", {"noise": "-n nlm,denoise -d set5 --sigma 25", "jpeg": "-n jpeg -d live1"})
    monkeypatch.setattr(tool.benchmarks_page, "main", lambda _: 0)
    write(tmp_path / "noise.json", file_of(("set5", "nlm", 27.0), ("set5", "denoise", 30.0)))

    assert tool.main(["--only", "denoise"]) == 0

    assert [command[:7] for command in commands] == [["eval", "-n", "denoise", "-d", "set5", "--sigma", "25"]]
    assert read_document(tmp_path / "noise.json") == file_of(("set5", "nlm", 27.0), ("set5", "denoise", 31.0))


def test_one_method_has_no_place_in_a_file_that_is_not_there(tool, tmp_path, monkeypatch):
    monkeypatch.setattr(tool, "FOLDER", tmp_path)

    with pytest.raises(SystemExit, match=r"jpeg\.json does not exist: measure the whole run"):
        tool.main(["jpeg", "--only", "photo"])


@pytest.mark.parametrize(
    ("words", "message"),
    [(["nois"], "no run is called nois: denoising, "), (["jpeg", "--only", "derain"], "no run names derain")],
)
def test_a_wrong_word_is_one_clear_line(tool, words, message, capsys):
    with pytest.raises(SystemExit):
        tool.main(words)

    assert message in capsys.readouterr().err
