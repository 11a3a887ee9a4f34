"""What conventions of counters count, of an operation or of a call of a module."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

from costlab.costs.rows import Row
from costlab.graph.op import Shape, axes
from costlab.ops.recurrent import CELLS

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Seen:
    """An operation, or a call of a module with the operations that its own code makes."""

    path: str
    rows: tuple[Row, ...]
    inputs: tuple[Shape, ...]
    output: Shape
    given: tuple[Shape, ...] = ()
    """The shapes of its inputs as they are, where it takes them in another one."""
    places: int = 1
    """In how many places of the model the module stands."""
    module: nn.Module | None = None

    def of(self, *names: str) -> tuple[Row, ...]:
        """Its rows of certain operations."""
        return tuple(row for row in self.rows if row.layer.op.name in names)


def _each(rows: Iterable[Row], of: Callable[[Row], int]) -> int:
    return sum(map(of, rows))


def _bias(row: Row) -> int:
    return prod(row.output) if getattr(row.layer.op, "bias", False) else 0


def _of_first_stack(seen: Seen) -> int:
    """MACs of a product if there were as many as the first operand has."""
    a, b = seen.given
    return prod(a) * b[-1]


def _with_vector(seen: Seen) -> int:
    """MACs of a product whose second operand has one axis."""
    return seen.rows[0].macs if len(seen.given[1]) == 1 else 0


def _unprojected(row: Row) -> int:
    """MACs of a recurrent layer if its state were as wide as its output."""
    op: Any = row.layer.op
    hidden: int = op.hidden
    return _gates(row) * (row.inputs[0][-1] + hidden)


def _gates(row: Row) -> int:
    op: Any = row.layer.op
    return CELLS[op.cell][0] * prod(row.output)


def _fused(row: Row) -> int:
    """MACs of attention that torch computes on the CPU in one piece, not by its products."""
    queries, keys, values = row.inputs
    op: Any = row.layer.op
    alike = queries[0] == keys[0] == values[0] and (op.grouped or queries[1] == keys[1])
    return row.macs if len(queries) == 4 and alike and queries[-1] == values[-1] else 0


def _scores(row: Row) -> int:
    """Elements that are softmaxed."""
    if row.layer.op.name == "softmax":
        return prod(row.output)
    queries, keys, _ = row.inputs
    return prod(queries[:-1]) * keys[-2]


def _on_output_grid(row: Row) -> int:
    return row.macs // prod(row.inputs[0][2:]) * prod(row.output[2:])


def _elements(seen: Seen, long: bool) -> int:
    """Elements of a module's parameters by their names."""
    named = seen.module.named_parameters() if seen.module is not None else ()
    return sum(
        parameter.numel()
        for name, parameter in named
        if ("weight" in name or "bias" in name) and (name not in ("weight", "bias")) == long
    )


def _aligned_left(seen: Seen) -> int:
    """Elements of what is broadcast, with the shapes side by side from the left."""
    longest = max(map(len, seen.inputs))
    padded = [(*shape, *[1] * (longest - len(shape))) for shape in seen.inputs]
    return prod(map(max, zip(*padded, strict=True)))


def _rounded_means(seen: Seen) -> int:
    """One per input and output of an adaptive pooling, by windows in floating point."""
    window = 1.0
    for given, wanted in zip(seen.inputs[0][2:], seen.output[2:], strict=True):
        window *= given / wanted
    return int((window + 1) * prod(seen.output))


