"""What makes up a counter's total of a model or a part of it, as a value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

from costlab.counters import CounterTotal
from costlab.graph.paths import ancestry, module_of, within


@dataclass(frozen=True)
class Amount:
    """Units that a counter counts for one reason; in one place, if it has a ``path``.

    That is where the module is called; ``registered`` is its first path in the model.
    """

    what: str
    how: str
    units: int
    fault: bool
    path: str = ""
    registered: str = ""

    @property
    def cause(self) -> str:
        """What is counted, and how."""
        return f"{self.what}, {self.how}" if self.how else self.what


@dataclass(frozen=True)
class Account:
    """A counter's total of a model, or of a part of it, in terms.

    ``total`` is None for a counter that gave none; ``problem`` is why.
    """

    counter: str
    total: CounterTotal | None
    parts: tuple[Amount, ...] = ()
    """What it counts where, and why."""
    problem: str = ""
    not_named: tuple[str, ...] = ()
    """The layers of which its convention says nothing, although they compute something."""
    scope: str = ""
    """The part of the model; empty for all of it."""
    residual_of_the_model: int = 0
    """The whole model's residual, of an account of a part."""
    remark: str = ""
    """That its convention is that of another version, or of another tool, if it is."""
    params: tuple[Amount, ...] = ()
    """Its number of params, if it has one, from the params that are read."""

    @property
    def absent(self) -> bool:
        """Whether the counter is not installed."""
        return self.problem.startswith("not installed")

    @property
    def reported(self) -> int | None:
        """The total that it reports itself; None where it has no number for the part."""
        if self.total is None or not self.scope:
            return self.total.total if self.total else None
        return self.total.by_path.get(self.scope)

    @property
    def terms(self) -> tuple[Amount, ...]:
        """What its total is made of."""
        return added(self.parts)

    @property
    def residual(self) -> int:
        """What the terms do not explain.

        The whole model's residual, where the counter has no number for the part.
        """
        if self.reported is None:
            return self.residual_of_the_model
        return self.reported - sum(part.units for part in self.parts)

    @property
    def params_residual(self) -> int:
        """What they do not explain of its number of params; 0 for a part of a model."""
        if self.total is None or self.total.params is None or self.scope:
            return 0
        return self.total.params - sum(term.units for term in self.params)

    def at(self, scope: str) -> Account:
        """The account of a part: of what is called in it.

        Of what is registered in it if that is what the counter goes by.
        """
        parts = tuple(part for part in self.parts if within(module_of(part.path), scope))
        if self.total is not None and (reported := self.total.by_path.get(scope)) is not None:
            own = tuple(part for part in self.parts if within(part.registered, scope))
            parts = own if sum(part.units for part in own) == reported else parts
        return replace(
            self,
            scope=scope,
            residual_of_the_model=self.residual,
            parts=parts,
            not_named=tuple(path for path in self.not_named if within(module_of(path), scope)),
        )

    def differing(self) -> list[tuple[str, int]]:
        """The smallest parts for which it reports another total than its terms, and by how much."""
        if self.total is None:
            return []
        counted, registered = Counter[str](), Counter[str]()
        for part in self.parts:
            for sums, path in ((counted, module_of(part.path)), (registered, part.registered)):
                for scope in ancestry(path):
                    sums[scope] += part.units
        differing = {
            path: total - counted[path]
            for path, total in self.total.by_path.items()
            if path and within(path, self.scope) and total not in (counted[path], registered[path])
        }
        return [
            (path, by)
            for path, by in differing.items()
            if not any(other != path and within(other, path) for other in differing)
        ]


def added(parts: Iterable[Amount]) -> tuple[Amount, ...]:
    """Amounts by their causes, in their order."""
    sums: dict[tuple[str, str, bool], int] = {}
    for part in parts:
        cause = (part.what, part.how, part.fault)
        sums[cause] = sums.get(cause, 0) + part.units
    return tuple(Amount(what, how, units, fault) for (what, how, fault), units in sums.items())
