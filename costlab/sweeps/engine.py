"""Blocks of a grid, spread over processes or a Dask cluster; what they find comes back in order.

Results do not depend on it: neither on how many workers there are, nor on how many of them die.
"""

from __future__ import annotations

import os
import pickle
import signal
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator
from concurrent import futures
from concurrent.futures import CancelledError, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeAlias

from costlab.errors import SweepError, how_to_install, said_of
from costlab.sweeps.keep import Found
from costlab.sweeps.plan import Plan
from costlab.sweeps.search import count_blocks, search

if TYPE_CHECKING:
    from distributed import Client

Task: TypeAlias = tuple[int, int]
"""The numbers of blocks to count: from the first up to, but not including, the last."""

WORTH = 3.0
"""Processes are started for a sweep that takes more seconds than this yet."""

_SECONDS = 0.5
"""How long a task should take: so often results arrive and are saved."""

_MOST_SEEN = {"all": 2**20, "best": 2**24, "front": 2**24}
_TRIES = 20
_FIRST = 2  # the first ones say more of the start than of the pace
_PATIENCE = 1.0

LONELY = 60.0
"""Seconds that a scheduler may be without workers: dead ones are started again by their nannies."""


def run_blocks(
    plan: Plan, begin: int, workers: int, client: Client | None = None
) -> Iterator[tuple[int, Found]]:
    """The wanted variants of all blocks from ``begin`` on, task by task, in the grid's order.

    Each comes with the number of the block to go on with. Counts in this process while that is
    quick enough, else in ``workers`` processes, or on the cluster of a ``distributed.Client``.

    Raises ``SweepError`` if workers die again and again, or the cluster is gone.
    """
    tasks = Tasks(plan, begin)
    if client is not None or workers > 1:
        _require_named(plan)
    if client is not None:
        yield from Cluster(plan, tasks, client).run()
        return
    for done, task in enumerate(tasks):
        counted = count_blocks(plan, *task)
        tasks.learn(task, counted.seconds)
        yield task[1], counted.found
        if workers > 1 and done >= _FIRST and tasks.left() > WORTH:
            yield from Processes(plan, tasks, workers).run()


def _require_named(plan: Plan) -> None:
    """Raise ``SweepError`` for a model that other processes cannot have."""
    try:
        pickle.dumps(plan)
    except Exception as error:  # each object has its own
        raise SweepError(
            f"{plan.subject.title} cannot be sent to other processes ({said_of(error)}): give its "
            "name, FILE.py:NAME, or no workers"
        ) from None


