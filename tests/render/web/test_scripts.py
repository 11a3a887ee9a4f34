"""The modules of a page's script, where there is a Node.js; their numbers are Python's."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from itertools import combinations, product
from pathlib import Path
from typing import Any, get_args

import pytest

import costlab
from costlab import formatting
from costlab.costs.nest import nest_of
from costlab.formatting import Scale
from costlab.render.plots import Axis, front
from costlab.render.web import page
from costlab.render.web.data import graph_data, tree_data

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
        tree_data(tree),
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
        const sorted = (texts, sign) => texts.sort((a, b) => comparedCells(a, b, sign));
        console.log(JSON.stringify([
            ["1,234", "12.5%", "−57.8 %", "conv2d", "≥5"].map(cellValue),
            sorted(["b", "10", "", "9", "a"]),
            sorted(["b", "10", "", "9", "a"], -1),
            sorted(["74.7 µs", "1.2 ms", "9.56 µs", "<1 ps", "2 s", "272 ns"]),
            sorted(["[10.2 µs, 18.5 µs]", "[9.1 µs, 1.2 ms]"]),
            sorted(["5M", "1.5 billion", "840K", "34", "1.2 GB"]),
            sorted(["×3.68", "+75.0 %", "÷9.68", "−41.7 %"]),
            ["1×3×32×32", "2 more", "5×5", "3a"].map(cellValue),
            choicesOf(["yes", "no", "yes", "no"]), choicesOf(["1", "2", "1", "2"]),
        ]));
        """
    )
    assert compared == [
        [1234, 12.5, -57.8, "conv2d", 5],
        ["9", "10", "a", "b", ""],
        ["10", "9", "b", "a", ""],
        ["<1 ps", "272 ns", "9.56 µs", "74.7 µs", "1.2 ms", "2 s"],
        ["[9.1 µs, 1.2 ms]", "[10.2 µs, 18.5 µs]"],
        ["34", "840K", "5M", "1.2 GB", "1.5 billion"],
        ["÷9.68", "−41.7 %", "+75.0 %", "×3.68"],
        ["1×3×32×32", "2 more", "5×5", "3a"],
        ["no", "yes"],
        [],
    ]


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


UNFOLDED = """
import { laidOut, TITLE } from "./layers.js";
import { scopesAbove } from "./graph.js";
const boxes = [];
const lines = [];
const walk = (all, right, down, level) => {
    for (const { points, arrow } of all.lines) {
        lines.push([level, points.map(([x, y]) => [x + right, y + down]), arrow]);
    }
    for (const placed of all.blocks) {
        const [x, y] = [placed.x + right, placed.y + down];
        boxes.push([placed.block.path, level, x, y, x + placed.width, y + placed.height]);
        const { inner } = placed;
        if (inner) walk(inner, x + (placed.width - inner.width) / 2, y + TITLE, level + 1);
    }
};
const depths = data.depths.map((depth) => {
    const open = scopesAbove(data.insides, depth);
    const all = laidOut(data.insides, 0, (path) => open.has(path));
    boxes.length = lines.length = 0;
    walk(all, 0, 0, 0);
    return { width: all.width, height: all.height, boxes: [...boxes], lines: [...lines] };
});
console.log(JSON.stringify(depths));
"""


@pytest.mark.parametrize("model", ["reduced", "googlenet", "resnet50"])
def test_no_block_of_an_unfolded_graph_lies_on_another_one(model: str) -> None:
    nest = nest_of(costlab.analyze(model))
    insides = graph_data(nest, 1)["insides"]
    folded, *others = run(UNFOLDED, {"insides": insides, "depths": [1, 2, 99]})
    assert [box[0] for box in folded["boxes"]] == [block.path for block in nest.insides[0].blocks]
    assert len(others[-1]["boxes"]) == sum(len(inside.blocks) for inside in nest.insides)
    for graph in (folded, *others):
        for a, b in combinations(graph["boxes"], 2):
            (path, level, left, top, right, bottom), (other, deeper, x, y, end, below) = a, b
            if path and deeper > level and other.startswith(f"{path}."):
                assert left <= x <= end <= right
                assert top < y <= below <= bottom
            elif level == deeper:
                assert right <= x or end <= left or bottom <= y or below <= top
        for _, _, left, top, right, bottom in graph["boxes"]:
            assert 0 <= left <= right <= graph["width"]
            assert 0 <= top <= bottom <= graph["height"]
        ends = {(round((box[2] + box[4]) / 2, 6), round(box[3], 6)) for box in graph["boxes"]}
        for _, points, arrow in graph["lines"]:
            heights = [y for _, y in points]
            assert heights == sorted(heights)  # from above to below
            assert not arrow or tuple(round(n, 6) for n in points[-1]) in ends


def test_lines_go_on_at_the_rim_of_an_open_scope() -> None:
    insides = graph_data(nest_of(costlab.analyze("reduced")), 1)["insides"]
    (graph,) = run(UNFOLDED, {"insides": insides, "depths": [2]})
    ends = {(round(x, 3), round(y, 3)) for _, points, _ in graph["lines"] for x, y in points[-1:]}
    begins = [tuple(round(n, 3) for n in points[0]) for _, points, _ in graph["lines"]]
    bottoms = {(round((box[2] + box[4]) / 2, 3), round(box[5], 3)) for box in graph["boxes"]}
    assert all(begin in ends or begin in bottoms for begin in begins)
    assert sum(begin not in bottoms for begin in begins) >= 4  # into each branch


def test_what_would_be_too_near_is_moved_as_one() -> None:
    places = run(
        """
        import { apart } from "./layers.js";
        console.log(JSON.stringify([
            apart([0, 100], [10], [1, 1]), apart([5, 5], [10], [1, 1]),
            apart([5, 5, 5], [10, 10], [1, 1, 4]), apart([9, 0, 50], [10, 10], [1, 1, 1]),
        ]));
        """
    )
    assert places == [[0, 100], [0, 10], pytest.approx([-10, 0, 10]), [-0.5, 9.5, 50]]
