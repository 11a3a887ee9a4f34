"""Sweeps over processes and clusters, some of which die: the same rows."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from functools import partial
from itertools import pairwise
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest
from command_line import Run
from sampled import sampled
from sweeping import WANTED, planned, rows

import costlab as library
from costlab.isolation.sandbox import run_within
from costlab.sweeps import engine
from costlab.sweeps.engine import Task
from costlab.sweeps.files import Store
from costlab.sweeps.request import Request
from costlab.sweeps.sweep import Sweep, counts


@pytest.fixture(scope="module")
def alone() -> dict[str, Any]:
    return {kind: rows(planned(kind)) for kind in WANTED}


def same(found: Any, expected: Any) -> bool:
    return bool(found[0].equals(expected[0])) and found[1] == expected[1]


@pytest.mark.parametrize("kind", sampled(WANTED, "front"))
def test_a_sweep_in_processes_finds_the_same_variants(
    kind: str, alone: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[int] = []
    pool = ProcessPoolExecutor

    def start(workers: int, context: Any, **more: Any) -> Any:
        started.append(workers)
        return pool(workers, context, **more)

    monkeypatch.setattr(engine, "WORTH", 0.0)
    monkeypatch.setattr(engine, "ProcessPoolExecutor", start)
    assert len(alone[kind][0]) > 10
    assert same(rows(planned(kind), workers=2), alone[kind])
    assert started == [2]


def test_a_small_sweep_starts_no_processes(
    alone: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "WORTH", 1e9)
    monkeypatch.setattr(engine, "ProcessPoolExecutor", None)
    assert same(rows(planned("best"), workers=8), alone["best"])


@pytest.mark.parametrize("pause", sampled([0.0, 0.5], 0.5))
def test_a_killed_process_costs_time_and_no_rows(pause: float, alone: dict[str, Any]) -> None:
    """Both processes are killed while they work; what they took with them is done again.

    After a pause the pool knows that it is broken before it gets more to do.
    """
    the_plan = planned("all", cells=60)
    store = Store(the_plan)
    pool = engine.Processes(the_plan, engine.Tasks(the_plan, 0), 2)
    pools = [pool.pool]
    for i, (begin, more) in enumerate(pool.run()):
        store.add(more, begin)
        if i in (1, 4):
            for process in list(pool.pool._processes.values()):
                process.kill()
            time.sleep(pause)
        if pool.pool is not pools[-1]:
            pools.append(pool.pool)
    assert len(pools) > 1
    assert same((Sweep(store).to_frame(), counts(store)), alone["all"])


class DyingWorkers(engine.Processes):
    """Workers that die before they have done anything."""

    def submit(self, task: Task) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_exception(BrokenProcessPool("killed"))
        return future


class WrongTask(engine.Processes):
    """A task that is wrong, which is no worker's fault."""

    def submit(self, task: Task) -> Future[Any]:
        return self.pool.submit(int, "one")


def test_workers_that_always_die_are_an_error() -> None:
    pool = DyingWorkers(planned("all"), engine.Tasks(planned("all"), 0), 2)
    with pytest.raises(library.SweepError, match="workers die again and again: killed"):
        list(pool.run())


def test_an_error_in_a_worker_comes_out() -> None:
    pool = WrongTask(planned("all"), engine.Tasks(planned("all"), 0), 2)
    with pytest.raises(ValueError, match="invalid literal"):
        list(pool.run())


def test_tasks_cover_every_block_once_however_long_they_take() -> None:
    the_plan = planned("all")
    tasks = engine.Tasks(the_plan, 7)
    ends = [7]
    for i, task in enumerate(tasks):
        assert task[0] == ends[-1] < task[1]
        ends.append(task[1])
        tasks.learn(task, (1e-9, 0.1, 60.0)[i % 3])
    assert ends[-1] == the_plan.grid.blocks
    assert len({b - a for a, b in pairwise(ends)}) > 2


