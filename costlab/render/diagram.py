"""A network as blocks and what flows between them, for pages and pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

MOST_BLOCKS = 80
"""More of them cannot be read as a picture."""


class Block(NamedTuple):
    """A layer, a scope or an input: what stands in it, its family, and the scope around it.

    ``path`` is that of the layer or scope, ``""`` for an input.
    """

    texts: tuple[str, ...]
    path: str = ""
    family: str = ""
    scope: str = ""


class Link(NamedTuple):
    """What a block gives to another one, by their numbers, and its shape."""

    source: int
    target: int
    shape: str


@dataclass(frozen=True)
class Diagram:
    """The blocks in the order in which they run, down to a depth, and the links between them."""

    title: str
    blocks: tuple[Block, ...]
    links: tuple[Link, ...]
    families: tuple[str, ...]
    depth: int = 1


@dataclass(frozen=True)
class Graphs:
    """Networks as diagrams: of each one or more, to several depths.

    Alone, as a picture, a network is drawn to this ``depth``, else to the last of its depths.
    """

    diagrams: tuple[tuple[Diagram, ...], ...]
    depth: int | None = None

    @property
    def picked(self) -> list[Diagram]:
        """The one of each network that is a picture."""
        return [
            next((one for one in some if one.depth == self.depth), some[-1])
            for some in self.diagrams
            if some
        ]
