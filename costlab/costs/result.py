"""The base of the results whose numbers are quantities."""

from __future__ import annotations

from costlab.costs.quantities import units
from costlab.render.document import Units
from costlab.render.result import Result


class CostResult(Result):
    """A result that tells files what its numbers are."""

    def units(self) -> Units:
        return units()
