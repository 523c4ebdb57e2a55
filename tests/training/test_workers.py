"""The number of processes that read the samples of a run."""

import logging
import os
from pathlib import Path

import pytest

from diffir.api import load_config
from tests.diffir_objects import run_of

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system does not say which cores are at hand")
def test_more_reading_processes_than_cores_are_not_started(monkeypatch, tmp_path, caplog, recwarn) -> None:
    monkeypatch.chdir(REPOSITORY)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0})
    settings = [f"path.experiments_root={tmp_path}", "datasets.train.num_worker_per_gpu=9"]
    run = run_of(load_config(REPOSITORY / "options/debug/tiny.yml", settings))

    with caplog.at_level(logging.INFO):
        first_batch = next(iter(run.facts()))

    assert first_batch.startswith("first batch")
    assert "num_worker_per_gpu 9 is more than the available cores: 1 are used" in caplog.text
    assert not [warning for warning in recwarn if "worker" in str(warning.message)]
