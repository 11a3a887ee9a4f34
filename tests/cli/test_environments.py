"""Code that prints, exits and raises; terminals, encodings, paths and installs of other kinds."""

from __future__ import annotations

import fcntl
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from command_line import Run, RunProcess, environment
from sampled import sampled

import costlab as library
from costlab.atomic_files import write_whole
from costlab.cli import commands, crosscheck_command, show_command
from costlab.models.python_code import FRONTEND

NOISY = """
import os
import sys
from torch import nn

print("on import")
os.system("echo of a subprocess")
os.write(1, b"past Python")
print("past sys.stdout", file=sys.__stdout__)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 4)

    def forward(self, x):
        print("in forward")
        return self.linear(x)


def closes():
    sys.stdout.close()
    return Net()


class Exits(nn.Module):
    def forward(self, x):
        sys.exit(0)


class Odd(BaseException):
    pass


class Raises(nn.Module):
    def forward(self, x):
        raise Odd("\\x1b[2J\\x9b\\u202e")


class Mute(Exception):
    def __str__(self):
        raise RuntimeError


def mute():
    raise Mute
"""
SIZE = ("--input-size", "1,3")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "noisy.py").write_text(NOISY, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("name", sampled(["Net", "closes"], "closes"))
def test_what_user_code_prints_is_not_in_the_result(
    costlab_process: RunProcess, folder: Path, name: str
) -> None:
    """One that closes the stream prints in the same places before, as does the other."""
    done = costlab_process("show", f"noisy.py:{name}", *SIZE, "--format", "json", cwd=folder)
    assert done.returncode == 0
    assert json.loads(done.stdout)["total"]["macs"] == 12
    for words in ("on import", "of a subprocess", "past Python", "past sys.stdout", "in forward"):
        assert words in done.stderr


def test_what_user_code_prints_is_not_in_the_result_of_this_process(
    costlab: Run, folder: Path
) -> None:
    done = costlab("show", "noisy.py:Net", *SIZE, "--format", "csv", cwd=folder)
    assert done.stdout.startswith("path,")
    assert "in forward" in done.stderr


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Exits", "SystemExit: the code calls sys.exit(0) (at "),
        ("Raises", r"Odd: \x1b[2J\x9b\u202e (at "),
        ("mute", "noisy.py:mute raised Mute (at "),
    ],
)
def test_whatever_user_code_raises_is_one_line(
    costlab: Run, folder: Path, name: str, words: str
) -> None:
    done = costlab("show", f"noisy.py:{name}", *SIZE, cwd=folder)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("costlab: ")]
    assert words in line


def test_an_error_that_nobody_foresaw_is_one_line(
    costlab: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_args: Any, **_how: Any) -> None:
        raise ZeroDivisionError("of ours\x1b[2J")

    monkeypatch.setattr(show_command, "analyze", fails)
    done = costlab("show", "naive")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert r"costlab: unexpected ZeroDivisionError: of ours\x1b[2J" in done.stderr
    shown = costlab("show", "naive", env=environment(COSTLAB_TRACEBACK="1"))
    assert "Traceback" in shown.stderr


def test_a_long_error_is_cut(costlab: Run) -> None:
    done = costlab("show", "x" * 100_000)
    assert done.returncode == 2
    assert len(done.stderr) < 2500


@pytest.mark.parametrize("format", ["json", "csv", "markdown", "latex"])
def test_formats_for_programs_are_utf_8_whatever_the_terminal(
    costlab: Run, costlab_process: RunProcess, tmp_path: Path, format: str
) -> None:
    args = ("show", "pointwise", "--format", format)
    done = costlab_process(*args, env=environment(PYTHONIOENCODING="ascii"))
    costlab(*args, "-o", str(tmp_path / "file"))
    assert done.stdout == (tmp_path / "file").read_text(encoding="utf-8")


def test_help_is_shown_on_a_terminal_without_our_signs(
    costlab_process: RunProcess, tmp_path: Path
) -> None:
    with (tmp_path / "help").open("wb") as file:
        env = environment(PYTHONIOENCODING="cp1252")
        done = costlab_process("formula", "--help", env=env, stdout=file)
    assert done.returncode == 0
    assert "is x rounded down" in (tmp_path / "help").read_text(encoding="cp1252")
    assert "floor(x)" in (tmp_path / "help").read_text(encoding="cp1252")


