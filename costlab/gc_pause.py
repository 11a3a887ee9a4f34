"""Pauses of Python's collector of garbage, for work that makes many objects and no cycles."""

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
    """Without collections, each of which looks at all young objects, and takes longer than them."""
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
            if not _Pause.depth and _Pause.ran:
                gc.enable()
