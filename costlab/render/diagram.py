"""A network as blocks and what flows between them, for pages and pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


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
    """The blocks in the order in which they run, and the links between them."""

    title: str
    blocks: tuple[Block, ...]
    links: tuple[Link, ...]
    families: tuple[str, ...]


@dataclass(frozen=True)
class Graphs:
    """Networks as diagrams: of each one or more, to several depths."""

    diagrams: tuple[tuple[Diagram, ...], ...]