class Tasks:
    """The blocks in pieces, whose size is learnt from how long they take."""

    def __init__(self, plan: Plan, begin: int) -> None:
        self._next, self._blocks, self._size = begin, plan.grid.blocks, 1
        self._pace = 0.0
        variants = max(1, plan.grid.size // plan.grid.blocks)
        self._most = max(1, _MOST_SEEN[plan.wanted.kind] // variants)

    def __iter__(self) -> Iterator[Task]:
        while self._next < self._blocks:
            first, self._next = self._next, min(self._next + self._size, self._blocks)
            yield first, self._next

    def learn(self, task: Task, seconds: float) -> None:
        """A task took so long."""
        self._pace = seconds / (task[1] - task[0])
        right = int(_SECONDS / max(self._pace, 1e-9))
        self._size = max(1, min(right, 4 * self._size, self._most))

    def left(self) -> float:
        """The seconds that the rest takes one worker, as far as is known."""
        return self._pace * (self._blocks - self._next)


class Pool(ABC):
    """Workers, whose results come in the order of the tasks; what dead ones took is done again."""

    dead: tuple[type[BaseException], ...]
    """The errors that mean that a worker died, not that a task is wrong."""

    def __init__(self, plan: Plan, tasks: Tasks, workers: int) -> None:
        self._plan, self._tasks, self._ahead = plan, tasks, 2 * workers + 1
        self._waiting: deque[tuple[Task, Future[Any]]] = deque()
        self._again: deque[Task] = deque()

    @abstractmethod
    def submit(self, task: Task) -> Future[Any]:
        """Let some worker do it."""

    @abstractmethod
    def renew(self) -> None:
        """After a worker died."""

    @abstractmethod
    def close(self) -> None:
        """Give the workers back; what they do is not wanted."""

    @abstractmethod
    def check(self) -> None:
        """Raises ``SweepError`` if no result can come any more."""

    def run(self) -> Iterator[tuple[int, Found]]:
        """The results, each with the block that comes next."""
        failures = 0
        fresh = iter(self._tasks)
        try:
            while True:
                try:
                    self._fill(fresh)
                    if not self._waiting:
                        return
                    task, future = self._waiting[0]
                    counted = future.result(_PATIENCE)
                except self.dead as error:
                    failures += 1
                    if failures > _TRIES:
                        raise SweepError(f"workers die again and again: {error}") from None
                    self.renew()
                    self._again.extendleft(task for task, _ in reversed(self._waiting))
                    self._waiting.clear()
                except futures.TimeoutError:
                    self.check()
                else:
                    failures = 0
                    self._waiting.popleft()
                    self._tasks.learn(task, counted.seconds)
                    search(self._plan).networks.learn(counted.learnt)
                    yield task[1], counted.found
        finally:
            for _, future in self._waiting:
                future.cancel()
            self.close()

    def _fill(self, fresh: Iterator[Task]) -> None:
        while len(self._waiting) < self._ahead:
            task = self._again[0] if self._again else next(fresh, None)
            if task is None:
                return
            if not self._again:
                self._again.append(task)  # until it is submitted, which may fail
            self._waiting.append((task, self.submit(task)))
            self._again.popleft()


class Processes(Pool):
    """Processes of this machine, started anew: the caller may have threads."""

    dead = (BrokenProcessPool, CancelledError)

    def __init__(self, plan: Plan, tasks: Tasks, workers: int) -> None:
        super().__init__(plan, tasks, workers)
        self._workers = workers
        self.pool = self._open()

    def _open(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            self._workers, get_context("spawn"), initializer=_end_with_the_parent
        )

    def submit(self, task: Task) -> Future[Any]:
        with _uninterrupted():
            return self.pool.submit(count_blocks, self._plan, *task)

    def renew(self) -> None:
        self.pool.shutdown(wait=False)
        self.pool = self._open()

    def close(self) -> None:
        self.pool.shutdown(wait=False, cancel_futures=True)

    def check(self) -> None:
        """Nothing: a pool says itself that it is broken."""


def _end_with_the_parent() -> None:
    """Let this worker end when the process that started it is killed, which tells it nothing."""
    parent = parent_process()
    assert parent is not None

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Processes that start in here are deaf to Ctrl-C, which reaches all of a terminal."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


class Cluster(Pool):
    """The workers of a Dask cluster."""

    def __init__(self, plan: Plan, tasks: Tasks, client: Client) -> None:
        from distributed.scheduler import KilledWorker

        super().__init__(plan, tasks, sum(client.nthreads().values()))  # type: ignore[no-untyped-call]
        self.dead = (KilledWorker, CancelledError)
        self._client = client
        self._had_workers = monotonic()
        self._pool = client.get_executor(pure=False)  # type: ignore[no-untyped-call]

    def submit(self, task: Task) -> Future[Any]:
        future: Future[Any] = self._pool.submit(count_blocks, self._plan, *task)
        return future

    def renew(self) -> None:
        self.check()

    def close(self) -> None:
        self._pool.shutdown(wait=False)

    def check(self) -> None:
        if self._client.status != "running":
            raise SweepError("the Dask scheduler is gone: start it again, and --resume goes on")
        if self._client.nthreads():  # type: ignore[no-untyped-call]
            self._had_workers = monotonic()
        elif monotonic() - self._had_workers > LONELY:
            raise SweepError(
                f"the Dask scheduler has had no workers for {LONELY:g} seconds: start some with "
                "dask worker ADDRESS, and --resume goes on"
            )


@contextmanager
def connected(address: str, timeout: float = 10) -> Iterator[Any]:
    """A client of the Dask scheduler there, if it answers within these seconds.

    Raises ``SweepError``.
    """
    try:
        from distributed import Client
    except ImportError:
        raise SweepError(f"Dask is not installed: {how_to_install('cluster')}") from None
    try:
        client = Client(address, timeout=timeout)  # type: ignore[no-untyped-call]
    except Exception as error:  # each protocol has its own
        raise SweepError(
            f"no Dask scheduler answers at {address}: {said_of(error)}; write tcp://HOST:PORT"
        ) from None
    with client:
        yield client
