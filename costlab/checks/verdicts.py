"""The verdicts of other counters on our table, as values and as tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from costlab import formatting
from costlab.costs.quantities import QUANTITIES, legend
from costlab.costs.remarks import how_it_was_run, lower_bound, of_each_run, of_the_run, remarks
from costlab.costs.result import CostResult, RowResult
from costlab.costs.rows import Row
from costlab.costs.table import CostTable
from costlab.render.cells import Number
from costlab.render.document import Column, Document, Line, Page, Paragraph, Record, Style, Table

NOTHING = "no multiply-adds to compare"
"""Why most layers are not covered: they have none."""

FAILED = "(failed)"
"""In the place of its version, of a counter that gave no numbers."""

Verdict: TypeAlias = Literal["agrees", "differs", "not covered", "known fault", "another rule"]
EXPLAINED: tuple[Verdict, ...] = ("known fault", "another rule")
"""Another number than ours, and to the unit what is known of the counter."""


OURS: dict[str, Callable[[Row], Any]] = {
    "macs": QUANTITIES["macs"].of,
    "params": QUANTITIES["params"].of,
    "output": lambda row: row.output,
}
"""What counters measure, as our rows say it."""


@dataclass(frozen=True, slots=True)
class Check:
    """One layer, one counter, one quantity: ``macs``, ``params`` or ``output`` (a shape)."""

    path: str
    counter: str
    quantity: str
    ours: Any
    theirs: Any
    verdict: Verdict
    because: str = ""
    """Why it is not covered, or how it differs."""


@dataclass(frozen=True, repr=False)
class CrossCheck(RowResult):
    """The verdicts on one model: ``agrees``, and a `Check` a row in ``rows``.

    ``versions`` are those of the counters that took part, ``notes`` what is to be known of the
    numbers of some of them.
    """

    table: CostTable
    rows: tuple[Check, ...]
    versions: dict[str, str]
    notes: dict[str, str] = field(default_factory=dict)
    unexplained: dict[str, int] = field(default_factory=dict)
    """By counter what is left of its total, or of its params, that no term explains."""

    @property
    def agrees(self) -> bool:
        """Nothing differs, and every counter confirmed something if there was anything to count.

        A number that is explained confirms ours: it is what a known fault or rule makes of it. One
        that did not run has confirmed nothing.
        """
        failed = FAILED in self.versions.values()
        return not (self.differs or failed) and all(
            any(check.verdict in ("agrees", *EXPLAINED) for check in self.of(counter))
            or not any(check.ours for check in self.of(counter))
            for counter in self.versions
        )

    @property
    def differs(self) -> bool:
        """Whether a counter has another number than we, of a layer or of all."""
        return any(self.unexplained.values()) or any(
            check.verdict == "differs" for check in self.rows
        )

    def of(self, counter: str, verdict: Verdict | None = None) -> list[Check]:
        """The checks by a counter, or those with a certain verdict."""
        return [
            check
            for check in self.rows
            if check.counter == counter and verdict in (None, check.verdict)
        ]

    def whole(self, counter: str) -> bool:
        """Whether it confirms everything that there is to compare, and there is something."""
        checks = self._compared(counter)
        return bool(checks) and all(check.verdict == "agrees" for check in checks)

    def _compared(self, counter: str) -> list[Check]:
        """The checks by a counter of what there is to compare."""
        return [check for check in self.of(counter) if check.ours or check.theirs]

    def verdict(self, counter: str) -> Paragraph:
        """A counter's verdict on the whole model, in a sentence."""
        checks = self._compared(counter)
        note = self.notes.get(counter, "")
        if self.versions[counter] == FAILED:
            return Paragraph(f"{counter} says nothing of {self.table.model}: {note}.", "bad")
        if not checks:
            left = self.unexplained.get(counter)
            text = f"{counter}: nothing to compare in {self.table.model}" + f" ({note})" * bool(
                left
            )
            return Paragraph(f"{text}.", "bad" if left else "")
        agreed = sum(check.verdict == "agrees" for check in checks)
        differing = [check for check in checks if check.verdict == "differs"]
        who = _WHO.get(counter, f"{counter} {{}}").format(self.versions[counter])
        faults, rules = (
            [check for check in checks if check.verdict == verdict] for verdict in EXPLAINED
        )
        unseen = [check for check in checks if check.verdict == "not covered"]
        is_bad = differing or self.unexplained.get(counter) or not (agreed or faults or rules)
        style: Style = "bad" if is_bad else "good"
        what = " and ".join(dict.fromkeys(_NOUNS[check.quantity] for check in checks))
        of = formatting.integer(len(checks))
        text = f"{who} agrees on {agreed} of {of} {what} of {self.table.model}"
        if what == _NOUNS["macs"] and agreed < len(checks):
            confirmed = sum(check.ours for check in checks if check.verdict == "agrees")
            text += f", {formatting.percent(confirmed, self.table.total.macs)} of the MACs"
        if note:
            text += f" ({note})"
        if differing:
            text += f"; it differs on {len(differing)}, first at {differing[0].path}"
        if unseen:
            text += f"; it does not cover {len(unseen)} ({_reasons(unseen)})"
        if faults:
            text += f"; {len(faults)} it has wrong, as is known of it ({_reasons(faults)})"
        if rules:
            text += f"; {len(rules)} it counts by another rule ({_reasons(rules)})"
        return Paragraph(text + ".", style)

    @property
    def remark(self) -> str:
        return of_the_run(self.table.graph)

    def made_with(self) -> Mapping[str, str]:
        known = {name: version for name, version in self.versions.items() if name != "module"}
        return {**self.table.made_with(), **known}

    def headline(self) -> str:
        return f"{self.table.model}: {', '.join(map(self._in_short, self.versions))}"

    def _in_short(self, counter: str) -> str:
        if self.versions[counter] == FAILED:
            return f"{counter} failed"
        checks = self._compared(counter)
        if not checks:
            return f"{counter} has nothing to compare"
        by_verdict = Counter(check.verdict for check in checks)
        verdict: Verdict = "differs" if by_verdict["differs"] else "agrees"
        return f"{counter} {verdict} on {by_verdict[verdict]} of {len(checks)}"

    def page(self) -> Page:
        """The document, with a picture of what each counter has of each stage."""
        from costlab.checks.agreement import agreement  # where a page is written

        blocks = self.document()
        table = next(n for n, block in enumerate(blocks) if isinstance(block, Table))
        drawn = agreement(self)
        return (*blocks[:table], *((drawn,) if drawn.stages else ()), *blocks[table:])

    def document(self) -> Document:
        return (Paragraph(f"Cross-check of {self.table.model}", "title"), *self.body())

    def body(self) -> Document:
        """All but the title."""
        columns = list(dict.fromkeys((check.counter, check.quantity) for check in self.rows))
        cells = {(c.path, c.counter, c.quantity): c for c in self.rows}
        lines = []
        for row in self.table.rows:
            checks = [cells[row.path, counter, quantity] for counter, quantity in columns]
            if row.contraction or any(check.verdict in _SHOWN for check in checks):
                lines.append(_line(row, checks))
        reasons = Counter(
            f"not covered by {check.counter} ({_QUANTITY[check.quantity]}): {check.because}"
            for check in self.rows
            if check.verdict == "not covered" and check.because != NOTHING
        )
        hidden = len(self.table.rows) - len(lines)
        return (
            Paragraph(f"input {self.table.graph.entering}{self.table.graph.order}"),
            *(self.verdict(counter) for counter in self.versions),
            *lower_bound(self.table.uncounted),
            *remarks([self.remark]),
            Table(
                (
                    Column("layer", right=False),
                    Column("MACs"),
                    *(Column(_head(*column), right=False) for column in columns),
                ),
                tuple(lines),
                "difference",
                f"Layers: {formatting.plural(len(lines), 'row')}",
            ),
            *remarks(
                [
                    f"{len(lines)} of {formatting.plural(len(self.table.rows), 'layer')} shown: "
                    "those with multiply-adds or a difference (--format csv has all)."
                    if hidden
                    else ""
                ]
            ),
            *(
                Paragraph(f"{formatting.plural(n, 'layer')} {reason}.", "dim")
                for reason, n in reasons.items()
            ),
            Paragraph(legend(["macs"]), "dim"),
        )

    def records(self) -> list[Record]:
        return [
            {
                "model": self.table.model,
                "path": check.path,
                "counter": check.counter,
                "quantity": check.quantity,
                "ours": flat(check.ours),
                "theirs": flat(check.theirs),
                "verdict": check.verdict,
                "because": check.because,
            }
            for check in self.rows
        ]

    def how_it_was_run(self) -> dict[str, Any]:
        """Which counters took part, what is to be known of their numbers, and how the model ran."""
        known = {"counters": self.versions, "notes": self.notes}
        return known | how_it_was_run(self.table.graph)

    def data(self) -> dict[str, Any]:
        return {
            "model": self.table.model,
            "input": [list(shape) for shape in self.table.graph.inputs],
            "agrees": self.agrees,
            **self.how_it_was_run(),
            "rows": [
                {"model": self.table.model, **{name: getattr(check, name) for name in _FIELDS}}
                for check in self.rows
            ],
        }


