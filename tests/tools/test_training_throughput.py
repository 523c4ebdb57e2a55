"""``tools.speed.training_throughput`` trains with every engine in turns and prints a line for each."""

import re
from pathlib import Path

import pytest

from tools.speed import training_throughput

ROOT = Path(__file__).resolve().parents[2]


def test_every_engine_and_kind_has_a_line_with_its_speed_and_its_ratio_to_the_first(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny = ["network_g.task=denoise_tiny", f"datasets.train.dataroot_gt={ROOT}/datasets/samples/train"]
    flags = ["--engines", "torch", "auto", "--kinds", "step", "loop", "--turns", "1", "--steps", "1"]
    monkeypatch.setattr("sys.argv", ["", str(ROOT / "options/denoise/small.yml"), *tiny, "datasets.val=null", *flags])

    training_throughput.main()

    form = r"(\w+ \w+) +([\d.]+) \(.*\) images/s, ratio ([\d.]+) \(.*\)\n"
    names, speeds, ratios = zip(*re.findall(form, capsys.readouterr().out), strict=True)
    assert names == ("torch step", "torch loop", "auto step", "auto loop")
    expected = [float(speed) / float(speeds[0]) for speed in speeds]
    assert [float(ratio) for ratio in ratios] == pytest.approx(expected, abs=0.02)
