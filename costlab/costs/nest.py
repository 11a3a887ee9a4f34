"""A table's network for a graph whose scopes unfold one by one."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from costlab import formatting
from costlab.costs.diagram import Node, block_of, joined_into
from costlab.costs.kinds import FAMILIES
from costlab.costs.rows import Row, tree
from costlab.render.diagram import MOST_BLOCKS, End, InnerLink, Inside, Nest

if TYPE_CHECKING:
    from costlab.costs.table import CostTable

MOST_IN_ALL = 2000
"""So many blocks are in a page; scopes that would be more cannot be unfolded."""

_RIM = -1


class _Scope:
    """What is directly in a scope, with links by the numbers of parts, and the gates in its rim."""

    def __init__(self) -> None:
        self.parts: list[int] = []
        self.links: dict[tuple[End, End], str] = {}
        self.entries: dict[int, int] = {}
        self.exits: dict[int, int] = {}


def nest_of(table: CostTable) -> Nest:
    """The network with what is in each of its scopes, as far as a page can hold it."""
    return _Nested(table).nest()


class _Nested:
    def __init__(self, table: CostTable) -> None:
        self._table = table
        self._nodes: list[Node | int] = []
        self._scopes: dict[int, _Scope] = {_RIM: _Scope()}
        self._chains: dict[str, tuple[int, ...]] = {}
        """The scopes around each layer, and itself at the end."""
        makers: dict[int, tuple[int, ...]] = {}
        for number, value in enumerate(table.graph.values):
            if value.kind == "input":
                makers[number] = (len(self._nodes),)
                self._add(number, _RIM)
        self._walk(table.rows, 0, ())
        for layer in table.graph.layers:
            chain = self._chains[layer.path]
            for operand in dict.fromkeys(layer.operands):
                maker = makers.get(operand)
                if maker is not None and maker != chain:
                    self._flow(operand, maker, chain)
            makers |= dict.fromkeys(layer.results, chain)

    def _add(self, node: Node | int, around: int) -> int:
        self._nodes.append(node)
        self._scopes[around].parts.append(len(self._nodes) - 1)
        return len(self._nodes) - 1

    def _walk(self, rows: Iterable[Row], level: int, around: tuple[int, ...]) -> None:
        for part in tree(rows, level, level + 1):
            number = self._add(Node(part), around[-1] if around else _RIM)
            if part.layer:
                self._chains[part.path] = (*around, number)
            else:
                self._scopes[number] = _Scope()
                self._walk(part.rows, level + 1, (*around, number))

    def _flow(self, value: int, source: tuple[int, ...], target: tuple[int, ...]) -> None:
        """A value leaves the scopes that only its maker is in, and enters those of its user."""
        shape = formatting.shape(self._table.graph.values[value].shape)
        common = next(n for n, (a, b) in enumerate(zip(source, target, strict=False)) if a != b)

        def out_of(part: int) -> End:
            scope = self._scopes.get(part)
            return part, scope.exits.setdefault(value, len(scope.exits)) if scope else 0

        def into(part: int) -> End:
            scope = self._scopes.get(part)
            return part, scope.entries.setdefault(value, len(scope.entries)) if scope else 0

        around = source[common - 1] if common else _RIM
        self._scopes[around].links[out_of(source[common]), into(target[common])] = shape
        for scope, part in zip(source[common:-1], source[common + 1 :], strict=True):
            self._scopes[scope].links[out_of(part), (_RIM, out_of(scope)[1])] = shape
        for scope, part in zip(target[common:-1], target[common + 1 :], strict=True):
            self._scopes[scope].links[(_RIM, into(scope)[1]), into(part)] = shape

    def nest(self) -> Nest:
        """The scopes from the outermost on, without those that have too many blocks."""
        kept: dict[int, tuple[list[int], Inside]] = {}
        waiting, left = deque([_RIM]), MOST_IN_ALL
        while waiting:
            number = waiting.popleft()
            parts, inside = self._inside(self._scopes[number])
            if len(parts) > min(MOST_BLOCKS, left) or not inside.links:
                continue
            left -= len(parts)
            kept[number] = parts, inside
            waiting.extend(part for part in parts if part in self._scopes)
        places = {number: place for place, number in enumerate(kept)}
        insides = (
            replace(inside, scopes=tuple(places.get(part) for part in parts))
            for parts, inside in kept.values()
        )
        return Nest(self._table.model, tuple(insides), FAMILIES)

    def _inside(self, scope: _Scope) -> tuple[list[int], Inside]:
        """The parts of a scope that are blocks, and these; norms and activations are joined."""
        place = {part: n for n, part in enumerate(scope.parts)}
        rim = len(place)
        nodes: list[Node | int] = [self._nodes[part] for part in scope.parts]
        # Like an input, the rim is joined with nothing; it is twice there, to leave and to come.
        edges = {
            (place.get(source, rim), place.get(target, rim + 1)): [shape]
            for ((source, _), (target, _)), shape in scope.links.items()
        }
        into = joined_into([*nodes, 0, 0], edges)
        shown = [n for n in range(rim) if n not in into]
        number = {n: block for block, n in enumerate(shown)}

        def moved(end: End) -> End:
            part, gate = end
            n = place.get(part, _RIM)
            return (_RIM if part == _RIM else number[into.get(n, n)]), gate

        links = (
            InnerLink(moved(source), moved(target), shape)
            for (source, target), shape in scope.links.items()
            if place.get(target[0]) not in into
        )
        inside = Inside(
            tuple(block_of(self._table, nodes[n]) for n in shown),
            (),
            tuple(links),
            len(scope.entries),
            len(scope.exits),
        )
        return [scope.parts[n] for n in shown], inside
