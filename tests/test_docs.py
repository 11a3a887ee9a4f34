"""README.md and CONTRIBUTING.md: what they print is what is printed, and their examples run."""

from __future__ import annotations

import doctest
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import costlab as library

Run = Callable[..., "subprocess.CompletedProcess[str]"]

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")

CONSOLE = re.findall(r"```console\n\$ (.*?)\n(.*?)```", README, re.DOTALL)
EXAMPLES = re.findall(r"`(costlab/[\w/]+\.py)`:\n\n```python\n(.*?)```", CONTRIBUTING, re.DOTALL)


def test_there_is_something_to_check() -> None:
    assert len(CONSOLE) >= 3
    assert len(EXAMPLES) == 4


@pytest.mark.parametrize(("command", "pasted"), CONSOLE, ids=[c for c, _ in CONSOLE])
def test_pasted_output_is_what_is_printed(costlab: Run, command: str, pasted: str) -> None:
    """Up to ``...``, which stands for lines left out."""
    program, *args = shlex.split(command)
    assert program == "costlab"
    printed = costlab(*args, env={**os.environ, "COLUMNS": "80"}).stdout
    pattern = r"(?:.*\n)*".join(map(re.escape, pasted.split("...\n")))
    assert re.fullmatch(pattern, printed), printed


def test_the_librarys_examples() -> None:
    for text in (README, library.__doc__ or ""):
        test = doctest.DocTestParser().get_doctest(text.replace("```", ""), {}, "doc", None, 0)
        runner = doctest.DocTestRunner(verbose=False)
        runner.run(test)
        assert runner.failures == 0
        assert runner.tries > 0


@pytest.mark.parametrize(("ending", "format"), [("md", "markdown"), ("csv", "csv")])
def test_the_committed_report_is_what_is_written(
    costlab: Run, tmp_path: Path, ending: str, format: str
) -> None:
    again = tmp_path / "again"
    costlab("compare", "naive", "reduced", "--format", format, "-o", str(again))
    committed = ROOT / "reports" / f"naive-vs-reduced.{ending}"
    assert committed.read_text(encoding="utf-8") == again.read_text(encoding="utf-8")


def test_links_lead_somewhere() -> None:
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\((?!http)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), (page, target)


TRY = {
    "ops": """
from costlab.costs import costs
from costlab.crosscheck import crosscheck
from costlab.graph import Net
from costlab.ops.sigmoid import Sigmoid
net = Net("net", (1, 4))
graph = net.graph(net.add("sigmoid", Sigmoid(), *net.inputs))
assert costs(graph).total.flops == 16
assert crosscheck(graph).agrees
""",
    "catalog": "main(['crosscheck', 'mlpconv'])",
    "counters": "main(['crosscheck', 'googlenet/linear', '--counter', 'hooks'])",
    "render": "main(['show', 'naive', '--format', 'tsv'])",
}


@pytest.mark.parametrize(("path", "source"), EXAMPLES, ids=[path for path, _ in EXAMPLES])
def test_an_example_works_as_one_new_file(tmp_path: Path, path: str, source: str) -> None:
    """In a package made of links to ours, with the one file added."""
    package = Path(library.__file__).parent
    for file in package.rglob("*.py"):
        link = tmp_path / "costlab" / file.relative_to(package)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(file)
    (tmp_path / path).write_text(source, encoding="utf-8")
    room = Path(path).parts[1]
    script = f"import sys; sys.path.insert(0, '.')\nfrom costlab.cli import main\n{TRY[room]}"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
