"""The times that layers take at least on a device, as quantities beside those of every model."""

from __future__ import annotations

from functools import partial

from costlab import formatting
from costlab.costs.cost import Cost
from costlab.costs.quantities import TIME_BOUNDS, More
from costlab.costs.quantity import Quantity
from costlab.costs.rows import Row
from costlab.devices.device import BANDWIDTH
from costlab.devices.ledger import rate_text
from costlab.errors import ChoiceError
from costlab.roofline.bounds import Roofline, fused, roofline
from costlab.roofline.traffic import needed_macs

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
            "time bound",
            f"picoseconds that layers one by one take at least on {line.words}",
            least,
            f"time bound = what layers one by one take at least on {line.words}: each the larger "
            f"of 2·needed MACs / rate and bytes / bandwidth{_WITHOUT} (docs/time.md)",
            {"compare": 0, "formula": 0, "sweep": 0},
            needs_rule=False,
            needs_values=True,
            needs_layout=True,
            measure="ps",
            derivation=partial(_binding, line),
        ),
        Quantity(
            as_one,
            "time bound, fused",
            f"picoseconds that layers fused into one take at least on {line.words}",
            least_fused,
            f"time bound, fused = what the whole as one takes at least on {line.words}: weights, "
            f"inputs and outputs are moved once, and nothing between{_WITHOUT} (docs/time.md)",
            {"compare": 3, "formula": 0, "sweep": 0},
            needs_rule=False,
            needs_values=True,
            needs_layout=True,
            adds_up=False,
            measure="ps",
        ),
    )


def _binding(line: Roofline, row: Row) -> str:
    """What a layer's time is of: ``2·10,035,200 needed MACs / 66.9 TFLOPS``."""
    needed, size = needed_macs(row), line.traffic(row).bytes
    compute, memory = line.compute(row, needed), line.memory(size)
    if compute >= memory and (rate := line.rate(row)) and compute:
        return f"2·{formatting.integer(needed)} needed MACs / {rate_text(rate, line.type_of(row))}"
    if not memory:
        return row.operation
    ends = {rate for _, rate in line.device.memory}  # of a device that was measured several
    rates = [rate_text(rate, BANDWIDTH) for rate in dict.fromkeys((max(ends), min(ends)))]
    return f"{formatting.integer(size)} bytes / {' to '.join(rates)}"
