"""What a sweep has found so far, in memory or beside its output; and the files that it writes.

Beside the output ``out.csv`` a folder ``.out.csv.sweep`` holds what was found, so that an
interrupted sweep can go on. The output itself appears when it is whole.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path
from shutil import rmtree
from time import monotonic
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from costlab import units
from costlab.errors import OutputError, SweepError
from costlab.variants.keep import Found
from costlab.variants.search import Plan, Search
from costlab.version import __version__

if TYPE_CHECKING:
    import pandas as pd

ROWS = 2**20
"""Rows that are written at once; a row group of a Parquet file."""

MOST_TIED = 1_000_000
_EVERY = 0.5


class Store:
    """What was found: in memory, or with an output file in a folder beside it.

    ``most`` is how many variants may be kept. ``begin`` is the block to go on with.
    """

    def __init__(
        self,
        plan: Plan,
        output: Path | None = None,
        resume: bool = False,
        most: int | None = None,
    ) -> None:
        self.plan, self.begin, self._most = plan, 0, most
        self.found = Found.nothing(len(plan.wanted.goals))
        self.kept = 0
        self._saved = monotonic()
        self._folder = output and output.with_name(f".{output.name}.sweep")
        self._pieces: list[NDArray[np.int64]] = []
        if self._folder is not None:
            if resume and self._state.exists():
                self._load()
            else:
                rmtree(self._folder, ignore_errors=True)
                self._folder.mkdir()

    def add(self, more: Found, blocks: int) -> None:
        """What was found up to that block. Raises ``SweepError`` if it is too much."""
        if self.plan.wanted.kind == "all":  # only numbers, one after the other
            self._append(more.indices)
            self.kept += len(more.indices)
            empty = replace(more, indices=more.indices[:0])
            self.found = self.found.then(self.plan.wanted, empty)
        else:
            self.found = self.found.then(self.plan.wanted, more)
            self.kept = len(self.found.indices)
        self.begin = blocks
        if self._most is not None and self.kept > self._most:
            raise SweepError(
                f"more than {self._most:,} variants are to be shown: use --where or --top, "
                "or write all of them with -o FILE.csv or -o FILE.parquet"
            )
        if self.plan.wanted.kind == "front" and self.kept > MOST_TIED:
            raise SweepError(
                f"more than {MOST_TIED:,} variants are on the front, most of them alike in these "
                "goals: add a goal or a condition"
            )
        if self._folder is not None and monotonic() - self._saved > _EVERY:
            self.save()

    def batches(self) -> Iterator[NDArray[np.int64]]:
        """The numbers of what is kept, in the order to show: at least one batch."""
        if self.plan.wanted.kind != "all":
            numbers = self.found.ordered(self.plan.wanted)
        elif self._folder is None:
            numbers = np.concatenate([*self._pieces, self.found.indices])
        else:
            numbers = self._on_disk()
        for start in range(0, max(1, len(numbers)), ROWS):
            yield np.asarray(numbers[start : start + ROWS])

    def save(self) -> None:
        """Remember it: what comes later is lost if it is interrupted."""
        if self._folder is None:
            return
        found = self.found
        state: dict[str, Any] = {
            "plan": np.frombuffer(self._digest(), np.uint8),
            "begin": self.begin,
            "kept": self.kept,
            "counts": [found.seen, found.undefined, found.beyond, found.refused],
            "indices": found.indices,
            **{f"key{i}": key for i, key in enumerate(found.keys)},
        }
        beside = self._folder / "state.part.npz"
        np.savez(beside, **state)
        beside.replace(self._state)
        self._saved = monotonic()

    def forget(self) -> None:
        """Take away what was remembered, since the output is whole."""
        if self._folder is not None:
            rmtree(self._folder)

    def part(self) -> Path:
        """Where to write the output until it is whole."""
        assert self._folder is not None
        return self._folder / "output.part"

    @property
    def _state(self) -> Path:
        assert self._folder is not None
        return self._folder / "state.npz"

    @property
    def _numbers(self) -> Path:
        assert self._folder is not None
        return self._folder / "numbers.int64"

    def _digest(self) -> bytes:
        """What the plan is: another one cannot go on."""
        plan = [__version__, asdict(self.plan)]
        return sha256(json.dumps(plan, default=str, sort_keys=True).encode()).digest()

    def _append(self, numbers: NDArray[np.int64]) -> None:
        if self._folder is None:
            self._pieces.append(numbers)
            return
        with self._numbers.open("ab") as file:
            file.write(numbers.tobytes())

    def _on_disk(self) -> Any:
        if not self.kept:
            return np.empty(0, np.int64)
        return np.memmap(self._numbers, np.int64, "r", shape=(self.kept,))

    def _load(self) -> None:
        with np.load(self._state, allow_pickle=False) as state:
            if state["plan"].tobytes() != self._digest():
                raise SweepError(
                    f"{self._folder} holds another sweep: leave out --resume to start anew"
                )
            self.begin, self.kept = int(state["begin"]), int(state["kept"])
            keys = tuple(state[f"key{i}"] for i in range(len(self.plan.wanted.goals)))
            self.found = Found(state["indices"], keys, *map(int, state["counts"]))
        if self.plan.wanted.kind == "all" and self.kept:
            if self._numbers.stat().st_size < self.kept * 8:
                raise SweepError(f"{self._numbers} is damaged: leave out --resume to start anew")
            os.truncate(self._numbers, self.kept * 8)


def frame(search: Search, numbers: NDArray[np.int64]) -> pd.DataFrame:
    """Variants as a pandas frame."""
    import pandas as pd

    found: pd.DataFrame = pd.DataFrame(search.rows(numbers))
    return found


def write_csv(store: Store, search: Search, path: Path) -> None:
    """All that was found as CSV, a batch at a time: the last column says what one MAC is."""
    with path.open("w", encoding="utf-8", newline="") as file:
        head = True
        for numbers in store.batches():
            rows = frame(search, numbers)
            rows["mac_unit"] = units.MAC_UNIT
            rows.to_csv(file, header=head, index=False, lineterminator="\n")
            head = False


def write_parquet(store: Store, search: Search, path: Path) -> None:
    """All that was found as Parquet, whose columns say their units. Raises ``OutputError``."""
    try:
        import pyarrow as pa
        from pyarrow.parquet import ParquetWriter
    except ImportError:
        raise OutputError("Parquet needs pyarrow: pip install 'costlab[parquet]'") from None

    writer = None
    for numbers in store.batches():
        columns = search.rows(numbers)
        table = pa.table({name: pa.array(column) for name, column in columns.items()})
        if writer is None:
            schema = pa.schema(
                [
                    each.with_metadata({"unit": units.UNIT_OF.get(each.name, "choice")})
                    for each in table.schema
                ]
            )
            writer = ParquetWriter(path, schema)
        writer.write_table(table.cast(schema), row_group_size=ROWS)
    assert writer is not None
    writer.close()
