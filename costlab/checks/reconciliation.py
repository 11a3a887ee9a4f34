"""Other counters' numbers in named terms, as a value and as a table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from costlab import formatting
from costlab.checks.account import Account, Amount
from costlab.costs.quantities import legend
from costlab.costs.remarks import how_it_was_run, lower_bound, of_the_run, remarks
from costlab.costs.result import CostResult
from costlab.costs.rows import Row
from costlab.costs.table import CostTable
from costlab.graph.paths import ancestry, module_of, within
from costlab.render.cells import Cell, Number
from costlab.render.document import (
    Column,
    Document,
    Line,
    Page,
    Paragraph,
    Record,
    Style,
    Table,
)


@dataclass(frozen=True, repr=False)
class Reconciliation(CostResult):
    """Other counters' totals, rebuilt from our table: an `Account` for each in ``accounts``."""

    table: CostTable
    accounts: tuple[Account, ...]
    traced: CostTable
    """The same network by its calls, whose layers the accounts are of."""
    path: str = ""
    """The part that is shown, as its paths are in ``traced``."""
    depth: int = 0
    """How deep to go into nested scopes; 0 shows totals only."""
    asked: tuple[str, ...] = ()
    """The counters that were asked for by name; if none were, all that are known are tried."""

    def __iter__(self) -> Iterator[Account]:
        return iter(self.accounts)

    def __len__(self) -> int:
        return len(self.accounts)

    @property
    def explained(self) -> bool:
        """Whether nothing is left over of what was told, and all told that were asked by name.

        If none were, one at least.
        """
        left = any(account.residual or account.params_residual for account in self.accounts)
        missing = any(account.counter in self.asked for account in self.silent)
        return bool(self.told) and not left and not missing

    @property
    def told(self) -> tuple[Account, ...]:
        """The accounts of counters that gave an answer."""
        return tuple(account for account in self.accounts if account.total is not None)

    @property
    def silent(self) -> tuple[Account, ...]:
        """The accounts of counters that did not run, or not to their end."""
        return tuple(account for account in self.accounts if account.total is None)

    @property
    def macs(self) -> int:
        """Our MACs of what is shown; of a training step all of them."""
        return sum(map(self._macs, self._rows))

    def _macs(self, row: Row) -> int:
        return row.training_macs if self.table.training_cost else row.macs

    @property
    def _unit(self) -> str:
        return "training MACs" if self.table.training_cost else "MACs"

    @property
    def _rows(self) -> list[Row]:
        """The rows of what is shown."""
        return [row for row in self.traced.rows if within(module_of(row.path), self.path)]

    def made_with(self) -> Mapping[str, str]:
        return {account.counter: account.total.version for account in self.told if account.total}

    def headline(self) -> str:
        explained = "explained" if self.explained else "not all explained"
        totals = ", ".join(
            f"{account.counter} {formatting.integer(account.reported)}"
            for account in self.told
            if account.reported is not None
        )
        return f"{self._name}: {formatting.integer(self.macs)} {self._unit}; {totals}: {explained}"

    def document(self) -> Document:
        blocks: list[Paragraph | Table] = [
            Paragraph(f"Why other counters report different totals for {self._name}", "title"),
            Paragraph(f"input {self.table.graph.entering}{self.table.graph.order}"),
            Paragraph(f"costlab: {formatting.both(self.macs, self._unit)}.", "strong"),
            *lower_bound([row for row in self._rows if row.uncounted]),
        ]
        if self.told:
            blocks.append(self._together())
            versions = (
                f"{account.counter} {account.total.version}"
                for account in self.told
                if account.total
            )
            blocks.append(Paragraph(f"Versions: {', '.join(versions)}.", "dim"))
        for account in self.told:
            if account.remark:
                blocks.append(Paragraph(f"{account.counter}: {account.remark}.", "bad"))
        problems: dict[str, list[str]] = {}
        for account in self.silent:
            problems.setdefault(account.problem, []).append(account.counter)
        for problem, names in problems.items():
            style: Style = "bad" if set(names) & set(self.asked) else ""
            more = ": --timeout gives it longer" if "it was not done" in problem else ""
            blocks.append(Paragraph(f"{', '.join(names)}: {problem}{more}.", style))
        if self.depth:
            blocks.append(self._by_layer())
        blocks += [*self._conclusion(), *self._left(), *self._silent(), *self._params()]
        return (*blocks, *remarks([self.remark]), Paragraph(self._legend(), "dim"))

    def _legend(self) -> str:
        if self.table.training_cost:
            return legend(["macs", "training_macs"], training_cost=True)
        return legend(["macs"])

    def page(self) -> Page:
        """The document, with a way from our total to that of each counter behind its table."""
        from costlab.render.plots import Step, Waterfall  # where a page is written

        falls = []
        for account in self.told:
            if account.reported is None:
                continue
            steps, at = [Step("costlab", 0, self.macs)], self.macs
            ours = [term.what for term in account.terms]
            ours_at = ours.index("contractions") if "contractions" in ours else 0
            for number, term in enumerate(account.terms):
                more = term.units - (self.macs if number == ours_at else 0)
                if more:
                    steps.append(Step(term.cause, at, at + more))
                at += more
            if at != account.reported:
                steps.append(Step("residual", at, account.reported))
            steps.append(Step(account.counter, 0, account.reported))
            falls.append(Waterfall(f"From costlab to {account.counter}", tuple(steps)))
        blocks = self.document()
        after = 1 + next(n for n, block in enumerate(blocks) if isinstance(block, Table))
        return (*blocks[:after], *falls, *blocks[after:])

    @property
    def remark(self) -> str:
        return of_the_run(self.table.graph)

    def records(self) -> list[Record]:
        return [
            {
                "model": self._name,
                "counter": account.counter,
                "version": account.total.version,
                "quantity": quantity,
                "cause": term.cause,
                "units": term.units,
                "fault": term.fault,
            }
            for account in self.accounts
            if account.total is not None
            for quantity, terms in (("total", _with_residual(account)), ("params", account.params))
            for term in terms
        ]

    def data(self) -> dict[str, Any]:
        return {
            "model": self.table.model,
            "path": self.path,
            "macs": self.macs,
            "params": self.table.total.params,
            "counters": {account.counter: _data(account) for account in self.accounts},
            "layers": self._layers() if self.depth else [],
            "explained": self.explained,
            **how_it_was_run(self.table.graph),
        }

    @property
    def _name(self) -> str:
        return f"{self.path} of {self.table.model}" if self.path else self.table.model

    def _layers(self) -> list[dict[str, Any]]:
        """What each counter counts where, by its terms, and what it reports there if it does."""
        deep = self.depth + (self.path.count(".") + 1 if self.path else 0)

        def scope(path: str) -> str:
            return ".".join(module_of(path).split(".")[:deep])

        macs: dict[str, int] = {}
        for row in self._rows:
            macs[scope(row.path)] = macs.get(scope(row.path), 0) + self._macs(row)
        counted: dict[str, dict[str, int]] = {}
        for account in self.told:
            for part in account.parts:
                macs.setdefault(scope(part.path), 0)
                of = counted.setdefault(scope(part.path), {})
                of[account.counter] = of.get(account.counter, 0) + part.units
        return [
            {
                "path": path,
                "macs": count,
                "counters": {
                    account.counter: {
                        "units": counted.get(path, {}).get(account.counter, 0),
                        "actual": account.total.by_path.get(path)
                        if account.total
                        and not any(path != other and within(other, path) for other in macs)
                        else None,
                    }
                    for account in self.told
                },
            }
            for path, count in macs.items()
            if count or any(counted.get(path, {}).values())
        ]

    def _together(self) -> Table:
        """A row for what is counted, a column for each counter."""
        cells: dict[str, dict[str, int]] = {}
        how: dict[str, dict[str, list[str]]] = {}
        for account in self.told:
            for term in account.terms:
                what = f"fault: {term.what}" if term.fault else term.what
                counts = cells.setdefault(what, {})
                counts[account.counter] = counts.get(account.counter, 0) + term.units
                if term.how:
                    how.setdefault(what, {}).setdefault(term.how, []).append(account.counter)
        lines = [
            Line(
                (what, *(_cell(cells[what].get(account.counter)) for account in self.told)),
                details=_hows(how.get(what, {}), len(self.told)),
                about=tuple(
                    tuple(
                        i for i, account in enumerate(self.told, 1) if account.counter in counters
                    )
                    for counters in how.get(what, {}).values()
                ),
            )
            for what in sorted(cells, key=lambda what: what.startswith("fault"))
        ]
        left = [account.residual if account.reported is not None else None for account in self.told]
        reported = [account.reported for account in self.told]
        bad: Style = "bad" if any(left) else ""
        lines.append(Line(("residual", *map(_cell, left)), style=bad))
        if None in reported:
            terms = [sum(part.units for part in account.parts) for account in self.told]
            lines.append(Line(("all terms", *map(_cell, terms)), style="strong"))
        lines.append(Line(("reported total", *map(_cell, reported)), style="strong"))
        heads = (Column(account.counter) for account in self.told)
        return Table((Column("counted", right=False), *heads), tuple(lines), "how")

    def _by_layer(self) -> Table:
        lines = []
        for layer in self._layers():
            counts = layer["counters"]
            others = tuple(
                f"{name} says {count['actual']:,}"
                for name, count in counts.items()
                if count["actual"] not in (None, count["units"])
            )
            cells = (Number(count["units"]) for count in counts.values())
            first = layer["path"] or "(the model itself)"
            line = Line((first, Number(layer["macs"], "MACs"), *cells), details=others)
            lines.append(line._replace(style="bad" if others else ""))
        return Table(
            (
                Column("units by layer", right=False),
                Column("MACs"),
                *(Column(account.counter) for account in self.told),
            ),
            tuple(lines),
            "otherwise",
        )

    def _conclusion(self) -> Iterable[Paragraph]:
        """That every unit is explained, or how many counters are and which did not run."""
        left = [account for account in self.told if account.residual or account.params_residual]
        failed = [
            account
            for account in self.silent
            if account.counter in self.asked or not account.absent
        ]
        if failed:
            some = formatting.plural(len(failed), "counter")
            explained = len(self.told) - len(left)
            text = (
                f"{explained} of {len(self.told) + len(failed)} are explained: {some} did not run"
            )
            again = f" ({', '.join(account.counter for account in failed)})."
            yield Paragraph(text + again, "" if self.explained else "bad")
        elif self.told and not left:
            yield Paragraph("Every unit is explained: all residuals are 0.", "good")

    def _left(self) -> Iterable[Paragraph]:
        for account in self.accounts:
            if not account.residual:
                continue
            places = [
                f"{path} ({formatting.difference(0, by)})" for path, by in account.differing()
            ]
            not_named = [path for path in account.not_named if not places]
            where = _some([*places, *not_named]) or "no layer in particular"
            what = "" if places else "layers of which its convention says nothing: "
            yield Paragraph(
                f"{account.counter}: {formatting.difference(0, account.residual)} units are not "
                f"explained; {what}{where}.",
                "bad",
            )

    def _silent(self) -> Iterable[Paragraph]:
        """Our MACs in places where it counts nothing, as far as its terms go."""
        counters_by_paths: dict[tuple[str, ...], list[str]] = {}
        for account in self.told:
            counted = {module_of(part.path) for part in account.parts}
            silent = tuple(
                row.path
                for row in self._rows
                if row.macs and counted.isdisjoint(ancestry(module_of(row.path)))
            )
            if silent:
                counters_by_paths.setdefault(silent, []).append(account.counter)
        macs = {row.path: row.macs for row in self._rows}
        for paths, counters in counters_by_paths.items():
            missing = formatting.both(sum(macs[path] for path in paths), "MACs")
            yield Paragraph(f"Not seen by {', '.join(counters)}: {missing} of {_some([*paths])}.")

    def _params(self) -> Iterable[Paragraph]:
        """Why its number of params differs from ours, if it has one and it does."""
        for account in self.told if not self.path else ():
            ours, theirs = self.table.total.params, account.total.params if account.total else None
            if theirs is None or (theirs == ours and not account.params_residual):
                continue
            terms = ", ".join(
                f"{formatting.integer(term.units)} {term.cause}" for term in account.params
            )
            left = account.params_residual
            yield Paragraph(
                f"{account.counter} says {theirs:,} params: {terms}"
                + (f", {formatting.difference(0, left)} not explained." if left else "."),
                "bad" if left else "",
            )


def _with_residual(account: Account) -> tuple[Amount, ...]:
    return (*account.terms, Amount("residual", "", account.residual, fault=False))


def _data(account: Account) -> dict[str, Any]:
    if account.total is None:
        return {"problem": account.problem}
    data: dict[str, Any] = {
        "version": account.total.version,
        "actual": account.reported,
        "terms": {term.cause: term.units for term in account.terms},
        "faults": [term.cause for term in account.terms if term.fault],
        "residual": account.residual,
        "unknown": list(account.not_named),
        **({"remark": account.remark} if account.remark else {}),
    }
    if account.total.params is not None and not account.scope:
        data["params"] = {
            "actual": account.total.params,
            "terms": {term.cause: term.units for term in account.params},
            "residual": account.params_residual,
        }
    return data


def _some(names: list[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _cell(units: int | None) -> Cell:
    return "" if units is None else Number(units)


def _hows(how: dict[str, list[str]], among: int) -> tuple[str, ...]:
    """How each counter counts, those together that do it alike."""
    return tuple(
        rest if among == 1 else f"{', '.join(counters)}: {rest}" for rest, counters in how.items()
    )