@dataclass(frozen=True, repr=False)
class CrossChecks(CostResult):
    """The cross-checks of several models, one after the other."""

    checks: tuple[CrossCheck, ...]

    @property
    def remark(self) -> str:
        return " ".join(of_each_run({c.table.model: c.table.graph for c in self.checks}))

    def document(self) -> Document:
        return tuple(block for check in self.checks for block in check.document())

    @property
    def title(self) -> str:
        """Which models were checked."""
        return f"Cross-check of {', '.join(check.table.model for check in self.checks)}"

    def headline(self) -> str:
        return "; ".join(check.headline() for check in self.checks)

    def page(self) -> Page:
        blocks = (block for check in self.checks for block in check.page())
        return (Paragraph(self.title, "page"), *blocks)

    def records(self) -> list[Record]:
        return [record for check in self.checks for record in check.records()]

    def data(self) -> dict[str, Any]:
        return {
            "models": [check.table.model for check in self.checks],
            "agrees": all(check.agrees for check in self.checks),
            "runs": [check.how_it_was_run() for check in self.checks],
            "rows": [row for check in self.checks for row in check.data()["rows"]],
        }


_SHOWN: tuple[Verdict, ...] = ("differs", *EXPLAINED)
_FIELDS = ("path", "counter", "quantity", "ours", "theirs", "verdict", "because")
_WHO = {"module": "The built module (torch {})"}
_QUANTITY = {name: QUANTITIES[name].heading for name in ("macs", "params")} | {"output": "shape"}
_NOUNS = {"macs": "contractions", "params": "params", "output": "output shapes of layers"}


def _reasons(checks: list[Check], most: int = 3) -> str:
    """Why these are as they are, each reason once."""
    reasons = list(dict.fromkeys(check.because for check in checks))
    more = f"; and {len(reasons) - most} more reasons" if len(reasons) > most else ""
    return "; ".join(reasons[:most]) + more


def _head(counter: str, quantity: str) -> str:
    return counter if quantity == "macs" else _QUANTITY[quantity]


def _line(row: Row, checks: list[Check]) -> Line:
    others = [check for check in checks if check.verdict in _SHOWN]
    differing = any(check.verdict == "differs" for check in others)
    return Line(
        (row.path, Number(row.macs, "MACs"), *(check.verdict for check in checks)),
        path=row.path,
        details=tuple(f"{_head(c.counter, c.quantity)}: {c.because}" for c in others),
        style="bad" if differing else "",
    )


def flat(value: Any) -> Any:
    """A value as a cell: a shape in its usual form."""
    return formatting.shape(value) if isinstance(value, tuple) else value
