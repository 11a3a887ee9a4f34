"""Sweeps over processes and clusters, files, interruptions: the same rows, and no half file."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import costlab as library
from costlab.costs.quantities import QUANTITIES
from costlab.render import formats as render
from costlab.sweeps import engine, files
from costlab.sweeps.engine import Task
from costlab.sweeps.files import Store
from costlab.sweeps.search import Plan
from costlab.sweeps.sweep import Rate, Sweep, counts, plan, run, write

Run = Callable[..., "subprocess.CompletedProcess[str]"]

VARY = {"c3r": "16:128:4", "c3": "32:128:4", "c5r": "0:24:8", "c5": "8:64:4", "H=W": "7:14:7"}
WANTED: dict[str, dict[str, Any]] = {
    "all": {"where": "macs < 30e6 and c5r % 16 == 0"},
    "best": {"maximize": "macs / params", "top": 50, "where": "params < 9e4"},
    "front": {"pareto": "macs,-activations,params"},
}


def planned(kind: str, cells: int = 300) -> Plan:
    """A sweep of many small blocks."""
    whole = plan("reduced", VARY, **WANTED[kind])
    return Plan(whole.model, whole.choices, whole.axes, whole.wanted, whole.where, cells)


def rows(the_plan: Plan, workers: int = 1, client: Any = None) -> Any:
    store = Store(the_plan)
    run(the_plan, store, workers, client, lambda _step: None)
    return Sweep(store).to_frame(), counts(store)


@pytest.fixture(scope="module")
def alone() -> dict[str, Any]:
    return {kind: rows(planned(kind)) for kind in WANTED}


def same(found: Any, expected: Any) -> bool:
    return bool(found[0].equals(expected[0])) and found[1] == expected[1]


@pytest.mark.parametrize("kind", WANTED)
def test_processes_find_the_same(
    kind: str, alone: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[int] = []
    pool = engine.ProcessPoolExecutor

    def start(workers: int, context: Any) -> Any:
        started.append(workers)
        return pool(workers, context)

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


@pytest.mark.parametrize("pause", [0.0, 0.5])
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
                os.kill(process.pid, signal.SIGKILL)
            time.sleep(pause)
        if pool.pool is not pools[-1]:
            pools.append(pool.pool)
    assert len(pools) > 1
    assert same((Sweep(store).to_frame(), counts(store)), alone["all"])


class Broken(engine.Processes):
    """Workers that die before they have done anything."""

    def submit(self, task: Task) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_exception(engine.BrokenProcessPool("killed"))
        return future


class Wrong(engine.Processes):
    """A task that is wrong, which is no worker's fault."""

    def submit(self, task: Task) -> Future[Any]:
        return self.pool.submit(int, "one")


def test_workers_that_always_die_are_an_error() -> None:
    pool = Broken(planned("all"), engine.Tasks(planned("all"), 0), 2)
    with pytest.raises(library.SweepError, match="workers die again and again: killed"):
        list(pool.run())


def test_an_error_in_a_worker_comes_out() -> None:
    pool = Wrong(planned("all"), engine.Tasks(planned("all"), 0), 2)
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
    the_plan = plan("reduced", {**widths, "cp": "1:100"}, minimize="macs", top=3)
    assert the_plan.grid.size > 10**14
    assert next(iter(engine.Tasks(the_plan, 0))) == (0, 1)
    _, found = next(engine.run(the_plan, 0, workers=1))
    assert found.seen <= the_plan.cells


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50
    ) as local:
        yield local


@pytest.mark.filterwarnings("ignore")  # of Dask, about the workers that are killed
@pytest.mark.parametrize("kind", WANTED)
def test_a_cluster_finds_the_same_while_its_workers_are_killed(
    kind: str, cluster: Any, alone: dict[str, Any]
) -> None:
    from distributed import Client

    with Client(cluster) as client:
        client.wait_for_workers(2)
        stop = threading.Event()
        killed: list[int] = []

        def kill() -> None:
            while not stop.wait(0.4) and len(killed) < 3:
                alive = [nanny.pid for nanny in cluster.workers.values() if nanny.pid]
                if alive:
                    os.kill(alive[len(killed) % len(alive)], signal.SIGKILL)
                    killed.append(1)

        killer = threading.Thread(target=kill)
        killer.start()
        try:
            found = rows(planned(kind, cells=100), client=client)
        finally:
            stop.set()
            killer.join()
    assert killed
    assert same(found, alone[kind])


