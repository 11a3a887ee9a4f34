"""README.md and CONTRIBUTING.md: what they print is what is printed, and their examples run."""

from __future__ import annotations

import doctest
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import Run, environment

import costlab as library

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")

GUIDES = {path.name: path.read_text(encoding="utf-8") for path in sorted(ROOT.glob("docs/*.md"))}

CONSOLE = [
    pasted
    for text in (README, *GUIDES.values())
    for pasted in re.findall(r"```console\n\$ (.*?)\n(.*?)```", text, re.DOTALL)
]
EXAMPLES = re.findall(r"`(costlab/[\w/]+\.\w+)`:\n\n```\w+\n(.*?)```", CONTRIBUTING, re.DOTALL)


def test_there_is_something_to_check() -> None:
    assert len(CONSOLE) >= 3
    assert len(EXAMPLES) == 5


@pytest.mark.parametrize(("command", "pasted"), CONSOLE, ids=[c for c, _ in CONSOLE])
def test_pasted_output_is_what_is_printed(costlab: Run, command: str, pasted: str) -> None:
    """Up to ``...``, which stands for lines left out."""
    program, *args = shlex.split(command)
    assert program == "costlab"
    printed = costlab(*args, env=environment(COLUMNS="80")).stdout
    pattern = r"(?:.*\n)*".join(map(re.escape, pasted.split("...\n")))
    assert re.fullmatch(pattern, printed), printed


def test_the_table_of_docs_reconcile(costlab: Run) -> None:
    """Where all counters are installed; where they are not, of those that are."""
    page = (ROOT / "docs" / "reconcile.md").read_text(encoding="utf-8")
    pasted = page.partition("<!-- printed -->\n")[2].partition("<!-- /printed -->")[0]
    done = costlab("reconcile", "googlenet", "--format", "markdown")
    assert done.returncode == 0
    if "not installed" in done.stdout:
        pytest.skip("pip install -e '.[counters]'")
    assert done.stdout == pasted


def test_the_librarys_examples() -> None:
    guides = [text for text in GUIDES.values() if ">>>" in text]
    for text in (README, library.__doc__ or "", *guides):
        test = doctest.DocTestParser().get_doctest(text.replace("```", ""), {}, "doc", None, 0)
        runner = doctest.DocTestRunner(verbose=False)
        runner.run(test)
        assert runner.failures == 0
        assert runner.tries > 0


def test_the_committed_reports_are_what_is_written(costlab: Run, tmp_path: Path) -> None:
    """If not: costlab report reports."""
    done = costlab("report", str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    committed, again = (
        {path.relative_to(root): path.read_bytes() for path in root.rglob("*.*")}
        for root in (ROOT / "reports", tmp_path)
    )
    assert committed.keys() == again.keys()
    assert [path for path in again if committed[path] != again[path]] == []


def test_the_table_1_in_the_readme() -> None:
    rows = re.findall(
        r"^\| (\w+) \| (\S+K) \|(.*)\|(.*)\|(.*)\|(.*)\|(.*)\|$", README, re.MULTILINE
    )
    assert len(rows) == 12
    for name, *cells in rows:
        params, ops = library.ledger(
            [f"googlenet/table1-{name}-{what}" for what in ("params", "ops")]
        ).rows
        assert [cell.strip() for cell in cells] == [
            text
            for row in (params, ops)
            for text in (row.figure.printed, f"{int(row.computed):,}", row.verdict)
        ]


def test_the_module_in_the_readme_is_a_model(costlab: Run, tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(import torch\n.*?)```", README, re.DOTALL)
    (tmp_path / "mine.py").write_text(code, encoding="utf-8")
    (command,) = re.findall(r"`(costlab show 'mine.py.*?)`", README)
    done = costlab(*shlex.split(command)[1:], cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "mine.py:Net(width=16)" in done.stdout


def test_the_rule_in_the_docs_counts() -> None:
    from costlab.ops.custom import _COUNTING

    page = (ROOT / "docs" / "modules.md").read_text(encoding="utf-8")
    code = re.findall(r"```python\n(import costlab.*?)```", page, re.DOTALL)[0]
    script = f"{code}\nmodule = torch.nn.PairwiseDistance()\n"
    before = dict(_COUNTING)
    names: dict[str, object] = {}
    exec(script, names)
    assert len(_COUNTING) == len(before) + 1
    _COUNTING.clear()
    _COUNTING.update(before)


def test_links_lead_somewhere() -> None:
    folders = (ROOT / "docs", ROOT / "reports")
    pages = [*ROOT.glob("*.md"), *(page for folder in folders for page in folder.rglob("*.md"))]
    for page in pages:
        for target in re.findall(r"\]\((?!http)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), (page, target)


def test_a_figure_leads_to_the_page_of_its_model() -> None:
    text = (ROOT / "reports" / "figures.md").read_text(encoding="utf-8").replace("\\", "")
    led = re.findall(r"^\| \[(\S+)\]\(models/(\S+)/README.md\)", text, re.MULTILINE)
    judged = library.ledger()
    assert led == [(row.figure.id, re.split(r"[(/]", row.figure.model)[0]) for row in judged.rows]
    assert len(led) == text.count("\n|") - 2 * len(judged.sources)  # each line of each table


def test_a_page_with_tables_has_them_as_files_and_leads_back() -> None:
    index = ROOT / "reports" / "README.md"
    for page in (ROOT / "reports").rglob("*.md"):
        text = page.read_text(encoding="utf-8")
        links = [page.parent / link for link in re.findall(r"\]\((?!http)([^)#]+)", text)]
        assert any(link.suffix == ".csv" for link in links), page
        assert page == index or index in [link.resolve() for link in links], page


TRY = {
    "ops": """
from costlab.costs.table import costs
from costlab.checks.crosscheck import crosscheck
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
    "figures": "main(['figures', 'eyeriss'])",
}


@pytest.mark.parametrize(("path", "source"), EXAMPLES, ids=[path for path, _ in EXAMPLES])
def test_an_example_works_as_one_new_file(tmp_path: Path, path: str, source: str) -> None:
    """In a package made of links to ours, with the one file added."""
    package = Path(library.__file__).parent
    for file in package.rglob("*.py"):
        link = tmp_path / "costlab" / file.relative_to(package)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(file)
    (tmp_path / path).parent.mkdir(exist_ok=True)
    (tmp_path / path).write_text(source, encoding="utf-8")
    room = Path(path).parts[1]
    script = f"import sys; sys.path.insert(0, '.')\nfrom costlab.cli import main\n{TRY[room]}"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
