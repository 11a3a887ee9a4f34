"""README.md and CONTRIBUTING.md: what they print is what is printed, and their examples run."""

from __future__ import annotations

import doctest
import fcntl
import os
import re
import shlex
import subprocess
import sys
from difflib import SequenceMatcher
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from command_line import Run, environment

import costlab as library
from costlab.checks.crosscheck import CrossCheck
from costlab.views.report import INDEX, report

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")

GUIDES = {path.name: path.read_text(encoding="utf-8") for path in sorted(ROOT.glob("docs/*.md"))}

PASTED = [
    (page, command, text)
    for page in (ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")))
    for command, text in re.findall(
        r"```console\n\$ (.*?)\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL
    )
]
LEFT_OUT = "...\n"
EXAMPLES = re.findall(r"`(costlab/[\w/]+\.\w+)`:\n\n```\w+\n(.*?)```", CONTRIBUTING, re.DOTALL)


def test_there_is_something_to_check() -> None:
    assert len(PASTED) >= 3
    assert len(EXAMPLES) == 7


def replace(page: Path, old: str, new: str) -> None:
    """In a page that tests in other processes write too."""
    with page.open("r+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        text = file.read()
        assert text.count(old) == 1, (page, old)
        file.seek(0)
        file.write(text.replace(old, new))
        file.truncate()


def matches(pasted: str, printed: str) -> bool:
    pattern = r"(?:.*\n)*".join(map(re.escape, pasted.split(LEFT_OUT)))
    return re.fullmatch(pattern, printed) is not None


def renewed(pasted: str, printed: str) -> str:
    """What is printed now, without the lines that were left out of what was pasted."""
    old, new = pasted.splitlines(keepends=True), printed.splitlines(keepends=True)
    lines: list[str] = []
    for _, *ends in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        before, after = old[ends[0] : ends[1]], new[ends[2] : ends[3]]
        if LEFT_OUT in before:
            shown_above = before.index(LEFT_OUT)
            shown_below = before[::-1].index(LEFT_OUT)
            below = after[max(shown_above, len(after) - shown_below) :]
            after = [*after[:shown_above], LEFT_OUT, *below]
        lines += after
    return "".join(lines)


@pytest.mark.parametrize(("page", "command", "pasted"), PASTED, ids=[c for _, c, _ in PASTED])
def test_pasted_output_is_what_is_printed(
    costlab: Run, overwrite: bool, page: Path, command: str, pasted: str
) -> None:
    """If not: pytest tests/docs --overwrite. A line ``...`` stands for lines left out."""
    program, *args = shlex.split(command)
    assert program == "costlab"
    printed = costlab(*args, env=environment(COLUMNS="80")).stdout
    assert printed
    if overwrite:
        start = f"```console\n$ {command}\n"
        replace(page, f"{start}{pasted}```", f"{start}{renewed(pasted, printed)}```")
    else:
        assert matches(pasted, printed), printed


def test_the_network_of_docs_sweeps_is_the_file() -> None:
    assert (ROOT / "docs" / "network.py").read_text(encoding="utf-8") in GUIDES["sweeps.md"]


def test_an_output_is_pasted_anew_without_what_was_left_out() -> None:
    pasted = "title\na  1\n...\ntotal  3\n...\n"
    printed = "title\nnew line\na  2\nb  1\nc  1\ntotal  4\nlegend\n"
    again = renewed(pasted, printed)
    assert again != pasted
    assert not matches(pasted, printed)
    assert matches(again, printed)
    assert LEFT_OUT in again
    assert renewed("title\na  1\n...\ntotal\n", "title\na  2\nb\nc\ntotal\n") == (
        "title\na  2\n...\ntotal\n"
    )
    assert renewed(again, printed) == again


def test_the_table_of_docs_reconcile(costlab: Run, overwrite: bool) -> None:
    """Where all counters are installed; where they are not, those that are explain every unit."""
    page = ROOT / "docs" / "reconcile.md"
    start, end = "<!-- printed -->\n", "<!-- /printed -->"
    pasted = page.read_text(encoding="utf-8").partition(start)[2].partition(end)[0]
    done = costlab("reconcile", "googlenet", "--format", "markdown")
    assert done.returncode == 0
    if "not installed" in done.stdout:
        pytest.skip("pip install -e '.[counters]'")
    if overwrite:
        replace(page, start + pasted + end, start + done.stdout + end)
    else:
        assert done.stdout == pasted


def test_the_librarys_examples() -> None:
    """But for those of other counters, which test_coming_from.py runs.

    ``...`` in what is expected stands for any text.
    """
    guides = [text for name, text in GUIDES.items() if ">>>" in text and name != "coming-from.md"]
    for text in (README, library.__doc__ or "", *guides):
        test = doctest.DocTestParser().get_doctest(text.replace("```", ""), {}, "doc", None, 0)
        runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS)
        runner.run(test)
        assert runner.failures == 0
        assert runner.tries > 0


def test_reports_are_what_is_committed_of_them_and_lead_somewhere(
    overwrite: bool,
) -> None:
    """If not: costlab report reports --page googlenet, or pytest tests/docs --overwrite.

    They are made once, which takes its time: those that are not committed are looked at here, too,
    and with BUILT_REPORTS=DIR, as .ci/run has it, all are written there.
    """
    pytest.importorskip("grandalf", reason="pip install -c constraints.txt -e '.[test]'")
    reports = report()
    files, folder = reports.files(["googlenet"]), ROOT / "reports"
    if overwrite:
        write_into(folder, files)
    committed = {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
        for path in folder.rglob("*.*")
    }
    assert committed.keys() == files.keys()
    assert [name for name in files if committed[name] != files[name]] == []
    everything = reports.files()
    if built := os.environ.get("BUILT_REPORTS"):
        write_into(Path(built), everything)
    assert {f"models/{name}/index.html" for name in library.architectures()} < everything.keys()
    assert [*wrong_links(files), *wrong_links(everything)] == []
    assert figures_led_to(everything) == [
        (row.figure.id, re.split(r"[(/]", row.figure.model)[0]) for row in reports.judged.rows
    ]
    for page in reports.pages:
        assert_counters_agree(page.check)


def write_into(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


def wrong_links(files: dict[str, str]) -> list[tuple[str, str]]:
    """Those that lead to no file, and pages that have no table as a file or do not lead back."""
    wrong = []
    for name, text in files.items():
        pattern = {".md": r"\]\((?!http)([^)#]+)", ".html": r'<a href="(?!http)([^"#]+)'}
        if (ending := PurePosixPath(name).suffix) not in pattern:
            continue
        links = re.findall(pattern[ending], text)
        targets = [os.path.normpath(PurePosixPath(name).parent / link) for link in links]
        wrong += [(name, target) for target in targets if target not in files]
        if ending == ".md":
            has_file = any(target.endswith(".csv") for target in targets)
            leads_back = name == INDEX or INDEX in targets
            wrong += [] if has_file and leads_back else [(name, "")]
    return wrong


def test_links_that_lead_nowhere_are_found() -> None:
    files = {INDEX: "[all](all.csv)", "all.csv": "", "a.md": "[b](all.csv) [index](README.md)"}
    assert wrong_links(files) == []
    assert wrong_links(files | {"b.md": "[index](README.md)"}) == [("b.md", "")]
    assert wrong_links(files | {"x/y.html": '<a href="../c.md">'}) == [("x/y.html", "c.md")]


def figures_led_to(files: dict[str, str]) -> list[tuple[str, str]]:
    """Each line of each table of the ledger, and the model that it leads to."""
    text = files["figures.md"].replace("\\", "")
    led: list[tuple[str, str]] = re.findall(
        r"^\| \[(\S+)\]\(models/(\S+)/README.md\)", text, re.MULTILINE
    )
    assert len(led) == text.count("\n|") - 2 * text.count("\n## ")
    return led


def assert_counters_agree(check: CrossCheck) -> None:
    """On every layer with a contraction, and the built module in all that it can say."""
    contractions = [row.path for row in check.table.rows if row.contraction]
    for counter in ("fvcore", "torch"):
        agreed = [one.path for one in check.of(counter) if one.verdict == "agrees"]
        assert agreed == contractions
    assert {one.verdict for one in check.of("module")} == {"agrees"}
    assert check.agrees


def test_the_readmes_table_1_is_what_is_printed() -> None:
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
            for text in (row.figure.printed, f"{int(str(row.computed)):,}", row.verdict)
        ]


def test_the_module_in_the_readme_is_a_model(costlab: Run, tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(import torch\n.*?)```", README, re.DOTALL)
    (tmp_path / "mine.py").write_text(code, encoding="utf-8")
    (command,) = re.findall(r"`(costlab show 'mine.py.*?)`", README)
    done = costlab(*shlex.split(command)[1:], cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "mine.py:Net(width=16)" in done.stdout


RULES_IN_THE_DOCS = {
    "cdist": ("lambda x: torch.cdist(x, x)", {"mul": 160, "add": 288, "special": 32}),
    "MyAttention": ("MyAttention()", {"macs": 320}),
    "flash_attention": ("lambda x: flash_attention(*[x[:, :, None]] * 3)", {"macs": 320}),
    "Mixer": ("Mixer()", {"mul": 80}),
    "Decay": ("lambda x: Decay.apply(x, x)", {"mul": 80, "add": 40}),
}
"""What each example of a rule counts, by hand, of an input 2×4×5."""


@pytest.mark.parametrize("name", RULES_IN_THE_DOCS)
def test_the_rules_in_the_docs_count(name: str) -> None:
    from wrapped import Applied, own_rules

    page = (ROOT / "docs" / "modules.md").read_text(encoding="utf-8")
    examples = re.findall(r"```python\n(import costlab.*?)```", page, re.DOTALL)
    assert len(examples) == len(RULES_IN_THE_DOCS)
    (code,) = (each for each in examples if f"counting({name}" in each.replace("torch.", ""))
    use, counts = RULES_IN_THE_DOCS[name]
    names: dict[str, Any] = {}
    with own_rules():
        exec(f"{code}\nused = {use}\n", names)
        used = names["used"]
        module = Applied(used) if use.startswith("lambda") else used
        table = library.analyze(module, (2, 4, 5))
    assert table.total.count == library.OpCount(**counts)
    assert table.complete


def test_links_lead_somewhere() -> None:
    folders = (ROOT / "docs", ROOT / "reports")
    pages = [*ROOT.glob("*.md"), *(page for folder in folders for page in folder.rglob("*.md"))]
    for page in pages:
        for target in re.findall(r"\]\((?!http)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), (page, target)


CALL = """
import sys
from costlab.cli import main as command_line
def main(args):
    try:
        command_line(args)
    except SystemExit as end:
        assert not end.code, args
"""
TRY = {
    "ops": """
from costlab.costs.table import costs
from costlab.checks.crosscheck import crosscheck
from costlab.graph import Net
from costlab.ops.maxout import Maxout
net = Net("net", (1, 6, 2, 2))
graph = net.graph(net.add("maxout", Maxout(3), *net.inputs))
assert costs(graph).total.flops == 2 * 2 * 4
assert crosscheck(graph, counters=["module"]).agrees
""",
    "catalog": "main(['crosscheck', 'mlpconv'])",
    "counters": "main(['crosscheck', 'googlenet/linear', '--counter', 'hooks'])",
    "render": "main(['show', 'naive', '--format', 'tsv'])",
    "models": """
open("net.layers", "w").write("1,3,8,8\\n16 3\\n8 1\\n")
main(["crosscheck", "net.layers"])
""",
    "figures": "main(['figures', 'eyeriss'])",
    "cli": """
from costlab.cli.command_classes import LazyCommand
from costlab.cli.commands import cli
cli.add_command(LazyCommand("layers"))
main(["layers", "googlenet"])
""",
}


def test_the_examples_of_contributing_work_as_one_new_file(tmp_path: Path) -> None:
    """In a package made of links to ours, with the files added.

    None imports what another one brings, and one process tries them all: what they need of torch
    is imported once.
    """
    package = Path(library.__file__).parent
    for file in package.rglob("*.py"):
        link = tmp_path / "costlab" / file.relative_to(package)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(file)
    script = CALL
    for path, source in EXAMPLES:
        for module in re.findall(r"^(?:from|import) (costlab[\w.]*)", source, re.MULTILINE):
            assert find_spec(module), (path, module)
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(source, encoding="utf-8")
        script += f"tried = {path!r}\n{TRY[Path(path).parts[1]]}\nprint('works:', tried)\n"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert re.findall("^works: (.*)", done.stdout, re.MULTILINE) == [path for path, _ in EXAMPLES]
