"""What can be swept: what a sweep asks of a model of the catalog, and of a user's own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Literal, Protocol, TypeAlias

from costlab.costs.quantities import More
from costlab.costs.quantity import Quantity
from costlab.expressions.nodes import Selector
from costlab.graph import Graph, Layer

Kind: TypeAlias = Literal["whole number", "number", "truth", "word", "literal"]
"""What values of a name are read as."""

Sum: TypeAlias = tuple[str, tuple[Selector, ...]]
"""A quantity of some layers; of all without selectors."""


class Costs(Protocol):
    """What some variants cost: numbers, arrays over the variants, or bounds of them."""

    def of(self, quantity: str, selectors: tuple[Selector, ...]) -> Any:
        """The sum over some layers, or over all."""

    def defined(self) -> Any:
        """Which of the variants exist: an array, or one truth for all of them."""


class Formula(Protocol):
    """What variants cost that are all alike but for their sizes."""

    def inside(self, values: Mapping[str, Any]) -> Any:
        """Of which variants it is known: an array, or one truth for all of them."""

    def costs(self, values: Mapping[str, Any]) -> Costs | None:
        """What they cost; None if there are no such networks."""


class Networks(Protocol):
    """The formulas of a subject, as far as they have been asked for."""

    def known(self, values: Mapping[str, Any]) -> Sequence[Formula]:
        """Those of networks with these choices; more may come with ``follow``."""

    def follow(self, values: Mapping[str, Any]) -> Formula:
        """The formula of one variant, of which no other one says anything."""

    def layers(self, values: Mapping[str, Any]) -> Sequence[Layer]:
        """The layers of a network with these choices. Raises a ``CostlabError``."""

    def learn(self, learnt: Iterable[Any]) -> None:
        """Take formulas that another process has followed."""

    def learnt(self) -> list[Any]:
        """What was followed since this was asked last, for other processes."""


class Subject(Protocol):
    """A MODEL with the choices that do not vary. It goes to workers, so it only names things."""

    notes: ClassVar[tuple[str, ...]]
    """What is noted of each variant beside quantities."""
    block_size: ClassVar[int]
    """Variants that are counted at once."""
    most_tried: ClassVar[int]
    """How many networks may be made to see whether a part or a layer exists."""

    @property
    def title(self) -> str:
        """The model with its choices, for people."""

    @property
    def choices(self) -> tuple[tuple[str, Any], ...]:
        """The choices that do not vary."""

    @property
    def dimensions(self) -> Mapping[str, str]:
        """The names of sizes of the input, and what each is."""

    def kinds(self, name: str) -> tuple[Kind, ...]:
        """What values of a choice or size may be; the first that fits all of them is taken.

        Raises ``UnknownNameError``.
        """

    def check(self, name: str, value: Any) -> None:
        """Raise what the model raises for a value that it never takes."""

    def check_names(self, varied: set[str]) -> None:
        """Raise ``ChoiceError`` where such names cannot vary together, or are too few."""

    def takes_many(self, name: str) -> bool:
        """Whether many values are taken at once; else each makes a network of its own."""

    def values(self, chosen: Mapping[str, Any]) -> dict[str, Any]:
        """All choices and sizes by name: the chosen ones, and the others as they are."""

    def quantities(self, training_cost: bool, more: More) -> dict[str, Quantity]:
        """All that is counted of each variant, ``more`` too."""

    def networks(
        self, sums: Iterable[Sum], training_cost: bool, more: More, sizes: int
    ) -> Networks:
        """Its networks, of which these sums are wanted, each at so many sizes."""

    def graph(self, values: Mapping[str, Any], gradients: bool = False) -> Graph:
        """The network with these values; ``gradients`` as in `Run`. Raises a ``CostlabError``."""

    def known(self, more: More, values: Mapping[str, Any]) -> More:
        """The quantities that are asked for, those of a run with what they are at these values."""

    def refusal(self, values: Mapping[str, Any]) -> str:
        """Why there is no network with these values."""
