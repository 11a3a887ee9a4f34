"""The times that layers take at least on a device, as quantities beside those of every model."""

from __future__ import annotations

from costlab.costs.cost import Cost
from costlab.costs.quantities import TIME_BOUNDS, More
from costlab.costs.quantity import Quantity
from costlab.errors import ChoiceError
from costlab.roofline.bounds import Roofline, fused, roofline

_WITHOUT = ", without the arithmetic of integers or complex numbers that it has no rate of"


def on_device(device: str, dtype: str) -> tuple[Roofline, More]:
    """A device and the type of floating-point numbers, and the quantities of that.

    Raises ``ChoiceError`` for a type without a device, and what ``roofline`` raises.
    """
    if not device:
        raise ChoiceError(f"{dtype} on which device? give --device (device=...) too")
    line = roofline(device, dtype)
    return line, time_bounds(line)


def time_bounds(line: Roofline) -> More:
    """In picoseconds: what layers one by one take at least, and what all of them fused do."""
    one_by_one, as_one = TIME_BOUNDS

    def least(cost: Cost) -> int:
        return sum([line.least(row) for row in cost.rows])

    def least_fused(cost: Cost) -> int:
        return fused(line, [(row, line.traffic(row)) for row in cost.rows]).least

    return (
        Quantity(
            one_by_one,
            "time bound (ps)",
            f"picoseconds that layers one by one take at least on {line.words}",
            least,
            f"time bound = what layers one by one take at least on {line.words}: each the larger "
            f"of 2·needed MACs / rate and bytes / bandwidth{_WITHOUT} (docs/time.md)",
            {"compare": 0, "formula": 0, "sweep": 0},
            needs_rule=False,
            needs_values=True,
            needs_layout=True,
        ),
        Quantity(
            as_one,
            "time bound, fused (ps)",
            f"picoseconds that layers fused into one take at least on {line.words}",
            least_fused,
            f"time bound, fused = what the whole as one takes at least on {line.words}: weights, "
            f"inputs and outputs are moved once, and nothing between{_WITHOUT} (docs/time.md)",
            {"compare": 3, "formula": 0, "sweep": 0},
            needs_rule=False,
            needs_values=True,
            needs_layout=True,
            adds_up=False,
        ),
    )
