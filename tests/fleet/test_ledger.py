"""The ledger: one row for each photo, in files that are only added, from which a run goes on."""

from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as parquet
import pytest

from diffir.errors import DiffIRError
from diffir.fleet import ledger as ledger_module
from diffir.fleet.ledger import SCHEMA, Ledger
from diffir.fleet.run import plan, unfinished
from diffir.fleet.stores import Store, StoredPhoto
from diffir.fleet.worker import row_of

PHOTO = StoredPhoto("a.png", 10)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(Store.at(str(tmp_path / "ledger")))


def row(name: str, **values: object) -> dict:
    empty = {field.name: 0 if "int" in str(field.type) else "" for field in SCHEMA}
    return {**empty, "input": name, "seconds": 0.5, "finished": datetime.now(UTC), **values}


def test_rows_come_back_and_the_last_one_of_a_photo_counts(ledger: Ledger) -> None:
    ledger.add([row("a", error="bad"), row("b")])
    ledger.flush()
    ledger.add([row("a")])
    ledger.flush()

    assert [(one["input"], one["error"]) for one in ledger.rows()] == [("a", ""), ("b", "")]


def test_files_are_added_and_never_changed(ledger: Ledger) -> None:
    ledger.add([row("a")])
    ledger.flush()
    first = {name: Path(ledger.store.root, name).read_bytes() for name in ledger.store.listing(".parquet")}
    ledger.add([row("b")])
    ledger.flush()

    assert len(ledger.store.listing(".parquet")) == 2
    assert all(Path(ledger.store.root, name).read_bytes() == content for name, content in first.items())


def test_other_programs_read_the_folder_as_one_table(ledger: Ledger) -> None:
    for name in "abc":
        ledger.add([row(name)])
        ledger.flush()

    assert parquet.read_table(ledger.store.root).column("input").to_pylist() == ["a", "b", "c"]


def test_many_rows_are_written_without_waiting_for_the_end(ledger: Ledger, monkeypatch) -> None:
    monkeypatch.setattr(ledger_module, "_ROWS_KEPT", 2)
    ledger.add([row("a")])
    assert ledger.store.listing(".parquet") == []

    ledger.add([row("b")])

    assert len(ledger.rows()) == 2


def test_a_file_that_is_no_ledger_is_named(ledger: Ledger) -> None:
    folder = Path(ledger.store.root)
    folder.mkdir()
    (folder / "part-0.parquet").write_text("no parquet")

    with pytest.raises(DiffIRError, match=r"part-0.parquet: no file of a ledger"):
        ledger.rows()


@pytest.mark.parametrize(
    ("known", "size", "retry_failed", "is_left"),
    [
        ({}, 10, False, False),
        ({"error": "bad"}, 10, False, False),
        ({"error": "bad"}, 10, True, True),
        ({}, 11, False, True),
        ({"options": "another network"}, 10, False, True),
    ],
    ids=["done", "failed", "failed and retried", "the photo has changed", "done with other options"],
)
def test_what_the_ledger_knows_is_not_restored_again(make_work, ledger, known, size, retry_failed, is_left) -> None:
    work = make_work()
    (planned,) = plan([PHOTO], "auto")
    ledger.add([{**row_of(work, planned), **known}])
    ledger.flush()

    left = unfinished(plan([StoredPhoto("a.png", size)], "auto"), ledger, work, retry_failed=retry_failed)

    assert bool(left) == is_left
