"""Diagrams as a picture of its own: one file of SVG, with text as text."""

from __future__ import annotations

from collections.abc import Sequence

from costlab.render.diagram import Diagram
from costlab.render.web.drawn import Drawn
from costlab.render.web.page import style, templates

_TITLE = 24


def picture(diagrams: Sequence[tuple[str, Diagram]]) -> str:
    """Diagrams one below the other, each under its title."""
    drawn = [Drawn(diagram) for _, diagram in diagrams]
    width = max(picture.width for picture in drawn)
    pictures, y = [], _TITLE
    for (title, _), picture in zip(diagrams, drawn, strict=True):
        pictures.append((title, (width - picture.width) // 2, y, picture))
        y += picture.height + _TITLE
    text = (
        templates()
        .get_template("picture.svg")
        .render(
            width=width,
            height=y - _TITLE,
            titles=[title for title, _ in diagrams],
            pictures=pictures,
            style=style("graph.css"),
        )
    )
    return text.strip() + "\n"
