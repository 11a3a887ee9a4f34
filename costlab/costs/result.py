"""The base of the results whose numbers are quantities."""

from __future__ import annotations

from costlab.costs.quantities import units
from costlab.render.document import Units
from costlab.render.result import Result


class CostResult(Result):
    """A result that tells files what its numbers are."""

    @property
    def remark(self) -> str:
        """How modules were run, where the numbers depend on it: files say it too."""
        return ""

    def units(self) -> Units:
        return units()._replace(remark=self.remark)
