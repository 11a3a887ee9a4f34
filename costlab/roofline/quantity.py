"""The time that layers take at least on a device, as a quantity beside those of every model."""

from __future__ import annotations

from costlab.costs.cost import Cost
from costlab.costs.quantities import TIME_BOUND, More, Quantity
from costlab.errors import ChoiceError
from costlab.roofline.bounds import Roofline, roofline


def on_device(device: str, dtype: str) -> tuple[Roofline, More]:
    """A device and the type of floating-point numbers, and the quantity of that.

    Raises ``ChoiceError`` for a type without a device, and what ``roofline`` raises.
    """
    if not device:
        raise ChoiceError(f"{dtype} on which device? give --device (device=...) too")
    line = roofline(device, dtype)
    return line, (time_bound(line),)


def time_bound(line: Roofline) -> Quantity:
    """What layers one by one take at least, in picoseconds: the sum of what each takes."""

    def least(cost: Cost) -> int:
        return sum([line.least(row) for row in cost.rows])

    return Quantity(
        TIME_BOUND,
        "time bound (ps)",
        f"picoseconds that layers one by one take at least on {line.words}",
        least,
        f"time bound = what layers one by one take at least on {line.words}: each the larger of "
        "2·MACs / rate and bytes / bandwidth (docs/time.md)",
        {"compare": 0, "formula": 0, "sweep": 0},
        needs_rule=False,
        needs_values=True,
        needs_layout=True,
    )
