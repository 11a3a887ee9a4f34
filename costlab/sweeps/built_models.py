"""A sweep of what runs of the catalog's models hold: these are built, and followed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from costlab.costs.quantities import More, lays_out, quantities
from costlab.costs.quantity import Quantity
from costlab.graph import Layer
from costlab.graph.sizes import Sizes
from costlab.models.module import MadeOnce
from costlab.models.reference import AS_PUBLISHED, Reference, Run
from costlab.modules.of_catalog import SIZES, Built, shape_of, without_sizing
from costlab.sweeps.architectures import OfCatalog
from costlab.sweeps.own_models import OwnModel
from costlab.sweeps.own_networks import OwnNetworks
from costlab.sweeps.polynomials import PolynomialFormula, at_point
from costlab.sweeps.subject import Networks, Sum


@dataclass(frozen=True)
class BuiltOfCatalog(OfCatalog):
    """A name of the catalog, each of whose choices and channels is a module of its own.

    ``varied`` are those of N, H and W that vary.
    """

    varied: tuple[str, ...] = ()
    block_size: ClassVar[int] = OwnModel.block_size
    run: ClassVar[Run] = AS_PUBLISHED

    def takes_many(self, name: str) -> bool:
        return name in self.varied

    def quantities(self, training_cost: bool, more: More) -> dict[str, Quantity]:
        known = quantities(training_cost, more)
        if lays_out(more):
            return known
        return {name: quantity for name, quantity in known.items() if not quantity.needs_layout}

    def networks(
        self, sums: Iterable[Sum], training_cost: bool, more: More, sizes: int
    ) -> Networks:
        return _BuiltNetworks(self, tuple(sums), training_cost, more, OwnModel.is_few(sizes))

    def known(self, more: More, values: Mapping[str, Any]) -> More:
        from costlab.footprint.of_sizes import memory_of_numbers  # others do not wait for it

        return memory_of_numbers(self.made(values), self.sized(values), self.run, more)

    def sizes_of(self, values: Mapping[str, Any]) -> Sizes:
        """The input with names for what may be a symbol."""
        own = without_sizing(self.named, values)
        return Sizes((shape_of({**own, **{name: name for name in self.varied}}),))

    def made(self, values: Mapping[str, Any]) -> Reference:
        """The module with these choices and sizes. Raises ``ShapeError``, ``ChoiceError``."""
        return MadeOnce(Built(self.named, without_sizing(self.named, values)), {}, self.run)

    def apart(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The values that make another module."""
        own = without_sizing(self.named, values)
        return {name: value for name, value in own.items() if name not in self.varied}

    def point(self, values: Mapping[str, Any]) -> dict[str, int]:
        """The sizes among the values."""
        own = without_sizing(self.named, values)
        return {name: int(own[name]) for name in self.varied}

    def sized(self, values: Mapping[str, Any]) -> Sizes:
        """The input size with these numbers."""
        return Sizes((shape_of(without_sizing(self.named, values)),))


class _BuiltNetworks(OwnNetworks):
    """What has been followed; weights may be for one size, so that each size has its module."""

    _subject: Any

    def layers(self, values: Mapping[str, Any]) -> Sequence[Layer]:
        return self._subject.graph(values).layers  # type: ignore[no-any-return]

    def _made(self, key: str, values: Mapping[str, Any]) -> Reference:
        return super()._made(f"{key} {self._subject.point(values)}", values)

    def _none(self, values: Mapping[str, Any]) -> PolynomialFormula:
        return at_point(self._subject.point(values), None)


def built_of_catalog(
    model: str, choices: tuple[tuple[str, Any], ...], vary: Iterable[str]
) -> BuiltOfCatalog:
    """The subject of a sweep that varies these, ``H=W`` two at once."""
    names = {name.strip() for written in vary for name in written.split("=")}
    return BuiltOfCatalog(model, choices, tuple(name for name in SIZES if name in names))
