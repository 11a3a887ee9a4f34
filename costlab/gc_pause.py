"""Pauses of Python's garbage collector, for work that makes many objects and no cycles."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock


class _Pause:
    """How many pauses there are now, in all threads, and whether the collector ran before them."""

    lock = Lock()
    depth = 0
    ran = False


@contextmanager
def no_collections() -> Iterator[None]:
    """Disable Python's cyclic garbage collector until the last of nested pauses ends.

    The work makes no cycles, and each collection would take longer than the work between two.
    """
    with _Pause.lock:
        if not _Pause.depth:
            _Pause.ran = gc.isenabled()
            gc.disable()
        _Pause.depth += 1
    try:
        yield
    finally:
        with _Pause.lock:
            _Pause.depth -= 1
            if not _Pause.depth:  # foreign code may have switched it, either way
                (gc.enable if _Pause.ran else gc.disable)()
