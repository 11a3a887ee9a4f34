"""MODEL as a revision of git has it: it is the revision's code, and nothing is left behind."""

from __future__ import annotations

import csv
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import pytest
from command_line import Run, environment, forget_modules

import costlab as library
from costlab.errors import CostlabError

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")

CODE = """
from torch import nn
from sizes import WIDTH

class Net(nn.Module):
    def __init__(self, width=WIDTH):
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3)

    def forward(self, x):
        return self.conv(x)
"""
SIZE = ("--input-size", "1,3,8,8")
MACS = {width: 36 * width * 27 for width in (8, 16)}


def git(folder: Path, *args: str) -> str:
    names = ["-c", "user.name=n", "-c", "user.email=n@example.org"]
    done = subprocess.run(
        ["git", "-C", str(folder), *names, *args], capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """One in which main has a network of width 8, and the work tree one of 16; also in a folder."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    folder = tmp_path / "repository"
    (folder / "nets").mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    for place in (folder, folder / "nets"):
        (place / "mine.py").write_text(CODE, encoding="utf-8")
        (place / "sizes.py").write_text("WIDTH = 8\n", encoding="utf-8")
    (folder / "broken.py").write_text("Net = 1 / 0\n", encoding="utf-8")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "first")
    for place in (folder, folder / "nets"):
        (place / "sizes.py").write_text("WIDTH = 16\n", encoding="utf-8")
    hook = folder / ".git" / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch '{folder}/hooked'\n", encoding="utf-8")
    hook.chmod(0o755)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", None)
    modules = dict(sys.modules)
    yield folder
    forget_modules(folder, modules)


def state(folder: Path) -> object:
    """All that a revision's check-out could leave behind."""
    files = {
        path: path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts and "logs" not in path.parts
    }
    temporary = sorted((folder.parent / "temporary").iterdir())
    return files, temporary, git(folder, "worktree", "list"), Path.cwd(), list(sys.path)


def test_without_an_input_a_revision_shows_its_parameters(costlab: Run, repository: Path) -> None:
    before = state(repository)
    done = costlab("show", "main:mine.py:Net")
    assert (done.returncode, done.stderr) == (0, "")
    assert "main:mine.py:Net\nAs of main, commit " in done.stdout
    assert f"{8 * 27 + 8} params." in done.stdout
    assert "unknown git revision 'mian': did you mean 'main'?" in (
        costlab("show", "mian:mine.py:Net").stderr
    )
    assert "at main: there is no file min.py: did you mean 'mine.py'?" in (
        costlab("show", "main:min.py:Net").stderr
    )
    assert state(repository) == before


@pytest.mark.parametrize("place", [".", "nets"])
@pytest.mark.parametrize("code", ["mine.py:Net", "mine:Net"])
def test_a_revision_is_compared_with_the_work_tree_and_leaves_nothing(
    costlab: Run, repository: Path, place: str, code: str
) -> None:
    """In either order, and with what the code imports."""
    before = state(repository)
    modules = set(sys.modules)
    for models in ((f"main:{code}", code), (code, f"main:{code}")):
        done = costlab("compare", *models, *SIZE, "--format", "csv", cwd=repository / place)
        assert (done.returncode, done.stderr) == (0, "")
        totals = [row for row in csv.DictReader(done.stdout.splitlines()) if row["row"] == "total"]
        assert {row["model"]: int(row["macs"]) for row in totals} == {
            f"main:{code}": MACS[8],
            code: MACS[16],
        }
    assert state(repository) == before
    assert not {"mine", "sizes"} & (set(sys.modules) - modules)


INPUTS = """
import torch
from dataclasses import dataclass
from mine import Net as Mine

@dataclass
class Batch:
    image: torch.Tensor
    twice: bool = False

class Net(Mine):
    def forward(self, batch):
        assert isinstance(batch, Batch)
        return super().forward(batch.image.repeat(2, 1, 1, 1) if batch.twice else batch.image)

def twice():
    return (Batch(torch.zeros(1, 3, 8, 8), True),)

def unknown():
    return (lambda: None,)
"""


def test_inputs_of_own_classes_are_made_anew_for_a_revision(costlab: Run, repository: Path) -> None:
    (repository / "own.py").write_text(INPUTS, encoding="utf-8")
    git(repository, "add", "own.py")
    git(repository, "commit", "-q", "-m", "second", "own.py")
    before = state(repository)
    models = ("main:own.py:Net", "own.py:Net")
    done = costlab("compare", *models, "--inputs", "own.py:twice", "--format", "csv")
    assert (done.returncode, done.stderr) == (0, "")
    totals = [row for row in csv.DictReader(done.stdout.splitlines()) if row["row"] == "total"]
    assert [int(row["macs"]) for row in totals] == [2 * MACS[8], 2 * MACS[16]]
    done = costlab("show", "main:own.py:Net", "--inputs", "own.py:unknown")
    assert (done.returncode, done.stdout) == (2, "")
    assert "the inputs cannot be made anew for a revision (" in done.stderr
    assert state(repository) == before


ENDLESS = """
import time
import sys

print("imported", file=sys.stderr, flush=True)
while True:
    time.sleep(0.1)

Net = None
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_command_that_is_ended_leaves_nothing(repository: Path, number: signal.Signals) -> None:
    """As a job is that was cancelled; its exit status still says by what it was ended."""
    (repository / "endless.py").write_text(ENDLESS, encoding="utf-8")
    git(repository, "add", "endless.py")
    git(repository, "commit", "-q", "-m", "second")
    before = state(repository)
    command = [sys.executable, "-m", "costlab", "show", "main:endless.py:Net", *SIZE]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment()) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "imported\n"
        process.send_signal(number)
        process.communicate()
    assert process.returncode == (130 if number == signal.SIGINT else -number)
    assert state(repository) == before


def test_a_revision_is_checked_by_fvcore_and_says_its_commit(repository: Path) -> None:
    check = library.crosscheck("main:mine.py:Net", (1, 3, 8, 8), counters="fvcore")
    assert check.agrees
    text = library.analyze("main:mine.py:Net/conv", (1, 3, 8, 8)).to_text()
    assert text.startswith("main:mine.py:Net/conv\nAs of main, commit ")
    assert git(repository, "rev-parse", "main")[:12] in text


def test_a_report_that_a_revision_has(repository: Path) -> None:
    report = repository / "base.json"
    report.write_text(library.analyze("main:mine.py:Net", (1, 3, 8, 8)).to_json(), encoding="utf-8")
    git(repository, "add", "base.json")
    git(repository, "commit", "-q", "-m", "second")
    report.unlink()
    comparison = library.compare("main:base.json", "main:mine.py:Net", trace=False)
    assert [table.total.macs for table in comparison.tables] == [MACS[8], MACS[8]]


def test_a_hook_of_git_keeps_its_index(costlab: Run, repository: Path) -> None:
    index = repository / ".git" / "index"
    before = index.read_bytes()
    env = environment(GIT_DIR=".git", GIT_INDEX_FILE=str(index), GIT_PREFIX="")
    done = costlab("show", "main:mine.py:Net", *SIZE, cwd=repository, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    assert index.read_bytes() == before


HOSTILE = [
    *("", "-x", "--upload-pack=touch hooked", "a b", "main..main", "$(touch hooked)", "x;touch"),
    *("../main", "/etc", "a\nb", "\x00", "@", "main\\", "~main", "^main", "*"),
]


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("code", ["mine.py:Net", "mine:Net"])
def test_a_hostile_name_of_a_revision_is_refused(repository: Path, name: str, code: str) -> None:
    before = state(repository)
    with pytest.raises(CostlabError, match="no name of a git revision"):
        library.analyze(f"{name}:{code}", (1, 3, 8, 8))
    assert state(repository) == before


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("mian:mine.py:Net", "unknown git revision 'mian': did you mean 'main'?"),
        ("main:nope.py:Net", "at main: there is no file nope.py"),
        ("main:../../mine.py:Net", "at main: there is no file ../../mine.py"),
        ("main:nope.json", "at main: there is no file nope.json"),
        ("main:broken.py:Net", "at main: cannot import broken.py: ZeroDivisionError"),
        ("main:mine.py:Nat", "at main: mine.py has no 'Nat'"),
        ("main:mine.py:Net(depth=3)", "mine.py:Net takes no 'depth'"),
    ],
)
def test_what_is_wrong_is_one_line_and_leaves_nothing(
    costlab: Run, repository: Path, model: str, said: str
) -> None:
    before = state(repository)
    done = costlab("show", model, *([] if ".json" in model else SIZE), cwd=repository)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert said in done.stderr
    assert state(repository) == before


def test_outside_of_a_repository_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(CostlabError, match="this folder is in no git repository"):
        library.analyze("main:mine.py:Net", (1, 3, 8, 8))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CostlabError, match="needs git, which is not installed"):
        library.analyze("main:mine.py:Net", (1, 3, 8, 8))


def test_a_package_on_the_path_is_the_revisions(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with a folder src that PYTHONPATH or an editable install names."""
    source = repository / "src" / "package"
    source.mkdir(parents=True)
    (source / "__init__.py").write_text(CODE.replace("from sizes", "from .sizes"), "utf-8")
    (source / "sizes.py").write_text("WIDTH = 8\n", encoding="utf-8")
    git(repository, "add", "src")
    git(repository, "commit", "-q", "-m", "second")
    (source / "sizes.py").write_text("WIDTH = 16\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(repository / "src"))
    for model, width in (("package:Net", 16), ("main:package:Net", 8), ("package:Net", 16)):
        assert library.analyze(model, (1, 3, 8, 8)).total.macs == MACS[width]


class Installed:
    """Finds a module in the work tree whatever the path says, as editable installs do."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        found = name == "sizes"
        return importlib.util.spec_from_file_location(name, self.place) if found else None


def test_code_that_is_not_the_revisions_is_an_error(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finder = Installed(repository / "sizes.py")
    monkeypatch.setattr(sys, "meta_path", [finder, *sys.meta_path])
    with pytest.raises(CostlabError, match=r"sizes was imported from .*, not from the revision"):
        library.analyze("main:mine.py:Net", (1, 3, 8, 8))


def test_a_file_with_a_colon_in_its_name_is_a_file(repository: Path) -> None:
    (repository / "main:mine.py").write_text(CODE.replace("=WIDTH", "=4"), encoding="utf-8")
    assert library.analyze("main:mine.py:Net", (1, 3, 8, 8)).total.macs == 36 * 4 * 27
