"""Tables fit the page: GitHub's of 1,012 pixels, and a line of LaTeX's article."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from torch import nn

import costlab
from costlab.costs.table import costs
from costlab.graph import Net
from costlab.ops.conv import Conv
from costlab.render.formats.markdown import PAGE
from costlab.render.latex_text import LINE, points
from costlab.render.result import Result
from costlab.sweeps.files import Store
from costlab.sweeps.request import MOST_SHOWN, Request
from costlab.sweeps.sweep import Sweep, run_sweep
from costlab.views.listing import listing

ROOT = Path(__file__).parents[2]
PAGES = sorted([*(ROOT / "reports").rglob("*.md"), ROOT / "docs" / "reconcile.md"])
_PADDING = 27
"""Pixels of a cell around its text."""
_PIXELS = {
    **dict.fromkeys("ijl|'", 3.6),
    **dict.fromkeys(",.·:;/!ftI", 4.5),
    **dict.fromkeys("()[]r-", 5.4),
    **dict.fromkeys("cskxyz", 8.1),
    **dict.fromkeys("mMwW%", 13.4),
}
"""Pixels of characters in Arial of 16 pixels; capitals and others take 9.4 at most on average."""


def least_width(page: str) -> list[float]:
    """The least widths of the tables of a page: words are not broken, spaces are."""
    widths = []
    for block in re.findall(r"(?:^\|.*\n)+", page, re.MULTILINE):
        rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in block.splitlines()]
        plain = [[_plain(cell) for cell in row] for row in (rows[0], *rows[2:])]
        widths.append(
            sum(
                max((_pixels(word) for cell in column for word in cell.split()), default=0)
                + _PADDING
                for column in zip(*plain, strict=True)
            )
        )
    return widths


def _plain(cell: str) -> str:
    text = re.sub(r"<sub>(.*?)</sub>", "", cell)  # small print is broken below
    text = re.sub(r"\[(.*?)\]\(.*?\)", r"\1", text)
    return re.sub(r"\\|\*\*|<br>", " ", text).replace(" ", " ")


def _pixels(word: str) -> float:
    return sum(_PIXELS.get(sign, 9.0) for sign in word)


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_the_reports_can_be_read_without_scrolling_sideways(page: Path) -> None:
    widths = least_width(page.read_text(encoding="utf-8"))
    assert widths
    assert max(widths) <= PAGE


def test_the_measure_finds_a_table_that_is_too_wide() -> None:
    wide = "| " + " | ".join(["1,234,567,890"] * 9) + " |\n"
    assert max(least_width(wide + re.sub("[^|\n]", "-", wide) + wide)) > PAGE


def test_a_derivation_stands_below_the_name_of_its_row() -> None:
    text = costlab.analyze("naive").to_markdown()
    assert "| branch5x5.conv<br><sub>(28·28·32)·(5·5·192)</sub> | conv2d 5×5" in re.sub(
        " +", " ", text
    )
    head = next(line for line in text.splitlines() if line.startswith("| layer"))
    assert [cell.strip() for cell in head.strip("|").split("|")] == [
        *("layer", "operation", "output", "params", "MACs", "share"),
    ]
    assert "Not on this page: other ops, activations, input" in text


def test_prose_stands_in_a_column_if_there_is_room_and_below_if_not() -> None:
    assert "| what it is" in listing().to_markdown()
    index = (ROOT / "reports" / "README.md").read_text(encoding="utf-8")
    assert "<summary>Source</summary>" in index
    assert "- [googlenet](models/googlenet/README.md): GoogLeNet" in index or (
        "- [googlenet](models/googlenet/README.md): Szegedy" in index
    )


def deep() -> Result:
    """Long paths, long names, many digits."""
    net = Net("deep", (1, 3, 512, 512))
    x = net.inputs[0]
    with net.scope("a_scope_with_a_very_long_name"), net.scope("another_one_with_a_long_name"):
        for number in range(60):
            x = net.add(f"a_convolution_with_a_name_of_many_letters_{number}", Conv(512, 3), x)
    return costs(net.graph(x))


def names() -> Result:
    """Signs that LaTeX would run, or print as others, and long ones without a place to break."""
    odd = ("|x|", "--depth", "a``b''c,,d", "αβΩ±", "½ “one”", "$x_1^2$", "#%&~{}\\", "n" * 150)
    net = nn.Sequential()
    for name in odd:
        net.add_module(name, nn.Linear(3, 3))
    return costlab.analyze(net, (1, 3))


def swept() -> Result:
    plan = Request("reduced", {"c5r": "4:32:4", "H=W": "14,28"}).plan()
    store = Store(plan, None, False, MOST_SHOWN)
    run_sweep(plan, store)
    return Sweep(store)


RESULTS: dict[str, Callable[[], Result]] = {
    "show": lambda: costlab.analyze("googlenet"),
    "flat": lambda: costlab.analyze("inception-v3").laid_out(flat=True),
    "columns": lambda: costlab.analyze("googlenet").laid_out(
        columns=(
            "operation",
            "output",
            "params",
            "macs",
            "flops",
            "other",
            "activations",
            "mul",
        )
    ),
    "kinds": lambda: costlab.analyze("googlenet").laid_out(by="kind"),
    "deep": deep,
    "training": lambda: costlab.analyze("reduced", training_cost=True),
    "params": lambda: costlab.parameters(nn.Sequential(nn.Conv2d(3, 8, 3), nn.Linear(8, 8))),
    "names": names,
    "compare": lambda: costlab.compare("naive", "reduced", "googlenet(aux=True)", trace=False),
    "stages": lambda: costlab.compare("googlenet", "inception-v3", trace=False),
    "list": listing,
    "source": lambda: listing(["inception-v2"]),
    "figures": lambda: costlab.ledger(["googlenet", "mobilenet"]),
    "crosscheck": lambda: costlab.crosscheck("naive", counters=["module", "torch"]),
    "reconcile": lambda: costlab.reconcile("naive", against=["torch"], depth=2),
    "check": lambda: costlab.check("googlenet", "macs <= 1 M and params <= 1", baseline="naive"),
    "memory": lambda: costlab.memory("naive", training=True),
    "sweep": swept,
    "formula": lambda: costlab.formula("googlenet"),
    "factored": lambda: costlab.formula("reduced", "c1,c5,c5r", factored=True),
}


@pytest.mark.parametrize("name", RESULTS)
def test_the_columns_of_a_latex_table_fit_a_line(name: str) -> None:
    text = RESULTS[name]().to_latex()
    for spec, body in re.findall(
        r"\\begin\{longtable\}\{([^\n]*)\}\n(.*?)\\end\{longtable\}", text, re.DOTALL
    ):
        columns = re.findall(r"p\{(\d+)pt\}|([lr])", re.sub(r">\{.*?\}(?=p)", "", spec))
        widths = [float(fixed or 0) for fixed, _ in columns]
        rows = [line for line in body.splitlines() if " & " in line]
        assert rows
        for row in rows:
            cells = row.removesuffix(" \\\\").removesuffix(" \\\\*").split(" & ")
            assert len(cells) == len(columns)
            for k, cell in enumerate(cells):
                if not columns[k][0]:
                    widths[k] = max(widths[k], points(printed(cell), "textbf" in cell))
        assert sum(widths) + 6 * len(widths) <= LINE + 1
    assert text.count("\\caption{") == text.count("\\label{tab:") == text.count("{longtable}}") or (
        name == "formula"
    )


def printed(cell: str) -> str:
    """The text that LaTeX prints of a cell."""
    text = re.sub(r"\\textbf\{|\\hspace\*\{\d+pt\}|\\allowbreak\{\}", "", cell)
    text = (
        text.replace("$\\times$", "×")
        .replace("$\\cdot$", "·")
        .replace("$\\ge$", "≥")
        .replace("$<$", "<")
    )
    return re.sub(r"\\|\}$", "", text)


TEX = shutil.which("pdflatex") or shutil.which("tectonic")


@pytest.mark.skipif(TEX is None, reason="no TeX is installed: neither pdflatex nor tectonic")
@pytest.mark.parametrize("name", RESULTS)
def test_latex_compiles_and_nothing_is_off_the_page(tmp_path: Path, name: str) -> None:
    assert TEX is not None
    body = RESULTS[name]().to_latex()
    (tmp_path / "page.tex").write_text(
        "\\documentclass{article}\\usepackage[utf8]{inputenc}\\usepackage[T1]{fontenc}"
        "\\usepackage{amsmath,array,booktabs,longtable,hyperref}\n"
        f"\\begin{{document}}\n{body}\n\\end{{document}}\n",
        encoding="utf-8",
    )
    args = ["-interaction=nonstopmode", "-halt-on-error"] if "pdflatex" in TEX else ["--keep-logs"]
    for _ in range(2):  # longtable finds its widths in the first run
        done = subprocess.run(
            [TEX, *args, "page.tex"], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout[-2000:]
    log = (tmp_path / "page.log").read_text(encoding="utf-8", errors="replace")
    over = [float(points) for points in re.findall(r"Overfull \\hbox \(([\d.]+)pt too wide\)", log)]
    assert max(over, default=0) < 5
