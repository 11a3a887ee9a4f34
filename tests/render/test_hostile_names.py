"""Names of a model that a terminal, LaTeX, Markdown or UTF-8 would take for more than names."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
from command_line import Run
from pyarrow import parquet
from torch import nn

import costlab
from costlab.costs.table import CostTable
from costlab.render import formats, latex_text

ESCAPE = "\x1b[2J\x9b5n\u202e"
STEERS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]")
CODE = "from torch import nn\n\nNet = nn.Conv2d\n"


def named(*names: str) -> CostTable:
    net = nn.Sequential()
    for name in names:
        net.add_module(name, nn.Linear(3, 3))
    return costlab.analyze(net, (1, 3))


@pytest.mark.parametrize("format", ["table", "markdown", "latex", "csv", "json"])
def test_no_control_character_is_in_any_result(format: str) -> None:
    tables = named(ESCAPE), named("b")
    odd = costlab.compare(*tables, trace=False)
    assert not STEERS.search(formats.render(odd, format))
    assert not STEERS.search(formats.render(tables[0], format))


def test_a_comparison_of_a_file_with_control_characters(costlab: Run, tmp_path: Path) -> None:
    """Its name is in the heads of columns, in details and in the title."""
    for name in (f"a{ESCAPE}.py", "b.py"):
        (tmp_path / name).write_text(CODE, encoding="utf-8")
    models = [f"{name}:Net(in_channels=3, out_channels=4, kernel_size=3)" for name in ("b.py",)]
    models.insert(0, models[0].replace("b.py", f"a{ESCAPE}.py"))
    done = costlab(
        "compare", *models, "--input-size", "1,3,8,8", "--no-trace", "--depth", "1", cwd=tmp_path
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert r"a\x1b[2J\x9b5n\u202e.py:Net" in done.stdout
    assert not STEERS.search(done.stdout)


def test_a_row_of_latex_does_not_begin_with_an_option() -> None:
    rows = named("[1]", "*x").to_latex().splitlines()
    assert [row[:5] for row in rows if "& linear &" in row] == ["{}[1]", "{}*x "]
    assert not [row for row in rows if row.startswith(("[", "*"))]


def test_latex_keeps_signs_apart_that_it_would_join() -> None:
    assert latex_text.escape("--depth ``a'' ,, -") == "-{}-depth `{}`a'{}' ,{}, -"


def test_latex_says_which_names_pdflatex_has_no_letters_for() -> None:
    assert "LuaLaTeX" not in named("größe", "α≠β").to_latex()
    assert "% needs XeLaTeX or LuaLaTeX, and a font with 卷积\n" in named("卷积").to_latex()


def test_markdown_has_no_formula_and_calls_nobody() -> None:
    text = named("$a$", "@name").to_markdown()
    assert "<span>$</span>a<span>$</span>" in text
    assert "<span>@</span>name" in text
    assert not re.search(r"(?<!<span>)[$@]", text)


def test_parquet_spells_what_is_no_utf_8() -> None:
    file = io.BytesIO()
    formats.write(named("a\ud800"), "parquet", file)
    file.seek(0)
    assert parquet.read_table(file)["path"].to_pylist() == ["a\\ud800"]


@pytest.mark.parametrize("name", [" a.json", "a (1).json", "a:b.json", "a b.json", "a.py.json"])
def test_a_report_may_have_any_name(costlab: Run, tmp_path: Path, name: str) -> None:
    table = named("first", "second")
    (tmp_path / name).write_text(table.to_json(), encoding="utf-8")
    for model, macs in ((name, 18), (f"{name}/first", 9)):
        done = costlab("show", model, "--format", "json", cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        assert json.loads(done.stdout)["total"]["macs"] == macs


@pytest.mark.parametrize("name", [" a.py", "a .py", "a.json.py"])
def test_code_may_have_any_name(costlab: Run, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(CODE.replace("Conv2d", "ReLU"), encoding="utf-8")
    assert costlab("show", f"{name}:Net", "--input-size", "1,3", cwd=tmp_path).returncode == 0


def test_blanks_around_a_name_are_none_of_it(costlab: Run) -> None:
    assert costlab("show", " naive ").stdout == costlab("show", "naive").stdout


def test_a_report_that_nests_too_deep_is_refused(costlab: Run, tmp_path: Path) -> None:
    table = named("layer")
    text = table.to_json().replace('"path": "layer"', '"path": "' + "a." * 1500 + 'layer"')
    (tmp_path / "deep.json").write_text(text, encoding="utf-8")
    done = costlab("show", "deep.json", cwd=tmp_path)
    assert done.returncode == 2
    assert "a path in it has more than 200 scopes" in done.stderr
