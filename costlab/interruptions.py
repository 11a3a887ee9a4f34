"""What has to be tidied up is tidied up before a signal ends the program."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def ended_only_after_this() -> Iterator[None]:
    """A signal that ends the program interrupts what is in here first, as Ctrl-C does.

    A job that is cancelled is ended so, and Python would remove nothing. Handlers of the user's own
    stay as they are.
    """
    import signal
    import threading

    received: list[int] = []

    def interrupt(number: int, _frame: object) -> None:
        received.append(number)
        raise KeyboardInterrupt

    known = [getattr(signal, name, None) for name in ("SIGTERM", "SIGHUP")]
    ours = [number for number in known if number and signal.getsignal(number) is signal.SIG_DFL]
    if threading.current_thread() is not threading.main_thread():
        ours = []  # only the main thread has handlers
    for number in ours:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)
        if received:
            signal.raise_signal(received[0])
