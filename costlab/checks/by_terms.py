"""A counter's own totals, in its own unit, against our layers: by the terms of its convention.

Where its number of a module is what the terms come to there, each layer inside is as the terms have
it; the smallest module of which it has a number decides, and all of the model if it has no others.
"""

from __future__ import annotations

from collections.abc import Iterator

from costlab import formatting
from costlab.checks.account import Account
from costlab.checks.asking import account_of
from costlab.checks.convention import events
from costlab.checks.expected import Convention, Expected, places
from costlab.checks.judging import nothing
from costlab.checks.runnable import observed
from costlab.checks.verdicts import Check, Verdict
from costlab.costs.rows import Row
from costlab.costs.table import CostTable
from costlab.counters import Counter


class ByTerms:
    """A table, and the same network with the calls that counters see."""

    def __init__(self, table: CostTable) -> None:
        self._table = table
        self._traced = observed(table)
        self._events = events(self._traced)

    def account(self, counter: Counter) -> Account:
        """The counter's total, in terms; or why there is none."""
        return account_of(counter, self._traced, self._events)

    def checks(self, counter: Counter, account: Account) -> Iterator[Check]:
        """A check for each layer."""
        convention = Convention.of(counter, self._table, self._traced, self._events)
        for number, row in enumerate(self._table.rows):
            theirs: int | None = None
            verdict: Verdict = "not covered"
            if row.uncounted:
                because = nothing(row)
            elif account.total is None:
                because = account.problem if row.contraction or row.macs else nothing(row)
            elif convention is None:
                because = "its calls are others when the model is followed again"
            else:
                calls = convention.calls[number]
                theirs, verdict, because = self._of_layer(
                    row, calls, convention.of_layers[number], counter, account
                )
            yield Check(row.path, counter.name, "macs", row.macs, theirs, verdict, because)

    def note(self, counter: Counter, account: Account) -> str:
        """What is to be known of its numbers."""
        if account.total is None:
            return account.problem
        of = "by its totals of modules" if counter.by_module else "by its total alone"
        left = [
            f"{formatting.difference(0, units)} of its {what} by no term"
            for what, units in (("total", account.residual), ("params", account.params_residual))
            if units
        ]
        return "; ".join(filter(None, [f"{of}, in named terms", *left, account.remark]))

    def _of_layer(
        self, row: Row, calls: list[int], expected: Expected, counter: Counter, account: Account
    ) -> tuple[int | None, Verdict, str]:
        """What it counts of a layer, and what is said of that."""
        if not (row.contraction or row.macs or expected.macs):
            return 0, "not covered", nothing(row)
        numbered = [s for s in self._scopes(row, calls) if account.of_module(s) is not None]
        alike = [s for s in numbered if account.of_module(s) in account.of_terms(s)]
        if not alike:
            return None, "differs", _difference(account, numbered[0])
        verdict, because = expected.verdict(row, counter.name)
        if verdict == "agrees" and alike[0] != row.path:
            because = f"with all of {alike[0] or 'the model'}, by its terms"
        return expected.macs, verdict, because

    def _scopes(self, row: Row, calls: list[int]) -> list[str]:
        """The modules that a layer is in, as it is called and as it is registered: smallest first.

        The last is the model itself.
        """
        called, registered = places(row.path), [""]
        if calls:
            called = places(self._traced.rows[calls[0]].path)
            registered = places(self._events[calls[0]].registered)
        return sorted({*called, *registered}, key=lambda path: -len(path.split(".")) * bool(path))


def _difference(account: Account, place: str) -> str:
    theirs, terms = account.of_module(place), account.of_terms(place)[0]
    assert theirs is not None
    return (
        f"it says {theirs:,} for {place or 'the model'}, and its terms come to {terms:,}, "
        f"{formatting.difference(terms, theirs)}"
    )
