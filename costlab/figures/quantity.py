"""What a figure counts: a number in the language of ``costlab.expressions``, on a cost table.

``macs``                        of all layers
``macs[conv] + add[conv]``      of the operations of that name: multiply-adds and biases
``params["conv3.*"]``           of the layers whose path, in quotes, fits the pattern
``versus.params / params``      beside another model
``shape``                       of the output: height, width, channels; it stands alone
``depth[conv, linear]``         the most of these layers on any way from input to output
"""

from __future__ import annotations

from fractions import Fraction

from costlab.costs.table import CostTable
from costlab.expressions import tables
from costlab.expressions.parser import number

_SHAPE = "it stands alone: no number can be made of it"
_NO_VERSUS = "there is no second model: give it as versus"


def evaluate(text: str, table: CostTable, versus: CostTable | None = None) -> Fraction:
    """The quantity of that table. Raises ``ExpressionError``, which points at the place."""
    others = {} if versus is None else {"versus": versus}
    elsewhere = {"shape": _SHAPE} | ({} if others else {"versus": _NO_VERSUS})
    quantity = number(text, tables.names(others, elsewhere))
    return Fraction(quantity.one(tables.values(table, others)))


def output_shape(table: CostTable) -> tuple[int, ...]:
    """Height, width and channels of the only output, as papers print it."""
    _batch, channels, *spatial = table.graph.outputs[0]
    return (*spatial, channels)
