"""The variants that a sweep has found so far, in memory or in a folder beside its output.

Beside the output ``out.csv`` a folder ``.out.csv.sweep`` holds what was found, so that an
interrupted sweep can go on. The output itself appears when it is whole.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from shutil import rmtree
from time import monotonic
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from costlab.atomic_files import is_special, locked
from costlab.errors import SweepError
from costlab.sweeps.keep import Found
from costlab.sweeps.plan import Plan
from costlab.sweeps.search import Search
from costlab.version import __version__

if TYPE_CHECKING:
    import pandas as pd

ROWS = 2**20
"""Rows that are counted again and written at once."""

MOST_TIED = 1_000_000
_EVERY = 0.5


@dataclass(frozen=True)
class State:
    """How far a sweep is: the block that comes next, what was found, and how many are kept."""

    begin: int
    found: Found
    kept: int


class Store:
    """Holds the variants that were found: in memory, or in a folder beside the output file.

    ``most`` is how many variants may be kept. Raises ``SweepError`` if another sweep writes the
    same output, and with ``resume`` if there is no beginning of this one; ``OSError``.
    """

    def __init__(
        self,
        plan: Plan,
        output: Path | None = None,
        resume: bool = False,
        most: int | None = None,
    ) -> None:
        self.plan, self._most = plan, most
        self._at = State(0, Found.nothing(len(plan.wanted.goals)), 0)
        self._saved = monotonic()
        self._folder: Path | None = None
        self._lock = ExitStack()
        self._pieces: list[NDArray[np.int64]] = []
        if output is not None and not is_special(output):
            output = Path(os.path.realpath(output))
            if output.is_dir():
                raise IsADirectoryError(21, os.strerror(21), str(output))
            self._folder = output.with_name(f".{output.name}.sweep")
            self._open(resume)

    @property
    def begin(self) -> int:
        """The block to go on with."""
        return self._at.begin

    @property
    def seen(self) -> int:
        """How many variants were looked at."""
        return self._at.found.seen

    @property
    def found(self) -> Found:
        """The variants that were found; where all are wanted, only the counts of these."""
        self._settle()
        return self._at.found

    @property
    def kept(self) -> int:
        """How many variants are kept."""
        self._settle()
        return self._at.kept

    def _settle(self) -> None:
        at = self._at
        if at.found.later:
            settled = at.found.settled(self.plan.wanted)
            self._at = State(at.begin, settled, len(settled.indices))

    def add(self, more: Found, begin: int) -> None:
        """Add what was found up to block ``begin``. Raises ``SweepError`` if it is too much."""
        wanted, count = self.plan.wanted, len(more.indices)
        if wanted.kind == "all":  # only numbers, one after the other
            self._append(more.indices)
            count += self._at.kept
            more = replace(more, indices=more.indices[:0])
        joined = self._at.found.then(wanted, more)
        if wanted.kind != "all":
            count = len(joined.joined.indices)
        self._at = State(begin, joined, count)  # at once: Ctrl-C may come at any time
        most = MOST_TIED if self._most is None else self._most
        if wanted.kind == "front" and count > min(most, MOST_TIED):
            count = self.kept  # fewer, once the later ones are reduced
        if self._most is not None and count > self._most:
            self.forget()
            raise SweepError(
                f"more than {self._most:,} variants are to be shown: use --where or --top, "
                "or write all of them with -o FILE.csv or -o FILE.parquet"
            )
        if wanted.kind == "front" and count > MOST_TIED:
            self.forget()
            raise SweepError(
                f"more than {MOST_TIED:,} variants are on the front, most of them alike in these "
                "goals: add a goal or a condition"
            )
        if monotonic() - self._saved > _EVERY:
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
        """Write the state to the folder: an interrupted sweep goes on from there."""
        if self._folder is None:
            return
        at = self._at
        found, joined = at.found, at.found.joined
        state: dict[str, Any] = {
            "plan": np.frombuffer(self._digest(), np.uint8),
            "begin": at.begin,
            "kept": at.kept,
            "counts": [found.seen, found.undefined, found.beyond, found.refused],
            "missing": np.array(found.missing, np.int64).reshape(-1, 2),
            "indices": joined.indices,
            **{f"key{i}": _plain(key) for i, key in enumerate(joined.keys)},
        }
        beside = self._folder / "state.part.npz"
        np.savez(beside, **state)
        beside.replace(self._state)
        self._saved = monotonic()

    def forget(self) -> None:
        """Delete the folder, since the output is whole."""
        self.close()
        if self._folder is not None:
            rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def close(self) -> None:
        """Let another sweep write the same output."""
        self._lock.close()

    @property
    def part(self) -> Path | None:
        """Where to write the output until it is whole."""
        return self._folder and self._folder / "output.part"

    def _open(self, resume: bool) -> None:
        assert self._folder is not None
        self._folder.mkdir(exist_ok=True)
        if not locked(self._lock.enter_context((self._folder / "lock").open("w"))):
            self.close()
            raise SweepError(f"another sweep is writing this file (its folder: {self._folder})")
        if resume and self._state.exists():
            self._load()
            return
        for file in (self._state, self._numbers):
            file.unlink(missing_ok=True)

    @property
    def _state(self) -> Path:
        assert self._folder is not None
        return self._folder / "state.npz"

    @property
    def _numbers(self) -> Path:
        assert self._folder is not None
        return self._folder / "numbers.int64"

    def _digest(self) -> bytes:
        """A hash of the plan, by which another sweep's folder is known as such."""
        plan = [__version__, asdict(self.plan)]
        return sha256(json.dumps(plan, default=str, sort_keys=True).encode()).digest()

    def _append(self, numbers: NDArray[np.int64]) -> None:
        if self._folder is None:
            self._pieces.append(numbers)
            return
        with self._numbers.open("r+b" if self._numbers.exists() else "wb") as file:
            file.seek(self.kept * 8)  # what was left by an interruption is overwritten
            file.write(numbers.tobytes())

    def _on_disk(self) -> Any:
        if not self.kept:
            return np.empty(0, np.int64)
        return np.memmap(self._numbers, np.int64, "r", shape=(self.kept,))

    def _load(self) -> None:
        anew = "leave out --resume to start anew"
        try:
            with self._state.open("rb") as file, np.load(file, allow_pickle=False) as state:
                same = state["plan"].tobytes() == self._digest()
                goals = range(len(self.plan.wanted.goals)) if same else ()
                keys = tuple(_restored(state[f"key{i}"]) for i in goals)
                seen, undefined, beyond, refused = map(int, state["counts"])
                missing = tuple((int(network), int(first)) for network, first in state["missing"])
                saved = Found(state["indices"], keys, (), seen, undefined, beyond, refused, missing)
                found = Found.nothing(len(keys)).then(self.plan.wanted, saved)
                reached = State(int(state["begin"]), found, int(state["kept"]))
            if same and self.plan.wanted.kind == "all" and reached.kept:
                same_size = self._numbers.stat().st_size >= reached.kept * 8
                if not same_size:
                    raise EOFError
        except (OSError, EOFError, ValueError, KeyError, BadZipFile):
            self.close()
            raise SweepError(f"{self._folder} is damaged: {anew}") from None
        if not same:
            self.close()
            raise SweepError(f"{self._folder} holds another sweep: {anew}")
        self._at = reached


def _plain(key: NDArray[Any]) -> NDArray[Any]:
    """Numbers beyond 64 bits as text, which a file can hold."""
    return np.array([str(number) for number in key], np.str_) if key.dtype == object else key


def _restored(key: NDArray[Any]) -> NDArray[Any]:
    return np.array([int(word) for word in key], object) if key.dtype.kind == "U" else key


def frame(search: Search, numbers: NDArray[np.int64]) -> pd.DataFrame:
    """Variants as a pandas frame."""
    import pandas as pd

    variants: pd.DataFrame = pd.DataFrame(search.rows(numbers))
    return variants