def test_json_spells_what_steers_a_terminal(tmp_path: Path) -> None:
    name = "a\x1b[2J\x9b5n\u202eb\ud800ä×"
    text = library.analyze("naive").to_json().replace('"naive"', json.dumps(name), 1)
    path = tmp_path / "odd.json"
    path.write_text(text, encoding="utf-8")
    again = library.analyze(str(path)).to_json()
    assert again.encode("utf-8")
    assert "ä×" in again
    assert all(char.isprintable() or char == "\n" for char in again)


@pytest.mark.parametrize("name", [r"C:\nets\mine.py", "mine (1).py", "a:b.py", "net-2.0.py"])
def test_a_file_may_be_on_a_drive_and_have_any_name(
    costlab: Run, tmp_path: Path, name: str
) -> None:
    """On Windows the first is a path; here it is a file of that name, which is found as well."""
    read = FRONTEND.read(f"{name}:Net(width=2)/head")
    assert read is not None
    assert (read.where, read.name, read.choices, read.part) == (name, "Net", {"width": 2}, "head")
    (tmp_path / name).write_text("from torch import nn\nNet = nn.ReLU\n", encoding="utf-8")
    assert costlab("show", f"{name}:Net", *SIZE, cwd=tmp_path).returncode == 0


def test_a_file_is_synced_by_a_handle_that_may_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows refuses any other."""
    modes = []
    monkeypatch.setattr(
        os, "fsync", lambda file: modes.append(fcntl.fcntl(file, fcntl.F_GETFL) & os.O_ACCMODE)
    )
    write_whole(tmp_path / "x", "text")
    assert modes
    assert os.O_RDONLY not in modes


@pytest.mark.parametrize("folder", ["", "/dev/null", "/dev/null/x", "x" * 300, "/proc/x/y"])
def test_report_looks_at_its_folder_before_it_works(
    costlab: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    from costlab.views import report

    monkeypatch.setattr(report, "report", None)
    done = costlab("report", folder, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("costlab: ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "args",
    [
        ("show", "naive", "-o", "no/x.csv"),
        ("show", "naive", "-o", "x.nosuch"),
        ("sweep", "reduced", "--vary", "c5r=4:64:4", "-o", "x.py"),
    ],
)
def test_an_output_that_cannot_be_is_refused_before_the_work(
    costlab: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, args: tuple[str, ...]
) -> None:
    monkeypatch.setattr(show_command, "analyze", None)
    done = costlab(*args, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "unexpected" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_dash_is_standard_output(costlab: Run, tmp_path: Path) -> None:
    done = costlab("show", "naive", "-o", "-", cwd=tmp_path)
    assert done.stdout == costlab("show", "naive").stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("model", "vary", "words"),
    [
        ("mobilenet-v1", "width=0.000000000001:1:0.000000000001", "more than 1,000,000 values"),
        ("reduced", "c5r=1:999999999,5", "more than 1,000,000 values"),
    ],
)
def test_a_grid_is_measured_before_it_is_made(
    costlab: Run, model: str, vary: str, words: str
) -> None:
    done = costlab("sweep", model, "--vary", vary)
    assert done.returncode == 2
    assert words in done.stderr


@pytest.mark.parametrize(
    ("args", "module"),
    [
        (("crosscheck", "naive"), "torch"),
        (("formula", "naive"), "sympy"),
        (("sweep", "reduced", "--vary", "c5r=4:64:4"), "numpy"),
    ],
)
def test_a_light_install_says_what_to_install(
    costlab: Run, monkeypatch: pytest.MonkeyPatch, args: tuple[str, ...], module: str
) -> None:
    def missing(*_args: Any, **_how: Any) -> None:
        raise ModuleNotFoundError(f"No module named {module!r}", name=module)

    monkeypatch.setattr(commands, "find_spec", lambda name: None if name == module else sys)
    monkeypatch.setattr(crosscheck_command, "crosscheck", missing)
    monkeypatch.setattr("costlab.formulas.asked.formula", missing)
    monkeypatch.setattr("costlab.sweeps.request.Request", missing)
    done = costlab(*args)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"this needs {module}, which is not installed" in done.stderr
    assert done.stderr.endswith(f"pip install {module}\n")


COLOURS: list[tuple[dict[str, str], bool]] = [
    ({}, False),
    ({"FORCE_COLOR": "1"}, True),
    ({"CLICOLOR_FORCE": "1"}, True),
    ({"FORCE_COLOR": "0"}, False),
    ({"FORCE_COLOR": ""}, False),
    ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
    ({"FORCE_COLOR": "1", "TERM": "dumb"}, True),
]


@pytest.mark.parametrize(("env", "coloured"), COLOURS)
def test_colours_in_logs_are_asked_for(costlab: Run, env: dict[str, str], coloured: bool) -> None:
    plain = dict.fromkeys(("NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE"), "")
    done = costlab("show", "naive", env=environment(**{**plain, **env}))
    assert ("\x1b[1m" in done.stdout) == coloured


def test_a_file_has_no_colours(costlab: Run, tmp_path: Path) -> None:
    env = environment(FORCE_COLOR="1", NO_COLOR="")
    costlab("show", "naive", "-o", str(tmp_path / "x.txt"), env=env)
    assert "\x1b" not in (tmp_path / "x.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("format", ["txt", "md", "tex", "json", "csv"])
def test_a_file_says_how_it_was_made(costlab: Run, tmp_path: Path, format: str) -> None:
    path = tmp_path / f"out.{format}"
    env = environment(SOURCE_DATE_EPOCH="86400")
    done = costlab("show", "reduced(c5r=24)", "-o", str(path), "--depth", "1", env=env)
    assert (done.returncode, done.stderr) == (0, "")
    text = path.read_text(encoding="utf-8").replace("\\", "")
    assert "1970-01-02" in text
    assert library.__version__ in text
    assert "costlab show 'reduced(c5r=24)' --depth 1" in text
    assert "reduced(c5r=24)" in text.partition("costlab show")[0] + text.partition("1970")[2]


def test_data_that_say_how_they_were_made_are_read_as_before(costlab: Run, tmp_path: Path) -> None:
    """The first line of CSV, and the attributes that pandas finds in Parquet."""
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    env = environment(SOURCE_DATE_EPOCH="86400")
    for name in ("x.csv", "x.parquet"):
        costlab("show", "naive", "-o", str(tmp_path / name), env=env)
    made = f"costlab show naive (1970-01-02; costlab {library.__version__})"
    frame = pandas.read_csv(tmp_path / "x.csv")
    assert frame["made_by"].fillna("").tolist() == [f"naive: {made}", *[""] * (len(frame) - 1)]
    rows = library.analyze("naive").rows
    assert frame["macs"].tolist() == [row.macs for row in rows]
    frame = pandas.read_parquet(tmp_path / "x.parquet")
    assert frame.attrs == {
        "title": "naive",
        "command": "costlab show naive",
        "date": "1970-01-02",
        "versions": {"costlab": library.__version__},
    }
    assert frame["macs"].tolist() == [row.macs for row in rows]
    sweep = ("sweep", "reduced", "--vary", "c5r=4:16:4")
    for name in ("s.csv", "s.parquet"):
        done = costlab(*sweep, "-o", str(tmp_path / name), env=env)
        assert (done.returncode, done.stderr) == (0, "")
    frame = pandas.read_csv(tmp_path / "s.csv")
    assert frame["made_by"][0].startswith("Sweep of reduced: costlab sweep reduced --vary ")
    assert frame["made_by"].count() == 1
    assert pandas.read_parquet(tmp_path / "s.parquet").attrs["title"] == "Sweep of reduced"


def test_an_ending_may_be_in_capitals(costlab: Run, tmp_path: Path) -> None:
    done = costlab("show", "naive", "-o", str(tmp_path / "X.CSV"))
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "X.CSV").read_text(encoding="utf-8").startswith("path,op,")


def test_the_versions_of_what_took_part_are_said(costlab: Run, tmp_path: Path) -> None:
    (tmp_path / "relu.py").write_text("from torch import nn\nNet = nn.ReLU\n", encoding="utf-8")
    done = costlab("show", "relu.py:Net", "--input-size", "1,3", "--format", "json", cwd=tmp_path)
    assert '"torch": "2.' in done.stdout
    assert '"torch"' not in costlab("show", "naive", "--format", "json").stdout


def test_a_wrong_date_is_one_line(costlab: Run) -> None:
    env = environment(SOURCE_DATE_EPOCH="yesterday")
    done = costlab("show", "naive", "--format", "json", env=env)
    assert done.returncode == 2
    assert "SOURCE_DATE_EPOCH is 'yesterday'" in done.stderr


def test_a_shell_completes_a_line_and_sees_no_error(costlab_process: RunProcess) -> None:
    env = environment(_COSTLAB_COMPLETE="bash_complete", COMP_WORDS="costlab sh", COMP_CWORD="1")
    done = costlab_process(env=env)
    assert (done.stdout.split(), done.stderr) == (["plain,show"], "")