def _bias_as_of_conv(row: Row) -> int:
    """Outputs with a bias, if a transposed convolution were a convolution on its input."""
    op: Any = row.layer.op
    x, rank = row.inputs[0], len(row.output) - 2
    sizes = (axes(each, rank) for each in (op.kernel_size, op.stride, op.padding, op.dilation))
    places = prod(
        (n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in zip(x[2:], *sizes, strict=True)
    )
    return row.output[0] * row.output[1] // op.groups * places if op.bias else 0


def _by_group(row: Row) -> int:
    """MACs of a transposed convolution whose outputs are divided by its groups twice."""
    op: Any = row.layer.op
    each: int = op.out_channels // op.groups
    return row.macs // each * (each // int(op.groups))


def _in_four_digits(row: Row) -> int:
    return int(float(f"{2 * row.macs:.3e}") / 2)


def _same_but_even(row: Row, of: int) -> int:
    """Units for each place of a convolution, with a place less along an axis of even reach."""
    op: Any = row.layer.op
    rank = len(row.output) - 2
    reach = zip(axes(op.kernel_size, rank), axes(op.dilation, rank), strict=True)
    odd = [d * (k - 1) % 2 for k, d in reach]
    places = prod(n - less for n, less in zip(row.output[2:], odd, strict=True))
    return of // prod(row.output[2:]) * places


def _last(seen: Seen, name: str, default: int) -> int:
    value: int = getattr(seen.rows[-1].layer.op, name, default)
    return value


QUANTITIES: dict[str, Callable[[Seen], int]] = {
    "macs": lambda seen: _each(seen.rows, lambda row: row.macs),
    "outputs": lambda seen: prod(seen.output),
    "outputs by item": lambda seen: prod(seen.output[1:]),
    "images": lambda seen: prod(seen.output) if len(seen.output) == 4 else 0,
    "places": lambda seen: prod(seen.output[2:]),
    "inputs": lambda seen: prod(seen.inputs[0]) if seen.inputs else 0,
    "inputs together": lambda seen: sum(map(prod, seen.inputs)),
    "bias": lambda seen: _each(seen.rows, _bias),
    "bias where stacked": lambda seen: _bias(seen.rows[0]) if len(seen.output) > 2 else 0,
    "bias elements": lambda seen: seen.output[-1] if _bias(seen.rows[0]) else 0,
    "second's elements": lambda seen: prod(seen.inputs[1]),
    "rows": lambda seen: prod(seen.output) // seen.output[_last(seen, "dim", -1)],
    "scores": lambda seen: _each(seen.of("softmax", "attention"), _scores),
    "macs on the output grid": lambda seen: _each(seen.of("conv_transpose"), _on_output_grid),
    "macs by group": lambda seen: _each(seen.rows, _by_group),
    "macs of the first stack": _of_first_stack,
    "macs with a vector": _with_vector,
    "macs in four digits": lambda seen: _each(seen.rows, _in_four_digits),
    "macs of same, less for even": lambda seen: _each(
        seen.rows, lambda row: _same_but_even(row, row.macs)
    ),
    "bias of same, less for even": lambda seen: _each(
        seen.rows, lambda row: _same_but_even(row, _bias(row))
    ),
    "bias as of a convolution": lambda seen: _each(seen.rows, _bias_as_of_conv),
    "flops in four digits": lambda seen: _each(
        seen.rows, lambda row: int(float(f"{2 * row.macs:.3e}"))
    ),
    "fused attention macs": lambda seen: _each(seen.of("attention"), _fused),
    "recurrent macs": lambda seen: _each(seen.of("recurrent"), lambda row: row.macs),
    "recurrent macs, not projected": lambda seen: _each(seen.of("recurrent"), _unprojected),
    "states": lambda seen: _each(seen.of("recurrent"), lambda row: prod(row.output)),
    "gates": lambda seen: _each(seen.of("recurrent"), _gates),
    "gates with bias": lambda seen: _each(
        seen.of("recurrent"), lambda row: _gates(row) if _bias(row) else 0
    ),
    "broadcast from the left": _aligned_left,
    "rounded means": _rounded_means,
    "padded channels": lambda seen: (
        prod(seen.output) // seen.output[1] * (seen.output[1] + _last(seen, "size", 1) - 1)
    ),
    "parameters by place": lambda seen: (
        _elements(seen, long=False) * prod(seen.output[:1]) * prod(seen.output[2:])
    ),
    "parameters by item": lambda seen: _elements(seen, long=False) * prod(seen.output[:1]),
    "longer named parameters by step": lambda seen: (
        _elements(seen, long=True) * prod(seen.output[:2])
    ),
}
"""By name. ``padded channels`` are elements with the channels that a local response norm adds;
``parameters`` are the weight and bias of a module, ``longer named`` ones have weight or bias in
their name, such as ``weight_ih_l0``."""
