"""What a figure counts: a small expression on a table, parsed, never evaluated as Python.

``macs``                        of all layers
``macs[conv] + add[conv]``      of the operations of that name: multiply-adds and biases
``params["conv3.*"]``           of the layers whose path, in quotes, fits the pattern
``versus.params / params``      beside another model
``shape``                       of the output: height, width, channels
``depth[conv, linear]``         the most of these layers on any way from input to output

Sums and products of whole numbers and these, with ``+ - * /`` and parentheses; exact fractions.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from fractions import Fraction
from math import prod
from typing import Any

from costlab.costs.quantities import QUANTITIES
from costlab.costs.rows import Row
from costlab.costs.table import CostTable
from costlab.errors import FigureError, UnknownNameError
from costlab.ops.conv import Conv

_OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def _weights(row: Row) -> int:
    """Params of a contraction without its bias."""
    return row.params - _biases(row) if row.contraction else 0


def _biases(row: Row) -> int:
    """Params of a contraction that are added to its result."""
    biased = row.contraction and getattr(row.layer.op, "bias", False)
    vectors = (value for value in row.parameters if len(value.shape) == 1)
    return sum(value.elements for value in vectors) if biased else 0


def _kernels(row: Row) -> int:
    """Two-dimensional kernels of a convolution: input channels of a group times outputs."""
    if not isinstance(row.layer.op, Conv):
        return 0
    weights = (value for value in row.parameters if len(value.shape) > 1)
    return sum(value.shape[0] * value.shape[1] for value in weights)


OF_LAYERS: dict[str, Callable[[Row], int]] = {
    "weights": _weights,
    "biases": _biases,
    "inputs": lambda row: sum(prod(shape) for shape in row.inputs),
    "kernels": _kernels,
    "channels": lambda row: row.output[1],
    "layers": lambda row: 1,
}
"""What adds up over layers beside ``QUANTITIES``. ``weights`` are params of contractions without
``biases``; ``inputs`` are elements read; ``kernels`` are pairs of an input and an output channel of
convolutions; ``channels`` those of the output; ``layers`` the number of layers."""


@dataclass(frozen=True)
class Pattern:
    """Which layers are meant: all of an operation, or those whose path fits."""

    operation: str = ""
    path: str = ""

    def fits(self, row: Row) -> bool:
        """Whether the layer is one of them."""
        if self.operation:
            return row.layer.op.name == self.operation
        return fnmatchcase(row.path, self.path)


def evaluate(text: str, table: CostTable, versus: CostTable | None = None) -> Fraction:
    """The quantity of that table. Raises ``FigureError`` where the text cannot be read."""
    try:
        node = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise FigureError(f"cannot read the quantity {text!r}") from None
    return _value(node, text, table, versus)


def output_shape(table: CostTable) -> tuple[int, ...]:
    """Height, width and channels of the only output, as papers print it."""
    _batch, channels, *places = table.graph.outputs[0]
    return (*places, channels)


def _value(node: ast.expr, text: str, table: CostTable, versus: CostTable | None) -> Fraction:
    match node:
        case ast.Constant(value=int() as number):
            return Fraction(number)
        case ast.BinOp(left=left, op=sign, right=right) if type(sign) in _OPERATORS:
            a, b = (_value(side, text, table, versus) for side in (left, right))
            if isinstance(sign, ast.Div) and b == 0:
                raise FigureError(f"{text!r} divides by 0")
            result: Fraction = _OPERATORS[type(sign)](a, b)
            return result
        case ast.Attribute(value=ast.Name(id="versus"), attr=name):
            return _named(name, (), _other(text, versus))
        case ast.Subscript(value=ast.Attribute(value=ast.Name(id="versus"), attr=name), slice=kept):
            return _named(name, _patterns(kept, text), _other(text, versus))
        case ast.Name(id=name):
            return _named(name, (), table)
        case ast.Subscript(value=ast.Name(id=name), slice=kept):
            return _named(name, _patterns(kept, text), table)
    raise FigureError(f"cannot read {ast.unparse(node)!r} in the quantity {text!r}")


def _other(text: str, versus: CostTable | None) -> CostTable:
    if versus is None:
        raise FigureError(f"{text!r} needs a second model: give it as versus")
    return versus


def _patterns(kept: ast.expr, text: str) -> list[Pattern]:
    found = []
    for each in kept.elts if isinstance(kept, ast.Tuple) else [kept]:
        match each:
            case ast.Name(id=name):
                found.append(Pattern(operation=name))
            case ast.Constant(value=str() as path):
                found.append(Pattern(path=path))
            case _:
                raise FigureError(f"cannot read {ast.unparse(each)!r} in the quantity {text!r}")
    return found


def _named(name: str, patterns: Sequence[Pattern], table: CostTable) -> Fraction:
    rows = [row for row in table.rows if not patterns or any(p.fits(row) for p in patterns)]
    of_layers = {**{each.name: each.of for each in QUANTITIES.values()}, **OF_LAYERS}
    if name != "depth" and name not in of_layers:
        raise UnknownNameError("quantity", name, [*of_layers, "depth", "shape"])
    for pattern in patterns:
        if not any(map(pattern.fits, table.rows)):
            what = pattern.operation or f'"{pattern.path}"'
            raise FigureError(f"{table.model} has no layer {what}")
    if missing := [row for row in rows if row.uncounted]:
        raise FigureError(f"{table.model} has no rule for {missing[0].label} at {missing[0].path}")
    if name == "depth":
        return Fraction(_depth(table, rows))
    return Fraction(sum(map(of_layers[name], rows)))


def _depth(table: CostTable, rows: list[Row]) -> int:
    counted = {row.path for row in rows}
    deepest = [0] * len(table.graph.values)
    for row in table.rows:
        before = max((deepest[number] for number in row.layer.takes), default=0)
        for number in row.layer.results:
            deepest[number] = before + (row.path in counted)
    return max(deepest[number] for number in table.graph.returns)
