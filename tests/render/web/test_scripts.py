"""The modules of a page's script, where there is a Node.js; their numbers are Python's."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from itertools import product
from pathlib import Path
from typing import Any, get_args

import pytest

from costlab import formatting
from costlab.formatting import Scale
from costlab.render.plots import Axis, front
from costlab.render.web import page

JS = Path(page.__file__).parent / "js"


def node() -> str:
    """Of this machine, or the one that Playwright brings along."""
    if found := shutil.which("node"):
        return found
    playwright = pytest.importorskip("playwright", reason="no Node.js and no Playwright")
    return os.path.join(os.path.dirname(playwright.__file__), "driver", "node")


def run(script: str, data: Any = None) -> Any:
    """What a script prints as JSON; ``data`` is there by that name."""
    lines = [f"const data = {json.dumps(data)};", script]
    done = subprocess.run(
        [node(), "--input-type=module", "-e", "\n".join(lines)],
        cwd=JS,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


NUMBERS = [
    *(0, 1, 7, 99, 499, 500, 999, 1000, 1499, 1500, 9994, 9995, 99949, 99950, 999_499, 999_500),
    *(999_999, 1_000_000, 118_013_952, 1_582_671_872, 10**12, 2**53 + 1, 10**15 + 7, 10**24),
]


def test_numbers_are_written_as_everywhere() -> None:
    written = run(
        """
        import { change, inScale, percent, written } from "./numbers.js";
        const big = data.numbers.map(BigInt);
        console.log(JSON.stringify({
            scales: data.scales.map((scale) => big.map((n) => inScale(n, scale))),
            shares: big.flatMap((a) => big.map((b) => a <= b ? percent(a, b) : "")),
            changes: big.flatMap((a) => big.map((b) => change(a, b))),
            cells: [written(5, "exact"), written("≥1234567", "exact"), written(null, "K")],
        }));
        """,
        {"numbers": list(map(str, NUMBERS)), "scales": get_args(Scale)},
    )
    assert written["scales"] == [
        [formatting.in_scale(n, scale) for n in NUMBERS] for scale in get_args(Scale)
    ]
    pairs = list(product(NUMBERS, NUMBERS))
    assert written["shares"] == [formatting.percent(a, b) if a <= b else "" for a, b in pairs]
    assert written["changes"] == [formatting.change(a, b) for a, b in pairs]
    assert written["cells"] == ["5", "≥1,234,567", "?"]


TREE = {
    "lines": [
        ["stem", -1, 0, "conv2d", "1×8", ["stem"], [[3]], [""], ""],
        ["body", -1, -1, "2 operations", "", ["body"], [[9]], [""], ""],
        ["one", 1, 0, "conv2d", "1×8", ["body.one"], [[2]], [""], ""],
        ["two", 1, 5, "relu", "1×8", ["body.two"], [["≥7"]], [""], ""],
        ["odd", -1, 7, "odd", "", ["odd"], [[None]], [""], ""],
    ]
}


def test_lines_are_folded_sorted_and_found() -> None:
    shown = run(
        """
        import { found, linesOf, openTo, shownLines } from "./lines.js";
        const lines = linesOf(data);
        const folded = { open: new Set(), search: null, sort: null, descending: false };
        const shown = (how) => shownLines(lines, { ...folded, ...how });
        const all = openTo(lines, Infinity);
        const macs = { measure: 0, network: 0 };
        console.log(JSON.stringify([
            shown({}), shown({ open: all }), shown({ open: all }), [...openTo(lines, 1)],
            shown({ open: all, sort: macs, descending: true }), shown({ open: all, sort: macs }),
            shown({ sort: { column: "layer" } }),
            shown({ search: found(lines, "RELU") }), shown({ search: found(lines, "body one") }),
            shown({ search: found(lines, "nothing") }), found(lines, "  "),
        ]));
        """,
        TREE,
    )
    assert shown == [
        [0, 1, 4],
        [0, 1, 2, 3, 4],
        [0, 1, 2, 3, 4],
        [],
        [1, 3, 2, 0, 4],
        [4, 0, 1, 2, 3],
        [1, 4, 0],
        [1, 3],
        [1, 2],
        [],
        None,
    ]


def test_rectangles_are_those_of_python() -> None:
    import costlab
    from costlab.costs.tree import tree_of
    from costlab.render.tree import icicle

    tree = tree_of(costlab.analyze("googlenet"))
    drawn = run(
        """
        import { linesOf } from "./lines.js";
        import { rectangles } from "./icicle.js";
        const lines = linesOf(data);
        const measure = data.measures.findIndex(([name]) => name === "macs");
        console.log(JSON.stringify([
            rectangles(lines, 0, measure, -1, data.totals[0][measure], 1000),
            rectangles(lines, 0, measure, 0, lines[0].numbers[0][measure], 1000),
        ]));
        """,
        page.tree_data(tree),
    )
    ours = {cell.line: cell for cell in icicle(tree, 0, 0.008)}
    assert {cell["id"] for cell in drawn[0]} == set(ours)
    for cell in drawn[0]:
        assert (cell["level"], cell["more"], cell["x"], cell["width"]) == (
            ours[cell["id"]].level,
            list(ours[cell["id"]].more),
            pytest.approx(1000 * ours[cell["id"]].start),
            pytest.approx(1000 * ours[cell["id"]].width),
        )
    assert any(cell["more"] for cell in drawn[0])
    assert min(cell["width"] for cell in drawn[0]) >= 8
    assert [(cell["id"], cell["width"]) for cell in drawn[1]] == [(0, 1000), (1, 1000)]


def test_cells_of_plain_tables_are_sorted_as_what_they_are() -> None:
    compared = run(
        """
        import { cellValue, choicesOf, comparedCells } from "./tables.js";
        console.log(JSON.stringify([
            ["1,234", "12.5%", "−57.8 %", "conv2d", "≥5"].map(cellValue),
            ["b", "10", "9", "a"].sort(comparedCells),
            choicesOf(["yes", "no", "yes", "no"]), choicesOf(["1", "2", "1", "2"]),
        ]));
        """
    )
    assert compared == [[1234, 12.5, -57.8, "conv2d", 5], ["9", "10", "a", "b"], ["no", "yes"], []]


def test_the_front_of_points_is_that_of_python() -> None:
    values = {"c5r": (4, 8, 4, 8, 1), "macs": (1, 2, 3, 4, 0.5)}
    pairs = [
        (Axis("", "", values["c5r"], a), Axis("", "", values["macs"], b))
        for a, b in product((False, True), repeat=2)
    ]
    ours = run(
        """
        import { front } from "./scatter.js";
        console.log(JSON.stringify(data.map(([x, y]) => front(x, y))));
        """,
        [[axis[1:] for axis in pair] for pair in pairs],
    )
    assert ours == [front(*pair) for pair in pairs]
    assert len({str(best) for best in ours}) == 4


def test_the_joined_script_is_a_script() -> None:
    text = page.joined(page._SCRIPTS)
    assert "import " not in text
    assert "\nexport " not in text
    # Twice the same name in two modules would be an error here, and where a page is opened.
    assert run(f"{text}\nconsole.log(JSON.stringify(true));") is True
