"""A result as a page: one file with its styles, its scripts and its data.

Nothing in it is asked for elsewhere, and its content security policy, by the hashes of what is in
it, lets nothing else run. Names go through the template engine, which escapes them, or into a block
of data, which nobody executes.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from costlab.errors import OutputError
from costlab.formatting import printable
from costlab.render.cells import text_of
from costlab.render.diagram import Graphs
from costlab.render.document import Equation, Paragraph, Showable, Table
from costlab.render.plots import Levels, Roofs, Scatter, Spans, Waterfall
from costlab.render.tree import Tree
from costlab.render.verdict_plots import Agreement, Ratios
from costlab.render.web.data import escaped_json, graphs_data, scatter_data, tree_data
from costlab.render.web.drawn import Drawn, require_layout
from costlab.render.web.plots import (
    DrawnLevels,
    DrawnRoofs,
    DrawnScatter,
    DrawnSpans,
    DrawnWaterfall,
)
from costlab.render.web.static import StaticTree
from costlab.render.web.verdict_plots import DrawnAgreement, DrawnRatios

if TYPE_CHECKING:
    from jinja2 import Environment

    from costlab.render.made import Made

_HERE = Path(__file__).parent
_SCRIPTS = (
    *("numbers", "lines", "icicle", "grid", "tables", "scatter", "layers", "graph", "main"),
)
"""The modules of the script, each after those that it imports."""


def page(result: Showable, made: Made | None = None) -> str:
    """The page of a result; ``made`` says how it came to be."""
    blocks = result.page()
    title = next(block.text for block in blocks if isinstance(block, Paragraph))
    trees = [block for block in blocks if isinstance(block, Tree)]
    styles, script = style("page.css", "graph.css", "verdicts.css"), joined(_SCRIPTS)
    units = result.units()
    headings = {block.style for block in blocks[1:] if isinstance(block, Paragraph)}
    levels = dict.fromkeys(("page", "title", "section"), 2)
    if headings & {"page", "title"}:  # a heading is never two levels below the one above it
        levels["section"] = 3
    return (
        templates()
        .get_template("page.html")
        .render(
            title=title,
            headline=result.headline(),
            blocks=[_shown(block, levels) for block in blocks],
            definitions=units.definitions,
            made=made,
            policy=policy(styles, script),
            style=styles,
            script=script,
            data=escaped_json(
                {
                    "trees": [tree_data(tree) for tree in trees],
                    "graphs": [graphs_data(block) for block in blocks if isinstance(block, Graphs)],
                    "scatters": [
                        scatter_data(block) for block in blocks if isinstance(block, Scatter)
                    ],
                    "made": _said(made),
                }
            ),
        )
        + "\n"
    )


def policy(style: str, script: str) -> str:
    """The content security policy that allows these two and nothing else."""
    return (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def joined(names: Iterable[str]) -> str:
    """Modules as one script: a page has no addresses that they could import each other by.

    Without comments and indentation, which nobody reads there.
    """
    texts = [(_HERE / "js" / f"{name}.js").read_text(encoding="utf-8") for name in names]
    script = "\n".join(_IMPORT.sub("", text).replace("\nexport ", "\n") for text in texts)
    lines = (line.strip() for line in script.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("//"))


_IMPORT = re.compile(r"^import .*?;\n", re.MULTILINE | re.DOTALL)


def _hash(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"


def _said(made: Made | None) -> str:
    return printable(str(made)) if made else ""


def _shown(block: Any, levels: Mapping[str, int]) -> Mapping[str, Any]:
    """A block as the template takes it; ``levels`` are those of headings by their styles."""
    if isinstance(block, Tree):
        return {"kind": "tree", "tree": StaticTree(block)}
    if isinstance(block, Graphs):
        return {"kind": "graphs", **_graphs(block)}
    if isinstance(block, Scatter):
        return {"kind": "scatter", "drawn": DrawnScatter(block)}
    if isinstance(block, Levels):
        return {"kind": "levels", "drawn": DrawnLevels(block)}
    if isinstance(block, Spans):
        return {"kind": "spans", "drawn": DrawnSpans(block)}
    if isinstance(block, Roofs):
        return {"kind": "roofs", "drawn": DrawnRoofs(block)}
    if isinstance(block, Waterfall):
        return {"kind": "waterfall", "drawn": DrawnWaterfall(block)}
    if isinstance(block, Agreement):
        return {"kind": "agreement", "drawn": DrawnAgreement(block)}
    if isinstance(block, Ratios):
        return {"kind": "ratios", "drawn": DrawnRatios(block)}
    if isinstance(block, Equation):
        return {"kind": "equation", "name": block.name, "text": block.text}
    if isinstance(block, Paragraph):
        return {
            "kind": "paragraph",
            "text": block.text,
            "style": block.style,
            "link": _leads(block.link),
            "heading": levels.get(block.style),
        }
    assert isinstance(block, Table)
    return {"kind": "table", "table": block}


def _leads(link: str) -> str:
    """An address of the web or of a file beside the page; any other, such as of code, is none."""
    return link if re.fullmatch(r"https?://.*|[\w./-]+", link) else ""


def _graphs(graphs: Graphs) -> dict[str, Any]:
    """The graphs with their places; the first of each network is open."""
    if graphs.diagrams:
        try:
            require_layout()
        except OutputError as error:
            return {"missing": str(error)}
    return {
        "missing": "",
        "graphs": [
            (diagram.title, number == 0, Drawn(diagram))
            for of_one in graphs.diagrams
            for number, diagram in enumerate(of_one)
        ],
    }


def style(*names: str) -> str:
    """Those sheets of style as one."""
    return "".join((_HERE / name).read_text(encoding="utf-8") for name in names)


@cache
def templates() -> Environment:
    """The templates of this folder, which escape what is put into them."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    def finalized(value: Any) -> Any:
        """Text with what steers a terminal, or the order of what is read, spelled out."""
        return printable(value) if type(value) is str else value

    made = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=finalized,
    )
    made.filters |= {"cell": text_of, "own": Markup, "leads": _leads}
    return made
