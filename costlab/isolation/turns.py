"""Models are followed by one thread at a time: until a run ends it changes what all threads share.

Those are the attributes of modules, names that their code reaches, settings of torch and Python,
and random numbers.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock

from costlab.errors import TraceError

LONGEST_WAIT = 600.0
"""Seconds. Who follows a model in a thread that a forward waits for would wait for ever."""


class _Turn:
    lock = RLock()  # who has it may follow a model in its own forward

    @classmethod
    def begin_anew(cls) -> None:
        """In a process that was forked there is no other thread that would let go of it."""
        cls.lock = RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_Turn.begin_anew)


@contextmanager
def turn() -> Iterator[None]:
    """Wait until no other thread follows a model.

    Raises ``TraceError`` after `LONGEST_WAIT`.
    """
    lock = _Turn.lock
    if not lock.acquire(timeout=LONGEST_WAIT):
        raise TraceError(
            f"another thread has been following a model for more than {LONGEST_WAIT:.0f} seconds: "
            "threads take turns, so a forward must not wait for a thread that follows one"
        )
    try:
        yield
    finally:
        lock.release()
