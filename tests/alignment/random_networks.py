"""Random networks, and random edits of them, of which it is known what became of each layer."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from costlab.costs.table import CostTable, costs
from costlab.graph import Net
from costlab.graph.op import Op
from costlab.ops.conv import Conv
from costlab.ops.elementwise import ReLU, Tanh
from costlab.ops.norm import BatchNorm
from costlab.ops.pool import MaxPool

WIDTHS = (8, 16, 24, 32, 48, 64)


@dataclass(frozen=True)
class Drawn:
    """A layer: ``number`` says which it is, whatever becomes of its path and operation."""

    number: int
    path: str
    op: Op


Network = tuple[Drawn, ...]


def network(draw: random.Random, layers: int, numbered: bool) -> Network:
    """Blocks of convolutions with what follows them; paths are words, or numbers of a list."""
    drawn: list[Drawn] = []
    stage = block = 0
    while len(drawn) < layers:
        if len(drawn) > (stage + 1) * layers // 4:
            stage += 1
            drawn.append(Drawn(len(drawn), f"stage{stage}.pool", MaxPool(2, 2)))
        block += 1
        width = draw.choice(WIDTHS)
        names = ["conv1", "bn1", "relu1", "conv2", "bn2", "relu2", "conv3", "act"]
        ops = [conv(draw, width), BatchNorm(), ReLU(), conv(draw, width), BatchNorm(), ReLU()]
        ops += [conv(draw, width), Tanh()]
        most = draw.randint(2, len(ops))
        for name, op in zip(names[:most], ops[:most], strict=True):
            drawn.append(Drawn(len(drawn), f"stage{stage}.block{block}.{name}", op))
    return renumbered(drawn) if numbered else tuple(drawn)


def conv(draw: random.Random, width: int) -> Conv:
    size = draw.choice((1, 3))
    return Conv(width, size, padding=size // 2)


def renumbered(layers: Sequence[Drawn]) -> Network:
    return tuple(replace(layer, path=f"layers.{i}") for i, layer in enumerate(layers))


def is_conv(layer: Drawn) -> bool:
    return isinstance(layer.op, Conv)


def inserted(draw: random.Random, layers: Network, number: int) -> Network:
    """A layer that leaves the shapes as they are, somewhere."""
    at = draw.randrange(len(layers) + 1)
    width = widths(layers)[at]
    op = draw.choice([ReLU(), BatchNorm(), Tanh(), conv(draw, width)])
    near = layers[min(at, len(layers) - 1)].path.rpartition(".")[0]
    new = Drawn(number, f"{near}.new{number}", op)
    return (*layers[:at], new, *layers[at:])


def removed(draw: random.Random, layers: Network, number: int) -> Network:
    """Any but a pool, without which all that follows would have other shapes."""
    at = draw.choice([i for i, layer in enumerate(layers) if not isinstance(layer.op, MaxPool)])
    return (*layers[:at], *layers[at + 1 :])


def widened(draw: random.Random, layers: Network, number: int) -> Network:
    at = draw.choice([i for i, layer in enumerate(layers) if is_conv(layer)])
    op = replace(layers[at].op, out_channels=draw.choice(WIDTHS) + 4)  # type: ignore[type-var]
    return (*layers[:at], replace(layers[at], op=op), *layers[at + 1 :])


def renamed(draw: random.Random, layers: Network, number: int) -> Network:
    at = draw.randrange(len(layers))
    path = f"{layers[at].path.rpartition('.')[0]}.other{number}"
    return (*layers[:at], replace(layers[at], path=path), *layers[at + 1 :])


def wrapped(draw: random.Random, layers: Network, number: int) -> Network:
    """Some layers in a row go into a scope of their own."""
    at = draw.randrange(len(layers))
    end = at + draw.randint(1, 5)
    inside = tuple(replace(layer, path=f"wrap{number}.{layer.path}") for layer in layers[at:end])
    return (*layers[:at], *inside, *layers[end:])


EDITS = (inserted, removed, widened, renamed, wrapped)


def widths(layers: Network) -> list[int]:
    """The channels in front of each layer, and behind the last."""
    channels = [8]
    for layer in layers:
        channels.append(layer.op.out_channels if isinstance(layer.op, Conv) else channels[-1])
    return channels


def table(layers: Network) -> CostTable:
    """Its costs: the layers one after the other."""
    net = Net("net", (1, 8, 16, 16))
    (x,) = net.inputs
    for i, layer in enumerate(layers):
        x = net.add(str(i), layer.op, x)
    graph = net.graph(x)
    named = zip(graph.layers, layers, strict=True)
    return costs(replace(graph, layers=tuple(g._replace(path=layer.path) for g, layer in named)))


def unchanged(before: Network, after: Network) -> Iterable[tuple[str, str]]:
    """The paths of the layers that are there before and after, with equal operations and shapes."""
    known = {
        layer.number: (layer, width) for layer, width in zip(before, widths(before), strict=False)
    }
    for layer, width in zip(after, widths(after), strict=False):
        if layer.number in known:
            first, first_width = known[layer.number]
            if (first.op, first_width) == (layer.op, width):
                yield first.path, layer.path
