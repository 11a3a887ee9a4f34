"""A sweep of the catalog: an architecture is one formula, as its rules take arrays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple

from costlab.catalog.registry import TOO_LARGE
from costlab.costs.quantities import More, quantities
from costlab.costs.quantity import Quantity
from costlab.errors import ChoiceError, CostlabError, ShapeError, UnknownNameError
from costlab.graph import Graph, Layer
from costlab.models.catalog_name import DIMENSIONS, Named, named_model
from costlab.sweeps.costs import GraphCosts
from costlab.sweeps.subject import Kind, Networks, Sum

_KINDS: dict[type, tuple[Kind, ...]] = {
    int: ("whole number",),
    float: ("number",),
    bool: ("truth",),
    str: ("word",),
}


@dataclass(frozen=True)
class OfCatalog:
    """A name of the catalog, with choices."""

    model: str
    choices: tuple[tuple[str, Any], ...]
    notes: ClassVar[tuple[str, ...]] = ()
    block_size: ClassVar[int] = 2**17
    most_tried: ClassVar[int] = 10**5

    @property
    def named(self) -> Named:
        """The model that is varied."""
        return _named(self.model, self.choices)

    @property
    def title(self) -> str:
        choices = ", ".join(f"{name}={value!r}" for name, value in self.named.choices.items())
        name, part = self.named.architecture.name, self.named.part
        return (f"{name}({choices})" if choices else name) + (f"/{part}" if part else "")

    @property
    def dimensions(self) -> Mapping[str, str]:
        return DIMENSIONS

    def kinds(self, name: str) -> tuple[Kind, ...]:
        return _KINDS[type(self.named.published(name))]

    def check(self, name: str, value: Any) -> None:
        if name in self.named.choices:
            raise ChoiceError(f"{name} is given twice: give it once")
        if name not in DIMENSIONS:
            self.named.architecture.checked(name, value)
        elif abs(value) >= TOO_LARGE:
            raise ChoiceError(f"{name}={value} is too large: give one below {TOO_LARGE:,}")

    def check_names(self, varied: set[str]) -> None:
        if (sizing := self.named.architecture.sizing & varied) and varied & DIMENSIONS.keys():
            raise ChoiceError(f"{min(sizing)} is the size of the input: vary it, or the input")

    def takes_many(self, name: str) -> bool:
        return name in DIMENSIONS or self.named.architecture.takes_many(name)

    def values(self, chosen: Mapping[str, Any]) -> dict[str, Any]:
        return self.named.values(chosen)

    def quantities(self, training_cost: bool, more: More) -> dict[str, Quantity]:
        return quantities(training_cost, more)

    def networks(
        self, sums: Iterable[Sum], training_cost: bool, more: More, sizes: int
    ) -> Networks:
        return Definition(self.named, training_cost, more)

    def graph(self, values: Mapping[str, Any], gradients: bool = False) -> Graph:
        return self.named.sized(values)

    def known(self, more: More, values: Mapping[str, Any]) -> More:
        return more

    def refusal(self, values: Mapping[str, Any]) -> str:
        try:
            self.graph(values)
        except CostlabError as error:
            return str(error)
        return ""


class Definition(NamedTuple):
    """The definition of an architecture, which takes all values that arrays can be."""

    named: Named
    training_cost: bool
    more: More

    def known(self, values: Mapping[str, Any]) -> Sequence[Definition]:
        return (self,)

    def follow(self, values: Mapping[str, Any]) -> Definition:
        return self

    def inside(self, values: Mapping[str, Any]) -> bool:
        """Everywhere: ``GraphCosts.defined`` says which variants exist."""
        return True

    def costs(self, values: Mapping[str, Any]) -> GraphCosts | None:
        """The costs with these values; None if there is no such model, or not that part of it."""
        try:
            return GraphCosts(self.named.sized(values), self.training_cost, self.more)
        except (ShapeError, UnknownNameError):
            return None

    def layers(self, values: Mapping[str, Any]) -> Sequence[Layer]:
        return self.named.sized(values).layers

    def learn(self, learnt: Iterable[Any]) -> None:
        """Nothing: a definition says all at once."""

    def learnt(self) -> list[Any]:
        return []


@lru_cache(maxsize=16)
def _named(model: str, choices: tuple[tuple[str, Any], ...]) -> Named:
    return named_model(model, **dict(choices))
