"""No wrong call ends with a traceback, steers a terminal or leaves half a file.

``WRONG_CALLS=1200 pytest tests/cli/test_wrong_calls.py`` tries more of them.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from command_line import Run
from wrong_calls import write_files, wrong_calls

import costlab as library

NUMBER = int(os.environ.get("WRONG_CALLS", "120"))
STEERS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wrong")
    write_files(folder, library.analyze("naive").to_json())
    return folder


def test_the_code_that_they_name_can_be_imported(costlab: Run, folder: Path) -> None:
    """Otherwise each of them would fail for one reason."""
    done = costlab("show", "good.py:Net", "--input-size", "1,3,8,8", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "forward\n")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", range(8))
def test_a_wrong_call_is_one_line(costlab: Run, folder: Path, seed: int) -> None:
    before = {path.name for path in folder.iterdir()}
    faults = []
    for args in wrong_calls(NUMBER // 8, seed):
        done = costlab(*args, cwd=folder)
        said = [line for line in done.stderr.splitlines() if line.startswith("costlab: ")]
        wrong = [
            "Traceback" in done.stderr,
            bool(STEERS.search(done.stdout + done.stderr)),
            "COSTLAB_TRACEBACK" in done.stderr,  # said of what nobody foresaw
            done.returncode not in (0, 1, 2, 3, 130),
            done.returncode in (2, 130) and len(said) != 1,
            done.returncode == 2 and done.stdout != "",
        ]
        if any(wrong):
            shown = [word[:80] for word in args]
            faults.append(f"{shown} {wrong} {done.returncode} {done.stderr[-300:]!r}")
        for path in folder.iterdir():
            if path.name.startswith(".") and path.name not in before:
                faults.append(f"{args} leaves {path.name}")
                before.add(path.name)
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(
    "command", ["show", "show --input-size 1,3,8,8", "memory --input-size 3,8"]
)
def test_a_module_whose_constructor_is_not_torchs_is_said_to_be(
    costlab: Run, folder: Path, command: str
) -> None:
    name, *options = command.split()
    done = costlab(name, "good.py:NoInit", *options, cwd=folder)
    assert done.returncode == 2
    assert "NoInit is no whole nn.Module: does its __init__ call super().__init__()?" in done.stderr
