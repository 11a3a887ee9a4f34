"""Blocks of a grid, spread over processes or a Dask cluster; what they find comes back in order.

Results do not depend on it: neither on how many workers there are, nor on how many of them die.
"""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any, TypeAlias

from costlab.errors import SweepError
from costlab.variants.keep import Found
from costlab.variants.search import Plan, found

if TYPE_CHECKING:
    from distributed import Client

Task: TypeAlias = tuple[int, int]
"""Blocks from the first up to, but not including, the last."""

ALONE = 64
"""A grid of so few blocks is done before other processes have started."""

_SEEN_BY_TASK = {"all": 2**20, "best": 2**23, "front": 2**23}
_TRIES = 20


def run(
    plan: Plan, begin: int, workers: int, client: Client | None = None
) -> Iterator[tuple[int, Found]]:
    """What is wanted of all blocks from ``begin`` on, task by task, in the grid's order.

    Each with the number of the block that comes next.

    In this process if one worker or a small grid asks for no more, else by so many processes, or by
    the cluster of a ``distributed.Client``. Raises ``SweepError`` if workers die again and again.
    """
    blocks = plan.grid.blocks
    if client is None and (workers <= 1 or blocks - begin <= ALONE):
        yield from ((task[1], found(plan, *task)) for task in _tasks(plan, begin, 1))
        return
    if client is not None:
        workers = max(1, len(client.scheduler_info()["workers"]))
    open_pool = _processes(workers) if client is None else _cluster(client)
    yield from _in_order(plan, deque(_tasks(plan, begin, workers)), open_pool, 3 * workers + 1)


def _tasks(plan: Plan, begin: int, workers: int) -> Iterator[Task]:
    blocks = plan.grid.blocks
    each = max(1, _SEEN_BY_TASK[plan.wanted.kind] * blocks // plan.grid.size)
    each = max(1, min(each, blocks // (8 * workers)))
    for first in range(begin, blocks, each):
        yield first, min(first + each, blocks)


def _processes(workers: int) -> Callable[[], Executor]:
    # Not forked: the caller may have threads.
    return lambda: ProcessPoolExecutor(workers, get_context("spawn"), _ignore_interrupts)


def _ignore_interrupts() -> None:
    """Ctrl-C reaches every process of a terminal; the first one says what to do."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _cluster(client: Client) -> Callable[[], Executor]:
    return lambda: client.get_executor(pure=False)  # type: ignore[no-untyped-call]


def _in_order(
    plan: Plan, tasks: deque[Task], open_pool: Callable[[], Executor], ahead: int
) -> Iterator[tuple[int, Found]]:
    """Results in the order of the tasks; what a dead worker took with it is done again."""
    waiting: deque[tuple[Task, Future[Found]]] = deque()
    failures = 0
    pool = open_pool()
    try:
        while tasks or waiting:
            while tasks and len(waiting) < ahead:
                task = tasks.popleft()
                waiting.append((task, pool.submit(found, plan, *task)))
            try:
                result = waiting[0][1].result()
            except _dead() as error:
                failures += 1
                if failures > _TRIES:
                    raise SweepError(f"workers die again and again: {error}") from None
                if isinstance(error, BrokenProcessPool):
                    pool.shutdown(wait=False)
                    pool = open_pool()
                waiting = deque(
                    (task, future if _well(future) else pool.submit(found, plan, *task))
                    for task, future in waiting
                )
                continue
            failures = 0
            (_, last), _ = waiting.popleft()
            yield last, result
    finally:
        for _, future in waiting:
            future.cancel()
        pool.shutdown(wait=False)


def _well(future: Future[Found]) -> bool:
    """Whether a result is there, or may still come."""
    return not future.done() or not (future.cancelled() or future.exception())


def _dead() -> tuple[type[BaseException], ...]:
    """What says that a worker died, and not that a task is wrong."""
    import sys

    dead: tuple[type[BaseException], ...] = (BrokenProcessPool, CancelledError)
    if "distributed" in sys.modules:
        from distributed.scheduler import KilledWorker

        dead = (*dead, KilledWorker)
    return dead


@contextmanager
def connected(address: str, timeout: float = 10) -> Iterator[Any]:
    """A client of the Dask scheduler there, if it answers within these seconds.

    Raises ``SweepError``.
    """
    try:
        from distributed import Client
    except ImportError:
        raise SweepError("Dask is not installed: pip install 'costlab[cluster]'") from None
    try:
        client = Client(address, timeout=timeout)  # type: ignore[no-untyped-call]
    except (OSError, ValueError, TimeoutError) as error:
        raise SweepError(
            f"no Dask scheduler answers at {address}: {error}; write tcp://HOST:PORT"
        ) from None
    with client:
        yield client
