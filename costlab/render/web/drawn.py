"""A diagram as SVG: a layered layout, from the inputs down, with a box around each scope."""

from __future__ import annotations

from functools import cached_property
from importlib.util import find_spec
from typing import Any, NamedTuple

from costlab.errors import OutputError, how_to_install
from costlab.render.diagram import Diagram

LETTER, LINE = 6.6, 15
"""How wide a letter is, and how high a line."""

_GAP, _BETWEEN, _MARGIN, _PADDING = 54, 22, 10, 8


def require_layout() -> None:
    """Raises ``OutputError``, which says how to install it, if there is no library of layouts."""
    if find_spec("grandalf") is None:
        raise OutputError(f"a graph needs grandalf: {how_to_install('pages')}")


class DrawnBlock(NamedTuple):
    """A block with its rectangle."""

    x: float
    y: float
    width: float
    height: float
    colour: str
    path: str
    texts: tuple[tuple[float, str], ...]
    """Lines of text, each with its y."""


class DrawnLink(NamedTuple):
    """A line from block to block, as SVG's path, and its label."""

    d: str
    label: str
    x: float
    y: float


class Box(NamedTuple):
    """The rectangle around the blocks of a scope."""

    name: str
    x: float
    y: float
    width: float
    height: float


class _Laid:
    """What the layout wants of a block and of a link: its size, and where to note its place."""

    def __init__(self, width: float, height: float) -> None:
        self.w, self.h = width, height
        self.xy = (0.0, 0.0)
        self.points: list[tuple[float, float]] = []

    def setpath(self, points: list[tuple[float, float]]) -> None:
        self.points = points


class Drawn:
    """Blocks, links and boxes with their places, and the size of it all."""

    def __init__(self, diagram: Diagram) -> None:
        self.diagram = diagram
        self._sizes = [
            _Laid(
                max(len(text) for text in block.texts) * LETTER + 2 * _PADDING,
                len(block.texts) * LINE + _PADDING,
            )
            for block in diagram.blocks
        ]
        self._links = [_Laid(0, 0) for _ in diagram.links]
        self._lay_out()
        rims = [self._rim(laid) for laid in self._sizes]
        rims += [(x, y, x, y) for link in self._links for x, y in link.points]
        for link in diagram.links:  # whose shape stands right of where it begins
            x, y = self._sizes[link.source].xy
            rims.append((x, y, x + len(link.shape) * LETTER, y))
        self._left = min(rim[0] for rim in rims) - 2 * _MARGIN
        self._top = min(rim[1] for rim in rims) - 2 * _MARGIN
        self.width = round(max(rim[2] for rim in rims) - self._left + 2 * _MARGIN)
        self.height = round(max(rim[3] for rim in rims) - self._top + 2 * _MARGIN)

    @cached_property
    def blocks(self) -> list[DrawnBlock]:
        """The blocks, in their order."""
        families = self.diagram.families
        drawn = []
        for block, laid in zip(self.diagram.blocks, self._sizes, strict=True):
            x, y, _, _ = self._rim(laid)
            colour = str(families.index(block.family)) if block.family else "s"
            drawn.append(
                DrawnBlock(
                    round(x - self._left, 1),
                    round(y - self._top, 1),
                    round(laid.w, 1),
                    laid.h,
                    colour if block.path else "i",
                    block.path,
                    tuple(
                        (round(y - self._top + LINE * (n + 1) - 1, 1), text)
                        for n, text in enumerate(block.texts)
                    ),
                )
            )
        return drawn

    @cached_property
    def links(self) -> list[DrawnLink]:
        """The links, each with a label; links of a block with the same shape share one."""
        labelled: set[tuple[int, str]] = set()
        drawn = []
        for link, laid in zip(self.diagram.links, self._links, strict=True):
            first, last = self._sizes[link.source], self._sizes[link.target]
            start = (first.xy[0], first.xy[1] + first.h / 2)
            end = (last.xy[0], last.xy[1] - last.h / 2)
            points = [self._moved(point) for point in (start, *laid.points[1:-1], end)]
            label = "" if (link.source, link.shape) in labelled else link.shape
            labelled.add((link.source, link.shape))
            x, y = self._moved(start)
            drawn.append(DrawnLink(_curve(points), label, round(x + 4, 1), round(y + 13, 1)))
        return drawn

    @cached_property
    def boxes(self) -> list[Box]:
        """A box around the blocks of each scope, where no other block stands between them."""
        inside: dict[str, list[int]] = {}
        for number, block in enumerate(self.diagram.blocks):
            if block.scope:
                inside.setdefault(block.scope, []).append(number)
        boxes = []
        for scope, numbers in inside.items():
            rims = [self._rim(self._sizes[number]) for number in numbers]
            left, top = (min(rim[n] for rim in rims) - _PADDING for n in (0, 1))
            right, bottom = (max(rim[n] for rim in rims) + _PADDING for n in (2, 3))
            bottom += LINE - 3  # the shape that leaves a block stands below it
            others = (laid for n, laid in enumerate(self._sizes) if n not in numbers)
            if any(left < laid.xy[0] < right and top < laid.xy[1] < bottom for laid in others):
                continue
            x, y = self._moved((left, top - LINE))
            boxes.append(Box(scope, x, y, round(right - left, 1), round(bottom - top + LINE, 1)))
        return boxes

    def _lay_out(self) -> None:
        """Places of all, by grandalf; parts without a link between them stand side by side."""
        from grandalf.graphs import Edge, Graph, Vertex
        from grandalf.layouts import SugiyamaLayout

        vertices = [Vertex(number) for number in range(len(self._sizes))]
        edges = [Edge(vertices[a], vertices[b]) for a, b, _ in self.diagram.links]
        for element, laid in zip([*vertices, *edges], [*self._sizes, *self._links], strict=True):
            element.view = laid
        right = 0.0
        for component in Graph(vertices, edges).C:
            layout = SugiyamaLayout(component)
            layout.xspace, layout.yspace = _BETWEEN, _GAP
            layout.init_all()
            layout.draw(8)
            here: list[Any] = [vertex.view for vertex in component.sV]
            shift = right - min(laid.xy[0] - laid.w / 2 for laid in here)
            for laid in here:
                laid.xy = (laid.xy[0] + shift, laid.xy[1])
            for edge in component.sE:
                edge.view.points = [(x + shift, y) for x, y in edge.view.points]
            right = max(laid.xy[0] + laid.w / 2 for laid in here) + 2 * _BETWEEN

    def _moved(self, point: tuple[float, float]) -> tuple[float, float]:
        return round(point[0] - self._left, 1), round(point[1] - self._top, 1)

    def _rim(self, laid: _Laid) -> tuple[float, float, float, float]:
        x, y = laid.xy
        return x - laid.w / 2, y - laid.h / 2, x + laid.w / 2, y + laid.h / 2


def _curve(points: list[tuple[float, float]]) -> str:
    """From point to point, each time leaving and arriving straight down."""
    (x, y), *others = points
    d = f"M{x:g} {y:g}"
    for right, down in others:
        middle = (y + down) / 2
        d += f"C{x:g} {middle:g} {right:g} {middle:g} {right:g} {down:g}"
        x, y = right, down
    return d
