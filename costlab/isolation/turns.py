"""Modules are followed by one thread at a time: a run gives them other attributes until it ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition, get_ident

from torch import nn

from costlab.errors import TraceError

LONGEST_WAIT = 60.0
"""Seconds. Who follows a module in a thread that its own forward waits for would wait for ever."""

_changed = Condition()
_followed: list[tuple[int, nn.Module]] = []
"""The threads that follow a module now, and which."""


@contextmanager
def turn(module: nn.Module) -> Iterator[None]:
    """Wait until no other thread follows the module, or one that shares modules with it.

    Raises ``TraceError`` after `LONGEST_WAIT`.
    """
    own = (get_ident(), module)
    with _changed:
        if not _changed.wait_for(lambda: not _is_followed(module), LONGEST_WAIT):
            raise TraceError(
                f"{type(module).__name__} is being followed by another thread for more than "
                f"{LONGEST_WAIT:.0f} seconds: give each thread a copy of its own"
            )
        _followed.append(own)
    try:
        yield
    finally:
        with _changed:
            _followed.remove(own)
            _changed.notify_all()


def _is_followed(module: nn.Module) -> bool:
    others = [other for thread, other in _followed if thread != get_ident()]
    if not others:
        return False
    modules = set(map(id, module.modules()))
    return any(id(each) in modules for other in others for each in other.modules())
