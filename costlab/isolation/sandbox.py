"""Runs foreign code: quietly, for a limited time, and without what it would leave changed."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout, suppress
from io import StringIO
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from torch import nn

T = TypeVar("T")

TIMEOUT = 600.0
"""Seconds after which a counter is given up."""


class _Late(BaseException):
    """Raised in the middle of foreign code; no ``except Exception`` of its own catches it."""


def run_within(
    seconds: float,
    run: Callable[[], T],
    *,
    modules: Iterable[nn.Module] = (),
    training: bool = False,
    undo: Callable[[], None] | None = None,
) -> T:
    """The result of ``run()``. Raises ``TimeoutError`` if it takes more than these seconds.

    It is interrupted where Python code runs: between two calls of torch, not inside of one.
    ``modules``, in evaluation mode or in ``training``, and their classes are left as they are;
    ``undo`` is called when the run is over, however it ended, and takes its time.
    """
    with _quiet(), _restored(list(modules), training):
        watch = _Watch(seconds)
        try:
            try:
                watch.start()
                return run()
            finally:
                watch.end()
        except _Late:
            watch.end()
            raise TimeoutError(f"it was not done after {seconds:g} seconds") from None
        finally:
            if undo is not None:
                undo()


class _Watch:
    """Raises ``_Late`` in the thread that made it, again every second until it ends."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._watched = threading.get_ident()
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._late = False

    def start(self) -> None:
        threading.Thread(target=self._wait, daemon=True).start()

    def end(self) -> None:
        while not self._ended.is_set():
            with suppress(_Late), self._lock:
                self._ended.set()
        if self._late:
            # What has been asked for may not have come yet. Python 3.11 looks for it at every call
            # from then on, and for ever under a profiler: asked for once more, it comes here.
            with suppress(_Late):
                self._raise()
                while True:
                    pass

    def _wait(self) -> None:
        pause = min(self._seconds, threading.TIMEOUT_MAX)
        while not self._ended.wait(pause):
            with self._lock:
                if not self._ended.is_set():
                    self._late = True
                    self._raise()
            pause = 1

    def _raise(self) -> None:
        import ctypes  # here, as logging below: the light path waits for neither

        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(self._watched), ctypes.py_object(_Late)
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Discard what is printed, warned of and logged inside."""
    import logging

    root = logging.getLogger()
    disabled, handlers = root.manager.disable, root.handlers[:]
    logging.disable(logging.CRITICAL)
    try:
        with ExitStack() as stack:
            stack.enter_context(redirect_stdout(StringIO()))
            stack.enter_context(redirect_stderr(StringIO()))
            stack.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
        root.handlers[:] = handlers  # logging.warning adds one


@contextmanager
def _restored(modules: list[nn.Module], training: bool) -> Iterator[None]:
    """Puts back functions of torch that it replaced, its settings and hooks, random numbers.

    And what the modules and their classes have. Runs without gradients, and without the fused ways
    through attention that torch takes then: they are one call of which no counter sees the inside.
    """
    import torch

    from costlab.isolation.module_state import let_train, untouched
    from costlab.isolation.replaced_names import TorchNames
    from costlab.isolation.torch_globals import not_compiled, seed
    from costlab.isolation.turns import turn

    with turn():
        names = TorchNames(modules)
        try:
            with untouched(modules, training), not_compiled():
                if modules:
                    let_train(modules, training)
                torch.backends.mha.set_fastpath_enabled(False)
                seed()  # a run on real tensors draws the same
                yield
        finally:
            names.put_back()
