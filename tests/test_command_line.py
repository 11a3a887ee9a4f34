"""The fixture ``costlab`` gives what a process gives, call by call."""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path

import pytest
from command_line import Run, RunProcess
from sampled import sampled

WARNS = """
import warnings
from torch import nn

warnings.warn("mind this")
warnings.warn("old", DeprecationWarning)
Net = nn.Identity
"""


@pytest.mark.parametrize(
    "args",
    sampled(
        [
            ("show", "googlenet", "--depth", "1"),
            ("show", "mine.py:Net", "--input-size", "1,3"),
            ("show", "mine:Net", "--input-size", "1,4,8"),
            ("compare", "naive", "reduced", "--format", "json"),
            ("shwo",),
            ("sweep", "--help"),
        ],
        ("show", "mine.py:Net", "--input-size", "1,3"),
        ("shwo",),
    ),
)
def test_a_call_in_this_process_is_like_a_process(
    costlab: Run, costlab_process: RunProcess, tmp_path: Path, args: tuple[str, ...]
) -> None:
    (tmp_path / "mine.py").write_text("from torch import nn\nNet = nn.ReLU\n", encoding="utf-8")
    here, there = costlab(*args, cwd=tmp_path), costlab_process(*args, cwd=tmp_path)
    assert (here.returncode, here.stdout, here.stderr) == (
        there.returncode,
        there.stdout,
        there.stderr,
    )


def test_a_warning_of_the_users_code_is_on_stderr_as_of_a_process(
    costlab: Run, costlab_process: RunProcess, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text(WARNS, encoding="utf-8")
    args = ("show", "mine.py:Net", "--input-size", "1,3")
    here, there = costlab(*args, cwd=tmp_path), costlab_process(*args, cwd=tmp_path)
    assert "mind this" in here.stderr
    assert (here.returncode, here.stdout, here.stderr) == (0, there.stdout, there.stderr)


@pytest.mark.parametrize("place", ["mine.py", "mine"])
def test_calls_do_not_see_each_others_files(costlab: Run, tmp_path: Path, place: str) -> None:
    for macs in (12, 15):
        folder = tmp_path / str(macs)
        folder.mkdir()
        (folder / "mine.py").write_text("from helper import Net\n", encoding="utf-8")
        (folder / "helper.py").write_text(
            f"from torch import nn\nNet = lambda: nn.Linear(3, {macs // 3})\n", encoding="utf-8"
        )
        done = costlab("show", f"{place}:Net", "--input-size", "1,3", cwd=folder)
        assert f"{macs} MACs" in done.stdout


def test_a_call_leaves_this_process_as_it_was(costlab: Run, tmp_path: Path) -> None:
    def state() -> list[object]:
        return [
            dict(os.environ),
            os.getcwd(),
            sys.stdout,
            sys.stderr,
            list(sys.path),
            warnings.filters[:],
            sys.modules.get("mine"),
        ]

    (tmp_path / "mine.py").write_text("import os\nos.environ['MINE'] = '1'\n", encoding="utf-8")
    before = state()
    costlab("show", "mine.py:Net", "--input-size", "1,3", cwd=tmp_path, env={"COLUMNS": "99"})
    assert state() == before
