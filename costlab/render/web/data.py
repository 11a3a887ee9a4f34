"""What a page's script draws from: lists in place of names, since there is much of it."""

from __future__ import annotations

import json
from typing import Any

from costlab.formatting import printable
from costlab.render.cells import Number
from costlab.render.diagram import Graphs, Nest
from costlab.render.plots import Scatter
from costlab.render.tree import Tree


def escaped_json(data: Any) -> str:
    """JSON that can stand in a page: nothing in it ends the block that it stands in."""
    text = json.dumps(data, ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def tree_data(tree: Tree) -> dict[str, Any]:
    """What the script draws a tree from: lists in place of names, since there are many lines.

    Numbers that a script would round are text.
    """
    return {
        "title": printable(tree.title),
        "networks": [printable(name) for name in tree.networks],
        "measures": [[printable(text) for text in known[:3]] for known in tree.measures],
        "families": list(tree.families),
        "measure": tree.measure,
        "columns": list(tree.columns),
        "depth": tree.depth,
        "sort": tree.sort,
        "units": tree.units,
        "totals": [list(map(_number, numbers)) for numbers in tree.totals],
        "lines": [
            [
                printable(line.name),
                -1 if line.parent is None else line.parent,
                tree.families.index(line.family) if line.family else -1,
                printable(line.operation),
                line.output,
                [printable(path) for path in line.paths],
                [list(map(_number, numbers)) for numbers in line.numbers],
                list(line.derivations),
                line.verdict,
            ]
            for line in tree.lines
        ],
    }


def graph_data(nest: Nest, depth: int) -> dict[str, Any]:
    """What the script unfolds the scopes of a network from; they are open above that depth."""
    return {
        "title": printable(nest.title),
        "depth": depth,
        "insides": [
            {
                "blocks": [
                    [
                        printable(block.path),
                        nest.families.index(block.family) if block.family else -1,
                        *map(printable, block.texts),
                    ]
                    for block in inside.blocks
                ],
                "scopes": inside.scopes,
                "links": [[*link.source, *link.target, link.shape] for link in inside.links],
                "entries": inside.entries,
                "exits": inside.exits,
            }
            for inside in nest.insides
        ],
    }


MOST_OPEN = 30
"""A picture of more blocks is folded at first where it can be unfolded."""


def graphs_data(graphs: Graphs) -> list[dict[str, Any]]:
    """The networks of which there are pictures."""
    return [
        graph_data(nest, pictures[0].depth if len(pictures[0].blocks) <= MOST_OPEN else 1)
        for nest, pictures in zip(graphs.nests, graphs.diagrams, strict=True)
        if pictures and nest.insides
    ]


def scatter_data(scatter: Scatter) -> dict[str, Any]:
    """What the script draws points from."""
    return {
        "axes": [[printable(axis.heading), list(axis.values), axis.most] for axis in scatter.axes],
        "labels": [printable(label) for label in scatter.labels],
        "x": scatter.x,
        "y": scatter.y,
        "left": scatter.left,
    }


_EXACT = 2**53
"""From here on a script's numbers are rounded."""


def _number(cell: Number) -> int | str | None:
    if cell.value is None:
        return None
    value = int(cell.value)
    if cell.at_least:
        return f"≥{value}"
    return value if value < _EXACT else str(value)