def test_a_large_grid_takes_no_memory() -> None:
    """Ten to the fourteenth variants: the tasks are not made beforehand, nor are the numbers."""
    widths = dict.fromkeys(["c1", "c3r", "c3", "c5r", "c5"], "1:256")
    the_plan = Request("reduced", {**widths, "cp": "1:100"}, minimize="macs", top=3).plan()
    assert the_plan.grid.size > 10**14
    assert next(iter(engine.Tasks(the_plan, 0))) == (0, 1)
    _, found = next(engine.run_blocks(the_plan, 0, workers=1))
    assert found.seen <= the_plan.block_size


@pytest.mark.more
@pytest.mark.filterwarnings("ignore")  # of Dask, about the workers that are killed
def test_a_cluster_finds_the_same_variants_while_its_workers_are_killed(
    alone: dict[str, Any],
) -> None:
    """All but one, which is spared: Dask gives some of the others up where the machine is busy.

    One cluster for all kinds of sweeps: to start one takes longer than to sweep.
    """
    distributed: Any = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=3, threads_per_worker=1, dashboard_address=None, silence_logs=50
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        for kind in WANTED:
            client.wait_for_workers(3)
            _, *nannies = cluster.workers.values()
            with killing(nannies) as killed:
                found = run_within(600, partial(rows, planned(kind, cells=100), client=client))
            assert killed
            assert same(found, alone[kind]), kind


@contextmanager
def killing(nannies: list[Any]) -> Iterator[list[int]]:
    """Kills their workers, three in all, while what is in here runs."""
    stop = threading.Event()
    killed: list[int] = []

    def kill() -> None:
        while len(killed) < 3 and not stop.wait(0.4 if killed else 0.01):
            pid = nannies[len(killed) % len(nannies)].pid
            if pid:
                with suppress(ProcessLookupError):  # killed before, and not yet known to be
                    os.kill(pid, signal.SIGKILL)
                killed.append(pid)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        yield killed
    finally:
        stop.set()
        killer.join()


@pytest.mark.filterwarnings("ignore")
def test_a_scheduler_without_workers_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    distributed: Any = pytest.importorskip("distributed")
    monkeypatch.setattr(engine, "LONELY", 1.0)
    with (
        distributed.LocalCluster(n_workers=0, dashboard_address=None, silence_logs=50) as empty,
        distributed.Client(empty) as client,
        pytest.raises(library.SweepError, match="has had no workers for 1 seconds"),
    ):
        run_within(300, lambda: rows(planned("all"), client=client))


PARENT = """
import os, signal, threading
from costlab.sweeps import engine
from costlab.sweeps.request import Request

if __name__ == "__main__":
    widths = dict.fromkeys(["c1", "c3r", "c3", "c5r"], "1:256")
    pool = engine.Processes(plan := Request("reduced", widths).plan(), engine.Tasks(plan, 0), 2)
    for done in pool.run():
        print(*pool.pool._processes, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    (tmp_path / "parent.py").write_text(PARENT, encoding="utf-8")
    killed = subprocess.run(
        [sys.executable, "parent.py"], cwd=tmp_path, stdout=PIPE, check=False, env=importable()
    )
    workers = [int(pid) for pid in killed.stdout.split()]
    assert killed.returncode == -signal.SIGKILL
    assert len(workers) == 2
    for _ in range(600):
        if not any(map(is_running, workers)):
            return
        time.sleep(0.1)
    raise AssertionError("a worker lives on")


def importable() -> dict[str, str]:
    """An environment in which any folder's Python finds this costlab."""
    return {**os.environ, "PYTHONPATH": str(Path(library.__file__).parents[1])}


def is_running(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"  # ended, and nobody has asked how


def test_a_scheduler_that_is_not_there_is_an_error(costlab: Run) -> None:
    pytest.importorskip("distributed")
    done = costlab("sweep", "reduced", "--vary", "c5r=4", "--scheduler", "nonsense")
    assert (done.returncode, done.stdout) == (2, "")
    assert "no Dask scheduler answers at nonsense" in done.stderr
    assert done.stderr.count("\n") == 1
    with (
        pytest.raises(library.SweepError, match=r"no Dask scheduler answers at tcp:"),
        engine.connected("tcp://127.0.0.1:1", timeout=0.2),
    ):
        pass


def test_dask_that_is_not_installed_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with (
        pytest.raises(library.SweepError, match=r"pip install .*\[cluster\]"),
        engine.connected("tcp://x:1"),
    ):
        pass
