"""The ledger of a fleet: one row for each photo that was tried, in Parquet files beside the results.

In: rows as workers make them. Out: files ``part-*.parquet`` in a folder, which any program reads together as one table.
Rows are added in new files and never changed; the last row of a photo counts. So a run that was stopped goes on where
it was, and a bad photo is a row with an error.
"""

from __future__ import annotations

import secrets
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as parquet

from diffir.errors import DiffIRError
from diffir.fleet.stores import Store

SCHEMA = pa.schema(
    [
        ("input", pa.string()),  # address of the photo
        ("input_bytes", pa.int64()),
        ("output", pa.string()),  # address of the result; empty if it failed
        ("output_bytes", pa.int64()),
        ("sha256", pa.string()),  # of the result's bytes
        ("width", pa.int32()),  # of the result in pixels
        ("height", pa.int32()),
        ("seconds", pa.float64()),  # reading, restoring and writing, without transfers
        ("notes", pa.string()),  # what the format could not hold, and other remarks
        ("error", pa.string()),  # why it failed, in one line; empty if it did not
        ("options", pa.string()),  # network and options of the run
        ("worker", pa.string()),  # name of the machine
        ("finished", pa.timestamp("ms", tz="UTC")),
    ]
)
Row = dict[str, Any]
_ROWS_KEPT = 1000
_SECONDS_KEPT = 10.0  # a run that is killed forgets at most so much, and makes those results again


class Ledger:
    """Reads and adds rows; rows that were added are on the disk after ``flush``."""

    def __init__(self, store: Store) -> None:
        """
        Args:
            store: the folder of the Parquet files.
        """
        self.store = store
        self._rows: list[Row] = []
        self._flushed = time.monotonic()

    def rows(self) -> list[Row]:
        """The last row of each photo.

        Raises:
            DiffIRError: a file cannot be read.
        """
        last: dict[str, Row] = {}
        with tempfile.TemporaryDirectory() as folder:
            for name in self.store.listing(".parquet"):
                try:
                    rows = parquet.read_table(self.store.fetch(name, Path(folder))).to_pylist()
                    last |= {row["input"]: row for row in rows}
                except (pa.ArrowException, KeyError, OSError) as error:
                    address = self.store.address(name)
                    raise DiffIRError(f"{address}: no file of a ledger ({' '.join(str(error).split())})") from error
        return list(last.values())

    def add(self, rows: Sequence[Row]) -> None:
        """Add rows, and write them if many or old ones wait."""
        self._rows += rows
        if len(self._rows) >= _ROWS_KEPT or time.monotonic() - self._flushed > _SECONDS_KEPT:
            self.flush()

    def flush(self) -> None:
        """Write the rows that wait as a new file, whose name sorts behind those of earlier files."""
        self._flushed = time.monotonic()
        if not self._rows:
            return
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, f"part-{time.time_ns():020d}-{secrets.token_hex(4)}.parquet")
            parquet.write_table(pa.Table.from_pylist(self._rows, schema=SCHEMA), file)
            self.store.put(file, file.name)
        self._rows = []
