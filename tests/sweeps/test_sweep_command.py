"""costlab sweep, as a user types it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from command_line import Run, RunProcess
from sweeping import planned

from costlab.render import formats as render
from costlab.sweeps.files import Store
from costlab.sweeps.request import Request
from costlab.sweeps.sweep import Rate, Sweep, run_sweep


def test_a_sweep_prints_the_cheapest_variants(costlab: Run) -> None:
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


def test_a_sweep_writes_whole_files_and_leaves_nothing_beside_them(
    costlab: Run, tmp_path: Path
) -> None:
    for name in ("out.csv", "out.parquet", "out.md", "out.json", "out.tex"):
        done = costlab("sweep", "naive", "--vary", "c5=8:32:8", "-o", str(tmp_path / name))
        assert (done.returncode, done.stderr) == (0, "")
        assert (tmp_path / name).stat().st_size > 100
    assert len(list(tmp_path.iterdir())) == 5
    assert pd.read_csv(tmp_path / "out.csv").c5.tolist() == [8, 16, 24, 32]


def test_resume_says_that_there_is_nothing_to_go_on_with(costlab: Run, tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    done = costlab("sweep", "naive", "--vary", "c5=8:32:8", "-o", str(path), "--resume")
    told = f"costlab: no sweep of {path} to go on with: it begins anew\n"
    assert (done.returncode, done.stderr) == (0, told)
    assert path.exists()


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
def test_a_wrong_call_of_sweep_is_one_line(costlab: Run, args: list[str], said: str) -> None:
    done = costlab("sweep", "reduced", *args)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_ctrl_c_leaves_no_half_file_and_resume_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    call = [sys.executable, "-m", "costlab", "sweep", "reduced", "--workers", "2", "-o", str(path)]
    call += ["--where", "macs % 100000 == 7 * 64", "--vary", "c1=1:64"]
    call += [f"--vary={name}=1:32" for name in ("c3r", "c3", "c5r", "c5")]
    child = subprocess.Popen(call, stderr=subprocess.PIPE, text=True, start_new_session=True)
    state = tmp_path / ".out.csv.sweep" / "state.npz"
    while not state.exists() and child.poll() is None:
        time.sleep(0.05)
    os.killpg(child.pid, signal.SIGINT)  # as a terminal does it, to all of them
    _, stderr = child.communicate()
    assert (child.returncode, stderr) == (
        130,
        "costlab: interrupted; the same call with --resume goes on from here\n",
    )
    assert not path.exists()
    call += ["--resume"]
    done = subprocess.run(call, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{64 * 32**4:,} variants" in done.stdout
    assert [each.name for each in tmp_path.iterdir()] == ["out.csv"]


def test_every_format_but_sympy_shows_a_sweep() -> None:
    store = Store(Request("naive", {"c5": "8"}).plan())
    run_sweep(store.plan, store)
    for name in render.formats().keys() - {"sympy", "parquet", "sarif", "svg", "png", "pdf"}:
        assert "8" in render.render(Sweep(store), name)


def test_progress_says_how_fast_and_how_long(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(sys.modules["costlab.sweeps.sweep"], "monotonic", lambda: clock[0])
    rate = Rate(planned("all"), seen=2_000)
    clock[0] += 2
    assert rate.sentence(6_000) == (
        "sweep of reduced: 35.9% of 16.7 K variants, 2.00 K a second, 5 s left"
    )


def test_a_sweep_into_a_link_a_pipe_and_a_device(
    costlab: Run, costlab_process: RunProcess, tmp_path: Path
) -> None:
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
    assert reader.communicate()[0] == expected
    assert pipe.is_fifo()
    assert costlab_process(*args, "/dev/stdout", "--format", "csv").stdout == expected
    done = costlab(*args, str(tmp_path), "--format", "csv")
    assert (done.returncode, done.stdout) == (2, "")
    assert "is a directory" in done.stderr
    assert sorted(each.name for each in tmp_path.iterdir()) == ["link.csv", "pipe.csv", "real.csv"]
