"""A table's network as blocks: scopes to some depth, with their MACs, and what flows between."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from costlab import formatting
from costlab.costs.cost import Cost
from costlab.costs.kinds import FAMILIES, family_of
from costlab.costs.quantities import quantities
from costlab.render.diagram import MOST_BLOCKS, Block, Diagram, Link

if TYPE_CHECKING:
    from costlab.costs.table import CostTable

_JOINED = ("normalisation", "activation")


def diagrams(table: CostTable) -> tuple[Diagram, ...]:
    """The network to each depth, the outermost first, as far as there are few blocks."""
    drawn: list[Diagram] = []
    deepest = 1 + max((row.level for row in table.rows), default=0)
    for depth in range(1, deepest + 1) if table.graph.connected else ():
        diagram = diagram_of(table, depth)
        if len(diagram.blocks) > MOST_BLOCKS or not diagram.links:
            break
        if drawn and len(diagram.blocks) <= len(drawn[-1].blocks):
            drawn.pop()  # which says less with as many blocks
        drawn.append(diagram)
    return tuple(drawn)


@dataclass
class Node:
    """A part that becomes a block, with the layers that are shown as one with it."""

    part: Cost
    joined: list[str] = field(default_factory=list)


def diagram_of(table: CostTable, depth: int) -> Diagram:
    """The scopes and layers to that depth; a norm or an activation is one with what it follows."""
    graph = table.graph
    nodes: list[Node | int] = []  # parts, and the numbers of values that are inputs
    owner: dict[str, int] = {}
    for number, value in enumerate(graph.values):
        if value.kind == "input":
            nodes.append(number)
    for part in table.leaves(depth):
        owner |= {row.path: len(nodes) for row in part.rows}
        nodes.append(Node(part))
    maker = {number: n for n, number in enumerate(nodes) if isinstance(number, int)}
    edges: dict[tuple[int, int], list[str]] = {}
    for layer in graph.layers:
        target = owner[layer.path]
        for number in dict.fromkeys(layer.operands):
            source = maker.get(number)
            if source is not None and source != target:
                shapes = edges.setdefault((source, target), [])
                shape = formatting.shape(graph.values[number].shape)
                if shape not in shapes:
                    shapes.append(shape)
        maker |= dict.fromkeys(layer.results, target)
    into = joined_into(nodes, edges)
    shown = [number for number in range(len(nodes)) if number not in into]
    place = {number: n for n, number in enumerate(shown)}
    return Diagram(
        f"{table.model}, {formatting.plural(depth, 'level')} deep",
        tuple(block_of(table, nodes[number]) for number in shown),
        tuple(
            Link(place[into.get(source, source)], place[target], ", ".join(shapes))
            for (source, target), shapes in edges.items()
            if target not in into
        ),
        FAMILIES,
        depth,
    )


def joined_into(nodes: list[Node | int], edges: dict[tuple[int, int], list[str]]) -> dict[int, int]:
    """The norms and activations that are alone behind a layer, each with what it is shown in."""
    leaving, coming = Counter(a for a, _ in edges), Counter(b for _, b in edges)
    into: dict[int, int] = {}
    for source, target in edges:
        before, after = nodes[into.get(source, source)], nodes[target]
        if isinstance(before, int) or isinstance(after, int):
            continue
        if not (before.part.layer and after.part.layer):
            continue
        scopes = {node.part.path.rpartition(".")[0] for node in (before, after)}
        alone = leaving[source] == coming[target] == len(scopes) == 1
        if alone and family_of(after.part.rows[0]) in _JOINED:
            before.joined.append(after.part.label)
            into[target] = into.get(source, source)
    return into


def block_of(table: CostTable, node: Node | int) -> Block:
    """What stands in the block of a part, or of an input by the number of its value."""
    if isinstance(node, int):
        return Block((table.graph.values[node].name or "input",))
    part = node.part
    scope, _, name = part.path.rpartition(".")
    texts = [name, " + ".join([part.operation, *node.joined])]
    texts = list(dict.fromkeys(texts))  # concat, which is a concat
    macs = quantities()["macs"]
    if part.macs or part.uncounted:
        texts.append(f"{macs.text(part)} {macs.heading}")
    family = family_of(part.rows[0]) if part.layer else ""
    return Block(tuple(texts), part.path, family, scope)
