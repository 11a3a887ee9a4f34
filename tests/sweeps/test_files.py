"""Files of sweeps: written whole, and gone on with after an interruption."""

from __future__ import annotations

import csv
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from sampled import sampled
from sweeping import VARY, WANTED, planned

import costlab as library
from costlab.costs.quantities import QUANTITIES
from costlab.sweeps import engine, files
from costlab.sweeps.files import Store
from costlab.sweeps.plan import Plan
from costlab.sweeps.request import Request
from costlab.sweeps.sweep import Sweep, counts, run_sweep, write_file


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
        run_sweep(the_plan, store, progress=progress)
        write_file(store, path, path.suffix[1:])
    finally:
        store.close()
    return store


@pytest.mark.parametrize("ending", sampled(["csv", "parquet"], "parquet"))
@pytest.mark.parametrize("kind", sampled(WANTED, "front"))
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
    with pytest.raises(library.SweepError, match="another sweep is writing this file"):
        Store(planned("best"), tmp_path / "out.csv")
    first.close()
    Store(planned("best"), tmp_path / "out.csv").forget()
    assert list(tmp_path.iterdir()) == []


def test_goals_beyond_64_bits_are_remembered(tmp_path: Path) -> None:
    whole = Request("reduced", VARY, minimize="macs * flops * params", top=40).plan()
    the_plan = replace(whole, block_size=2000)
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
    for i, (begin, more) in enumerate(engine.run_blocks(the_plan, 0, 1)):
        if i == 3:
            store._append(more.indices)  # and then Ctrl-C
            break
        store.add(more, begin)
    store.save()
    store.close()
    to_file(the_plan, tmp_path / "out.csv", resume=True)
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_csv_and_parquet_have_every_choice_and_quantity(tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    vary = {"stem": "plain,separable", "aux": "True,False", "width": "0.25,0.5", "H=W": "224,10"}
    the_plan = Request("googlenet", vary).plan()
    for ending in ("csv", "parquet"):
        to_file(the_plan, tmp_path / f"out.{ending}")
    store = Store(the_plan)
    run_sweep(the_plan, store)
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


def test_a_file_written_in_pieces_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    to_file(planned("all"), tmp_path / "whole.csv")
    monkeypatch.setattr(files, "ROWS", 999)
    to_file(planned("all"), tmp_path / "pieces.csv")
    assert (tmp_path / "pieces.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_too_much_to_show_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(planned("all"), most=50)
    with pytest.raises(library.SweepError, match=r"more than 50 variants.*-o FILE.csv"):
        run_sweep(planned("all"), store)
    monkeypatch.setattr(files, "MOST_TIED", 5)
    with pytest.raises(library.SweepError, match="add a goal or a condition"):
        library.sweep("reduced", {"c5": "1:9", "c5r": "1:9"}, pareto="H")


def test_a_sweep_to_parquet_without_pyarrow_is_an_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(library.CostlabError, match=r"pip install .*\[parquet\]"):
        to_file(Request("naive", {"c5": "8"}).plan(), tmp_path / "out.parquet")
