"""What makes up a counter's total of a model or a part of it, as a value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

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
    """That its convention is that of another version or tool, or does not say all, if so."""
    params: tuple[Amount, ...] = ()
    """Its number of params, if it has one, from the params that are read."""

    @property
    def absent(self) -> bool:
        """Whether the counter is not installed."""
        return self.problem.startswith("not installed")

    @property
    def reported(self) -> int | None:
        """The total that it reports itself; None where it has no number for the part."""
        return self.of_module(self.scope)

    def of_module(self, path: str) -> int | None:
        """What it reports of a module, with all inside of it; None where it has no number."""
        if self.total is None or not path:
            return self.total.total if self.total else None
        return self.total.by_path.get(path)

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

    def of_terms(self, path: str) -> tuple[int, int]:
        """What its terms come to in a module: of what is called, and of what is registered in it.

        A counter may know a module by either.
        """
        return self._called[path], self._registered[path]

    @cached_property
    def _called(self) -> Counter[str]:
        return _by_scope((module_of(part.path), part.units) for part in self.parts)

    @cached_property
    def _registered(self) -> Counter[str]:
        return _by_scope((part.registered, part.units) for part in self.parts)

    def differing(self) -> list[tuple[str, int]]:
        """The smallest parts for which it reports another total than its terms, and by how much."""
        if self.total is None:
            return []
        differing = {
            path: total - self.of_terms(path)[0]
            for path, total in self.total.by_path.items()
            if path and within(path, self.scope) and total not in self.of_terms(path)
        }
        return [
            (path, by)
            for path, by in differing.items()
            if not any(other != path and within(other, path) for other in differing)
        ]


def _by_scope(units: Iterable[tuple[str, int]]) -> Counter[str]:
    """Units of paths, of each module with all inside of it; ``""`` is all."""
    sums = Counter[str]()
    for path, count in units:
        for scope in ("", *(ancestry(path) if path else ())):
            sums[scope] += count
    return sums


def added(parts: Iterable[Amount]) -> tuple[Amount, ...]:
    """Amounts by their causes, in their order."""
    sums: dict[tuple[str, str, bool], int] = {}
    for part in parts:
        cause = (part.what, part.how, part.fault)
        sums[cause] = sums.get(cause, 0) + part.units
    return tuple(Amount(what, how, units, fault) for (what, how, fault), units in sums.items())
