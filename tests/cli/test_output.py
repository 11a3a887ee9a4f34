"""Where results go: files, pipes, and terminals of every kind."""

from __future__ import annotations

import os
import pty
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest
from command_line import Run, RunProcess, environment

import costlab as library
from costlab import atomic_files
from costlab.atomic_files import replacing, write_whole
from costlab.cli import report_command, terminal


def test_a_read_only_folder_is_an_error_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process, which becomes nobody for the write if it is root, who may write anywhere."""
    user = os.geteuid()

    @contextmanager
    def whole_as_nobody(path: Path) -> Iterator[Path]:
        try:
            if user == 0:
                os.seteuid(65534)
            with replacing(path) as part:
                yield part
        finally:
            os.seteuid(user)

    monkeypatch.setattr(terminal, "replacing", whole_as_nobody)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o555)
        with pytest.raises(library.CostlabError, match="permission denied"):
            terminal.emit(library.analyze("naive"), "csv", Path(folder, "x.csv"))
        assert os.listdir(folder) == []


@pytest.mark.parametrize("args", [["show", "googlenet"], ["--help"]])
def test_a_full_disk_on_standard_output_is_an_error_of_one_line(
    costlab_process: RunProcess, args: list[str]
) -> None:
    with open("/dev/full", "w") as full:
        done = costlab_process(*args, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 2
    assert done.stderr.startswith("costlab: cannot write to standard output: no space left")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("args", [["show", "naive"], ["compare", "naive", "reduced", "--no-trace"]])
def test_a_closed_standard_output_is_an_error_of_one_line(args: list[str]) -> None:
    line = shlex.join([sys.executable, "-m", "costlab", *args])
    done = subprocess.run(f"{line} >&-", shell=True, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("costlab: cannot write to standard output: it is closed")
    assert done.stderr.count("\n") == 1


def test_a_terminal_without_our_signs_gets_ascii(costlab_process: RunProcess) -> None:
    done = costlab_process("show", "pointwise", env=environment(PYTHONIOENCODING="ascii"))
    assert done.returncode == 0
    assert "(6*6*2)*(1*1*32)" in done.stdout
    assert "input 1x32x6x6 -> output 1x2x6x6" in done.stdout
    assert done.stdout.isascii()


@pytest.mark.parametrize(
    ("name", "format"), [("a.csv", "csv"), ("a.json", "json"), ("a.md", "markdown"), ("a", "table")]
)
def test_the_files_ending_says_the_format(
    costlab: Run, tmp_path: Path, name: str, format: str
) -> None:
    costlab("show", "naive", "-o", name, cwd=tmp_path)
    costlab("show", "naive", "-o", "told", "--format", format, cwd=tmp_path)
    assert (tmp_path / name).read_bytes() == (tmp_path / "told").read_bytes()


def test_a_closed_pipe_is_an_error_of_one_line(costlab_process: RunProcess) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = costlab_process("show", "googlenet", stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert done.returncode == 2
    assert done.stderr.startswith("costlab: cannot write to standard output: broken pipe")
    assert done.stderr.count("\n") == 1


def test_a_file_is_written_whole_or_not_at_all(costlab: Run, tmp_path: Path) -> None:
    target = tmp_path / "table.csv"
    target.write_text("before")
    target.chmod(0o640)
    link = tmp_path / "link.csv"
    link.symlink_to(target)
    assert costlab("show", "navie", "-o", str(target)).returncode == 2
    assert target.read_text() == "before"
    done = costlab("show", "naive", "--format", "csv", "-o", str(link))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert link.is_symlink()
    assert target.read_text().count("\n") == library.analyze("naive").to_csv().count("\n")
    assert target.stat().st_mode & 0o777 == 0o640
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.csv", "table.csv"]


def test_a_write_that_fails_half_way_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "x.md"
    target.write_text("before")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(target, "after")
    assert target.read_text() == "before"
    assert list(tmp_path.iterdir()) == [target]


WRITES = """
import sys
from pathlib import Path
from costlab.atomic_files import replacing
with replacing(Path(sys.argv[1])) as part:
    part.write_text("half")
    print(flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_run_that_is_ended_leaves_what_was_there(tmp_path: Path, number: int) -> None:
    """What one that was killed has left beside it goes with the next, and no other's."""
    target = tmp_path / "x.[1].json"
    target.write_text("before")
    args = [sys.executable, "-c", WRITES, str(target)]
    runs = [subprocess.Popen(args, stdin=PIPE, stdout=PIPE, stderr=PIPE) for _ in range(2)]
    for run in runs:
        assert run.stdout
        run.stdout.readline()
    ended, going_on = runs
    ended.send_signal(number)
    ended.communicate()
    parts = [tmp_path / f".{target.name}.{run.pid}.part" for run in runs]
    assert ended.returncode == -number
    assert target.read_text() == "before"
    assert [part.exists() for part in parts] == [number == signal.SIGKILL, True]
    write_whole(target, "after")
    assert sorted(tmp_path.iterdir()) == sorted([target, parts[1]])
    going_on.communicate()
    assert (going_on.returncode, target.read_text()) == (0, "half")


AGAIN_AND_AGAIN = """
import sys
from pathlib import Path
from costlab.atomic_files import write_whole
for _ in range(200):
    write_whole(Path(sys.argv[1]), "whole")
"""


def test_processes_that_write_one_file_again_and_again_are_not_in_each_others_way(
    tmp_path: Path,
) -> None:
    target = tmp_path / "x.json"
    args = [sys.executable, "-c", AGAIN_AND_AGAIN, str(target)]
    runs = [subprocess.Popen(args, stderr=PIPE, text=True) for _ in range(3)]
    assert [(run.communicate()[1], run.returncode) for run in runs] == [("", 0)] * 3
    assert (target.read_text(), list(tmp_path.iterdir())) == ("whole", [target])


def test_a_file_that_was_deleted_before_it_was_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a process that took it for one that is left."""
    taken: list[Any] = []
    locks = atomic_files.locked

    def too_late(file: Any) -> bool:
        if not taken:
            taken.append(file.name)
            Path(file.name).unlink()
        return locks(file)

    monkeypatch.setattr(atomic_files, "locked", too_late)
    with replacing(tmp_path / "x.json") as part:
        assert taken == [str(part)]
        assert part.exists()


def test_what_another_process_has_begun_anew_is_not_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = tmp_path / ".x.json.1.part"
    left.touch()

    def while_it_begins_anew(file: Any) -> bool:
        if file.name == str(left):
            left.unlink()
            left.touch()
        return True

    monkeypatch.setattr(atomic_files, "locked", while_it_begins_anew)
    write_whole(tmp_path / "x.json", "whole")
    assert left.exists()


def test_a_file_system_without_locks_is_written_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without(file: Any) -> bool:
        raise OSError(37, "No locks available")

    left = tmp_path / ".x.json.1.part"
    left.touch()
    monkeypatch.setattr(atomic_files, "locked", without)
    write_whole(tmp_path / "x.json", "whole")
    assert (tmp_path / "x.json").read_text() == "whole"
    assert left.exists()  # it may be somebody's


def test_a_report_that_is_not_whole_has_no_index(
    costlab: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "reports"
    assert costlab("report", str(folder), "naive").returncode == 0
    assert sum(path.name in ("README.md", "index.html") for path in folder.iterdir()) == 2

    def full(path: Path, text: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(report_command, "write_whole", full)
    assert costlab("report", str(folder), "naive").returncode == 2
    assert not {path.name for path in folder.iterdir()} & {"README.md", "index.html"}


def on_a_terminal(*args: str, **env: str) -> str:
    """The output of a command whose stdout and stderr are a terminal of 100 columns."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "costlab", *args],
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "COLUMNS": "100", **env},
    )
    os.close(theirs)
    output = b""
    try:
        while chunk := os.read(ours, 65536):
            output += chunk
    except OSError:
        pass  # the terminal is closed when the process ends
    os.close(ours)
    assert process.wait() == 0
    return output.decode()


def test_colour_and_progress_only_on_a_terminal(costlab: Run) -> None:
    shown = on_a_terminal("figures", "introduction", NO_COLOR="")
    assert "computing the figures of introduction ..." in shown
    assert "computing" not in shown.rsplit("\x1b[K", 1)[1]
    done = costlab("figures", "introduction")
    assert "\x1b" not in done.stdout
    assert done.stderr == ""


def test_shares_have_bars_on_a_terminal_that_can_show_them(costlab: Run) -> None:
    bars = on_a_terminal("show", "reduced", NO_COLOR="1")
    assert "67.7% ████" in bars
    assert max(map(len, bars.splitlines())) <= 100
    for env in ({"TERM": "dumb"}, {"PYTHONIOENCODING": "ascii"}):
        assert not set("█▎") & set(on_a_terminal("show", "reduced", **env))
    assert "█" not in costlab("show", "reduced").stdout


def test_no_color_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[1m" in on_a_terminal("show", "naive")
    assert "\x1b" not in on_a_terminal("show", "naive", NO_COLOR="1")
