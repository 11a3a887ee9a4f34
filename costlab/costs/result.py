"""The base of the results whose numbers are quantities."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from costlab.costs.quantities import More, units
from costlab.render.document import Units
from costlab.render.result import Result


class CostResult(Result):
    """A result that tells files what its numbers are."""

    @property
    def remark(self) -> str:
        """How modules were run, where the numbers depend on it: files say it too."""
        return ""

    @property
    def training_cost(self) -> bool:
        """Whether it says what a training step costs."""
        return False

    @property
    def more(self) -> More:
        """What was asked for beside the quantities of every model."""
        return ()

    def units(self) -> Units:
        return units(self.training_cost, self.more)._replace(remark=self.remark)


class RowResult(CostResult):
    """One that is made of rows, and iterates over them."""

    rows: tuple[Any, ...]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __bool__(self) -> bool:
        return True  # also without rows