def test_a_scheduler_that_is_not_there(costlab: Run) -> None:
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


# Files


class InterruptionError(Exception):
    pass


def to_file(
    the_plan: Plan, path: Path, resume: bool = False, stop_after: int | None = None
) -> Store:
    """As the command line does it; interrupted after so many tasks."""
    store = Store(the_plan, path, resume)
    done = 0

    def progress(_step: str) -> None:
        nonlocal done
        done += 1
        if done == stop_after:
            raise InterruptionError

    try:
        run(the_plan, store, progress=progress)
        write(store, path, path.suffix[1:])
    finally:
        store.close()
    return store


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize("kind", WANTED)
def test_an_interrupted_sweep_goes_on(kind: str, ending: str, tmp_path: Path) -> None:
    the_plan = planned(kind, cells=200)
    whole, path = tmp_path / f"whole.{ending}", tmp_path / f"resumed.{ending}"
    once = to_file(the_plan, whole)
    begins = []
    for stop_after in (2, 1, 3):
        with pytest.raises(InterruptionError):
            to_file(the_plan, path, resume=True, stop_after=stop_after)
        assert not path.exists()
        store = Store(the_plan, path, resume=True)
        begins.append(store.begin)
        store.close()
    assert begins == sorted(set(begins))
    again = to_file(the_plan, path, resume=True)
    assert path.read_bytes() == whole.read_bytes()
    assert counts(again) == counts(once)
    assert sorted(each.name for each in tmp_path.iterdir()) == [path.name, whole.name]


