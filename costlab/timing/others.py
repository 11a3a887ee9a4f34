"""What else the machine does while something is measured."""

from __future__ import annotations

import os
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

_STAT = Path("/proc/stat")


class _Seconds(NamedTuple):
    """Of all processors, at work for anybody; of this process; and of the clock."""

    busy: float
    own: float
    clock: float


class Others:
    """What other processes take of the processors, from when it is made.

    Where the system does not count it (``/proc/stat`` is Linux's), it is by how many processes
    have lately wanted to run, with ``threads`` of them taken to be one's own.
    """

    def __init__(self, threads: int) -> None:
        self._lately = _wanted() - threads
        self._start = _seconds()

    def share(self) -> float:
        """So far, as a share of all processors: from 0 to 1."""
        processors, now = os.cpu_count() or 1, _seconds()
        if self._start is None or now is None:
            return min(max(self._lately / processors, 0.0), 1.0)
        busy, own, clock = (after - before for before, after in zip(self._start, now, strict=True))
        return min(max((busy - own) / (clock * processors), 0.0), 1.0) if clock else 0.0


def _seconds() -> _Seconds | None:
    """What the system has counted since it began; None if it does not."""
    try:
        first = _STAT.read_text(encoding="ascii").partition("\n")[0]
    except OSError:
        return None
    user, nice, system, _idle, _waiting, *interrupts = map(int, first.split()[1:9])
    busy = (user + nice + system + sum(interrupts)) / os.sysconf("SC_CLK_TCK")
    used = os.times()
    return _Seconds(busy, used.user + used.system, perf_counter())


def _wanted() -> float:
    """How many processes wanted to run in the last minute, on average; 0 if it is not known."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
