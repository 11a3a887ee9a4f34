"""Models side by side as a page: the verdict first, a tree of their parts, and their graphs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costlab.costs.diagram import diagrams
from costlab.costs.nest import nest_of
from costlab.render.diagram import Graphs
from costlab.render.document import Page, Paragraph, Table
from costlab.views.compared_tree import compared_tree

if TYPE_CHECKING:
    from costlab.views.compare import Comparison


def page_of(comparison: Comparison) -> Page:
    """The blocks of the text, with the tree behind the totals."""
    verdicts = comparison.verdicts()
    others = [block for block in comparison.body() if block not in verdicts]
    above = 1 + next(n for n, block in enumerate(others) if isinstance(block, Table))
    return (
        Paragraph(comparison.title, "title"),
        *verdicts,
        *others[:above],
        compared_tree(comparison),
        Graphs(
            tuple(diagrams(table)[-1:] for table in comparison.tables),
            nests=tuple(map(nest_of, comparison.tables)),
        ),
        *others[above:],
    )