def test_what_came_after_the_last_save_is_done_again(tmp_path: Path) -> None:
    """As after a power cut: numbers are there that the state does not know of."""
    the_plan, path = planned("all"), tmp_path / "out.csv"
    to_file(the_plan, tmp_path / "whole.csv")
    with pytest.raises(InterruptionError):
        to_file(the_plan, path, stop_after=2)
    with (tmp_path / ".out.csv.sweep" / "numbers.int64").open("ab") as file:
        file.write(b"half a number")
    to_file(the_plan, path, resume=True)
    assert path.read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_another_sweep_or_a_damaged_one_cannot_go_on(tmp_path: Path) -> None:
    path, folder = tmp_path / "out.csv", tmp_path / ".out.csv.sweep"
    with pytest.raises(InterruptionError):
        to_file(planned("all", cells=200), path, stop_after=3)
    with pytest.raises(library.SweepError, match="another sweep: leave out --resume"):
        Store(planned("best"), path, resume=True)
    whole = (folder / "state.npz").read_bytes()
    for damaged in (b"", b"nothing", whole[: len(whole) // 2]):
        (folder / "state.npz").write_bytes(damaged)
        with pytest.raises(library.SweepError, match="damaged: leave out --resume"):
            Store(planned("all", cells=200), path, resume=True)
    (folder / "state.npz").write_bytes(whole)
    (folder / "numbers.int64").write_bytes(b"")
    with pytest.raises(library.SweepError, match="damaged: leave out --resume"):
        Store(planned("all", cells=200), path, resume=True)
    anew = Store(planned("all"), path)
    assert anew.begin == 0
    anew.close()


def test_two_sweeps_do_not_write_one_file(tmp_path: Path) -> None:
    first = Store(planned("all"), tmp_path / "out.csv")
    with pytest.raises(library.SweepError, match="another sweep writes the same file"):
        Store(planned("best"), tmp_path / "out.csv")
    first.close()
    Store(planned("best"), tmp_path / "out.csv").forget()
    assert list(tmp_path.iterdir()) == []


def test_goals_beyond_64_bits_are_remembered(tmp_path: Path) -> None:
    whole = plan("reduced", VARY, minimize="macs * flops * params", top=40)
    the_plan = Plan(whole.model, whole.choices, whole.axes, whole.wanted, whole.where, 2000)
    once = to_file(the_plan, tmp_path / "whole.csv")
    assert once.found.keys[0].dtype == object
    with pytest.raises(InterruptionError):
        to_file(the_plan, tmp_path / "out.csv", stop_after=3)
    to_file(the_plan, tmp_path / "out.csv", resume=True)
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_an_interruption_at_any_point_of_adding_loses_nothing(tmp_path: Path) -> None:
    """What has been written of a task that was not finished is overwritten."""
    the_plan = planned("all", cells=500)
    to_file(the_plan, tmp_path / "whole.csv")
    store = Store(the_plan, tmp_path / "out.csv")
    for i, (begin, more) in enumerate(engine.run(the_plan, 0, 1)):
        if i == 3:
            store._append(more.indices)  # and then Ctrl-C
            break
        store.add(more, begin)
    store.save()
    store.close()
    to_file(the_plan, tmp_path / "out.csv", resume=True)
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_outputs_that_are_no_plain_files(costlab: Run, tmp_path: Path) -> None:
    args = ("sweep", "naive", "--vary", "c5=8:32:8", "-o")
    expected = costlab(*args[:-1], "--format", "csv").stdout
    target, link, pipe = (tmp_path / name for name in ("real.csv", "link.csv", "pipe.csv"))
    target.write_text("old")
    target.chmod(0o600)
    link.symlink_to(target)
    assert costlab(*args, str(link)).returncode == 0
    assert link.is_symlink()
    assert target.read_text(encoding="utf-8") == expected
    assert target.stat().st_mode & 0o777 == 0o600
    os.mkfifo(pipe)
    reader = subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE, text=True)
    assert costlab(*args, str(pipe)).returncode == 0
    assert reader.communicate(timeout=20)[0] == expected
    assert pipe.is_fifo()
    assert costlab(*args, "/dev/stdout", "--format", "csv").stdout == expected
    done = costlab(*args, str(tmp_path), "--format", "csv")
    assert (done.returncode, done.stdout) == (2, "")
    assert "is a directory" in done.stderr
    assert sorted(each.name for each in tmp_path.iterdir()) == ["link.csv", "pipe.csv", "real.csv"]


def test_csv_and_parquet_have_every_choice_and_quantity(tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    vary = {"stem": "plain,separable", "aux": "True,False", "width": "0.25,0.5", "H=W": "224,10"}
    the_plan = plan("googlenet", vary)
    for ending in ("csv", "parquet"):
        to_file(the_plan, tmp_path / f"out.{ending}")
    store = Store(the_plan)
    run(the_plan, store)
    shown = Sweep(store)
    text = (tmp_path / "out.csv").read_text(encoding="utf-8")
    assert text == shown.to_csv()
    head, *lines = csv.reader(text.splitlines())
    entry = library.architectures()["googlenet"]
    assert set(head) == {*entry.choices, *"NCHW", *QUANTITIES, "mac_unit"}
    assert len(lines) == 8
    table = pq.read_table(tmp_path / "out.parquet")
    assert (
        table.schema.field("macs").metadata[b"unit"].startswith(b"MACs: 1 multiplication + 1 add")
    )
    frame = library.sweep("googlenet", vary)
    assert table.to_pandas().to_dict("records") == frame.to_dict("records")
    assert frame.dtypes.macs == "int64"


def test_batches_do_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    to_file(planned("all"), tmp_path / "whole.csv")
    monkeypatch.setattr(files, "ROWS", 999)
    to_file(planned("all"), tmp_path / "pieces.csv")
    assert (tmp_path / "pieces.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_too_much_to_show_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(planned("all"), most=50)
    with pytest.raises(library.SweepError, match=r"more than 50 variants.*-o FILE.csv"):
        run(planned("all"), store)
    monkeypatch.setattr(files, "MOST_TIED", 5)
    with pytest.raises(library.SweepError, match="add a goal or a condition"):
        library.sweep("reduced", {"c5": "1:9", "c5r": "1:9"}, pareto="H")


# The command line


def test_the_issues_example(costlab: Run) -> None:
    done = costlab(
        *("sweep", "reduced", "--vary", "c3r=16:192:16", "--vary", "c5r=4:64:4"),
        *("--vary", "H=14,28,56", "--where", "macs < 120e6 and params <= 160e3"),
        *("--minimize", "macs", "--top", "20"),
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "576 variants; 426 left out by macs < 120e6 and params <= 160e3;" in done.stdout
    lines = [line.split() for line in done.stdout.splitlines() if line[:3].strip().isdigit()]
    best = [line for line in lines if len(line) == 8]
    assert best[0][:5] == ["16", "4", "14", "44,732", "17,210,368"]
    assert len(best) == 20
    assert "1 MAC = 1 multiplication + 1 addition" in " ".join(done.stdout.split())


def test_files_are_whole_and_nothing_is_left(costlab: Run, tmp_path: Path) -> None:
    for name in ("out.csv", "out.parquet", "out.md", "out.json", "out.tex"):
        done = costlab("sweep", "naive", "--vary", "c5=8:32:8", "-o", str(tmp_path / name))
        assert (done.returncode, done.stderr) == (0, "")
        assert (tmp_path / name).stat().st_size > 100
    assert len(list(tmp_path.iterdir())) == 5
    assert pd.read_csv(tmp_path / "out.csv").c5.tolist() == [8, 16, 24, 32]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--vary", "c5r"], "cannot read --vary 'c5r': write NAME=lo:hi:step or NAME=a,b"),
        (["--vary", "c5r=1", "--vary", "c5r=2"], "--vary c5r is given twice"),
        (["--vary", "=1"], "cannot read --vary '=1'"),
        (["--vary", "c5r=1", "--where", "c5r > 1", "--where", "c5r < 9"], "--where is given twice"),
        (["--vary", "c5r=1", "--resume"], "give -o FILE"),
        (["--vary", "c5r=1", "--format", "parquet"], "give -o FILE"),
        (["--vary", "c5r=1", "--top", "3"], "top needs an order"),
        (["--vary", "c5r=1", "-o", "/nowhere/out.csv"], "cannot write to"),
        (["--vary", "c5r=1", "--where", "mac < 3"], "did you mean 'macs'"),
        ([], "Missing option '--vary'"),
    ],
)
def test_bad_calls_are_one_line(costlab: Run, args: list[str], said: str) -> None:
    done = costlab("sweep", "reduced", *args)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_ctrl_c_leaves_no_half_file_and_resume_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    call = [sys.executable, "-m", "costlab", "sweep", "reduced", "--workers", "2", "-o", str(path)]
    call += ["--where", "macs % 100000 == 7 * 64", "--vary", "c1=1:64"]
    call += [f"--vary={name}=1:40" for name in ("c3r", "c3", "c5r", "c5")]
    child = subprocess.Popen(call, stderr=subprocess.PIPE, text=True, start_new_session=True)
    state = tmp_path / ".out.csv.sweep" / "state.npz"
    for _ in range(600):
        if state.exists() or child.poll() is not None:
            break
        time.sleep(0.05)
    os.killpg(child.pid, signal.SIGINT)  # as a terminal does it, to all of them
    _, stderr = child.communicate(timeout=60)
    assert (child.returncode, stderr) == (
        130,
        "costlab: interrupted; the same call with --resume goes on from here\n",
    )
    assert not path.exists()
    call += ["--resume"]
    done = subprocess.run(call, check=False, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{64 * 40**4:,} variants" in done.stdout
    assert [each.name for each in tmp_path.iterdir()] == ["out.csv"]


def test_parquet_without_pyarrow(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(library.CostlabError, match=r"pip install 'costlab\[parquet\]'"):
        to_file(plan("naive", {"c5": "8"}), tmp_path / "out.parquet")


def test_dask_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with (
        pytest.raises(library.SweepError, match=r"pip install 'costlab\[cluster\]'"),
        engine.connected("tcp://x:1"),
    ):
        pass


def test_every_format_but_sympy_shows_a_sweep() -> None:
    store = Store(plan("naive", {"c5": "8"}))
    run(store.plan, store)
    for name in render.formats().keys() - {"sympy", "parquet"}:
        assert "8" in render.render(Sweep(store), name)


def test_progress_says_how_fast_and_how_long(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(sys.modules["costlab.sweeps.sweep"], "monotonic", lambda: clock[0])
    rate = Rate(planned("all"), seen=7_000)
    clock[0] += 2
    assert rate.said(27_000) == (
        "sweep of reduced: 31.0% of 87.0 K variants, 10.0 K a second, 6 s left"
    )
