"""What a sweep is: the model, what varies, and what is wanted of the variants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from costlab.costs.quantities import More, Quantity, quantities
from costlab.expressions.nodes import ValueType
from costlab.expressions.parser import Names
from costlab.models.catalog_name import Named, named_model
from costlab.sweeps.grid import Axis, Grid
from costlab.sweeps.keep import Wanted

BLOCK_SIZE = 2**17
"""Variants of a block: its numbers fit into a core's cache."""

_KINDS: dict[type, ValueType] = {bool: "truth", str: "word"}


@dataclass(frozen=True)
class Plan:
    """All that a worker needs to know of a sweep.

    ``block_size`` is how many variants a block has at most.
    """

    model: str
    choices: tuple[tuple[str, Any], ...]
    axes: tuple[Axis, ...]
    wanted: Wanted
    where: str = ""
    block_size: int = BLOCK_SIZE
    training_cost: bool = False
    device: str = ""
    dtype: str = ""

    @property
    def named(self) -> Named:
        """The model that is varied."""
        return named_model(self.model, **dict(self.choices))

    @property
    def quantities(self) -> dict[str, Quantity]:
        """All that is counted of each variant."""
        return quantities(self.training_cost, self.more)

    @property
    def more(self) -> More:
        """The time on a device, if one is given: workers make it for themselves."""
        if not (self.device or self.dtype):
            return ()
        from costlab.roofline.quantity import on_device  # others do not wait for it

        return on_device(self.device, self.dtype)[1]

    @property
    def grid(self) -> Grid:
        """All the variants."""
        return Grid(self.axes, self.block_size)

    @property
    def title(self) -> str:
        """The model with the choices that do not vary, as they were given."""
        choices = ", ".join(f"{name}={value!r}" for name, value in self.named.choices.items())
        name, part = self.named.architecture.name, self.named.part
        return (f"{name}({choices})" if choices else name) + (f"/{part}" if part else "")

    @property
    def names(self) -> Names:
        """The names that conditions and goals may use, and what they are."""
        first = {name: axis.plain(0) for axis in self.axes for name in axis.names}
        choices = self.named.values(first)
        known = {**dict.fromkeys(self.quantities, 0), **choices}
        return Names(
            {name: _KINDS.get(type(value), "number") for name, value in known.items()},
            self.quantities.keys() - choices.keys(),
        )
