"""A network as blocks and what flows between them, for pages and pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

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


End: TypeAlias = tuple[int, int]
"""Where a link ends: a block, and which of the gates of a scope; -1 for the rim of all."""


class InnerLink(NamedTuple):
    """What flows from one end to another one, and its shape."""

    source: End
    target: End
    shape: str


@dataclass(frozen=True)
class Inside:
    """What is directly in a scope: its blocks, and what flows between them and through its rim.

    ``scopes`` says of each block which of the insides it unfolds to, None for none. Each value
    that comes in or leaves has a gate in the rim: there are so many ``entries`` and ``exits``.
    """

    blocks: tuple[Block, ...]
    scopes: tuple[int | None, ...]
    links: tuple[InnerLink, ...]
    entries: int = 0
    exits: int = 0


@dataclass(frozen=True)
class Nest:
    """A network whose scopes unfold one by one: the whole is the first of the ``insides``."""

    title: str
    insides: tuple[Inside, ...]
    families: tuple[str, ...]


@dataclass(frozen=True)
class Graphs:
    """Networks as diagrams: of each one or more, to several depths.

    Alone, as a picture, a network is drawn to this ``depth``, else to the last of its depths.
    ``nests`` are the same networks for a page that unfolds their scopes one by one.
    """

    diagrams: tuple[tuple[Diagram, ...], ...]
    depth: int | None = None
    nests: tuple[Nest, ...] = ()

    @property
    def picked(self) -> list[Diagram]:
        """The one of each network that is a picture."""
        return [
            next((block for block in some if block.depth == self.depth), some[-1])
            for some in self.diagrams
            if some
        ]
