"""What is known of a layer when its partner is looked for, and by which keys that goes."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Sequence
from operator import attrgetter
from typing import TypeAlias

from costlab.costs.rows import Row


class Known:
    """A layer, and what is known of it when partners are looked for."""

    def __init__(self, row: Row) -> None:
        layer, path = row.layer, row.path
        self.row = row
        self.has_weights = row.contraction is not None or row.params > 0
        # What the label and the detail do not say of an operation's attributes is in its shapes,
        # or costs nothing; the attributes themselves are spelled in several ways.
        self.identity: Hashable = (
            *(row.label, row.detail, layer.inputs, layer.output),
            *(row.params, row.count, row.uncounted),
        )
        # Without weights, it is like no other one.
        self.identity_of_weights: Hashable = self.identity if self.has_weights else self
        attribute = layer.op.attribute
        self.window: Hashable = (row.label, str(attribute("kernel_size")), str(attribute("stride")))
        self.place: Hashable = (row.label, unnumbered(path))
        name = unnumbered(path.rpartition(".")[2])
        self.name: Hashable = self if name == "#" else name
        self.shapes: Hashable = (row.label, layer.inputs, layer.output)
        self.hints: tuple[Hashable, ...] = ()


def known_layers(rows: Sequence[Row]) -> list[Known]:
    """The layers, with hints: their paths, their own names, and what stands beside them."""
    layers = [Known(row) for row in rows]
    identities = [None, *(known.identity for known in layers), None]
    for known, before, after in zip(layers, identities, identities[2:], strict=False):
        name = known.row.path.rpartition(".")[2]
        known.hints = known.row.path, known if name.isdigit() else name, (before, after)
    return layers


def unnumbered(path: str) -> str:
    """A path without the numbers that only count: ``layers.3.conv_2`` is ``layers.#.conv``.

    A layer that was put in between renumbers those behind it, which is no change of them.
    """
    if not _DIGIT(path):
        return path
    return ".".join("#" if name.isdigit() else _COUNTED.sub("", name) for name in path.split("."))


_DIGIT = re.compile(r"\d").search
_COUNTED = re.compile(r"([_@]\d+)+$")

Key: TypeAlias = Callable[[Known], Hashable]

same_there: Key = attrgetter("identity", "place")
identity: Key = attrgetter("identity")
window_there: Key = attrgetter("window", "place")
place: Key = attrgetter("place")
window: Key = attrgetter("window")
named_shapes: Key = attrgetter("shapes", "name")
shapes: Key = attrgetter("shapes")
label: Key = attrgetter("row.label")
identity_and_path: Key = attrgetter("identity", "row.path")
identity_of_weights: Key = attrgetter("identity_of_weights")
