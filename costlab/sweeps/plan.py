"""What a sweep is: the model, what varies, and what is wanted of the variants."""

from __future__ import annotations

from dataclasses import dataclass

from costlab.costs.quantities import OF_MEMORY, WITHOUT_DEVICE, More, asked
from costlab.costs.quantity import Quantity
from costlab.expressions.nodes import ValueType
from costlab.expressions.parser import Names
from costlab.sweeps.grid import Axis, Grid
from costlab.sweeps.keep import Wanted
from costlab.sweeps.subject import Subject

BLOCK_SIZE = 2**17
"""Variants of a block: its numbers fit into a core's cache."""

_KINDS: dict[type, ValueType] = {
    bool: "truth",
    str: "word",
    int: "number",
    float: "number",
}


@dataclass(frozen=True)
class Plan:
    """All that a worker needs to know of a sweep.

    ``block_size`` is how many variants a block has at most.
    """

    subject: Subject
    axes: tuple[Axis, ...]
    wanted: Wanted
    where: str = ""
    block_size: int = BLOCK_SIZE
    training_cost: bool = False
    device: str = ""
    dtype: str = ""
    optimizer: str = ""
    """What trains, where what a training step holds is asked for."""
    asked: tuple[str, ...] = ()
    """Quantities that are known only where they are asked for."""

    @property
    def quantities(self) -> dict[str, Quantity]:
        """All that is counted of each variant."""
        return self.subject.quantities(self.training_cost, self.more)

    @property
    def more(self) -> More:
        """What is asked for, and the time on a device: workers make it for themselves."""
        more = asked(self.asked, optimizer=self.optimizer)
        if not (self.device or self.dtype):
            return more
        from costlab.roofline.quantity import on_device  # others do not wait for it

        return more + on_device(self.device, self.dtype)[1]

    @property
    def grid(self) -> Grid:
        """All the variants."""
        return Grid(self.axes, self.block_size)

    @property
    def names(self) -> Names:
        """The names that conditions and goals may use, and what they are."""
        first = {name: axis.plain(0) for axis in self.axes for name in axis.names}
        choices = {
            name: _KINDS[type(value)]
            for name, value in self.subject.values(first).items()
            if type(value) in _KINDS and name not in self._mixed
        }
        quantities = self.quantities.keys()
        numbers = (*quantities, *self.subject.notes)
        counted: dict[str, ValueType] = dict.fromkeys(numbers, "number")
        of_layers = {name for name in quantities if not self.quantities[name].of_run}
        elsewhere = {**OF_MEMORY, **WITHOUT_DEVICE}
        return Names({**counted, **choices}, of_layers - choices.keys(), elsewhere=elsewhere)

    @property
    def _mixed(self) -> set[str]:
        """Names whose values are not all of one kind: nothing can be said of them."""
        return {
            name
            for axis in self.axes
            if not isinstance(axis.values, range) and len(set(map(type, axis.values))) > 1
            for name in axis.names
        }
