"""Our table against independent counters, layer by layer. Equality, never a tolerance."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from costlab import formatting
from costlab.costs.quantities import QUANTITIES, legend
from costlab.costs.remarks import lower_bound
from costlab.costs.result import CostResult
from costlab.costs.rows import Row
from costlab.costs.table import CostTable, analyze
from costlab.counters import Measurement, measure, measuring
from costlab.errors import CounterError
from costlab.graph.op import Op
from costlab.graph.paths import ancestry, module_of
from costlab.isolation.sandbox import TIMEOUT, run_within
from costlab.models.reference import Model
from costlab.render.cells import Number
from costlab.render.document import Column, Document, Line, Paragraph, Record, Style, Table

if TYPE_CHECKING:
    from torch import Tensor, nn

Verdict: TypeAlias = Literal["agrees", "differs", "not covered"]

COUNTERS = ("fvcore", "torch", "module")
"""Who checks unless told otherwise: fvcore and torch the MACs, the built module the rest."""

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
class CrossCheck(CostResult):
    """The verdicts on one model: ``agrees``, and a `Check` a row in ``rows``.

    ``versions`` are those of the counters that took part.
    """

    table: CostTable
    rows: tuple[Check, ...]
    versions: dict[str, str]

    @property
    def agrees(self) -> bool:
        """Nothing differs, and every counter confirmed something if there was anything to count."""
        return not any(check.verdict == "differs" for check in self.rows) and all(
            any(check.verdict == "agrees" for check in self.of(counter))
            or not any(check.ours for check in self.of(counter))
            for counter in self.versions
        )

    def of(self, counter: str, verdict: Verdict | None = None) -> list[Check]:
        """The checks by a counter, or those with a certain verdict."""
        return [
            check
            for check in self.rows
            if check.counter == counter and verdict in (None, check.verdict)
        ]

    def verdict(self, counter: str) -> Paragraph:
        """A counter's verdict on the whole model, in a sentence."""
        checks = [check for check in self.of(counter) if check.ours or check.theirs]
        if not checks:
            return Paragraph(f"{counter}: nothing to compare in {self.table.model}.")
        agreed = sum(check.verdict == "agrees" for check in checks)
        differing = [check for check in checks if check.verdict == "differs"]
        who = _WHO.get(counter, f"{counter} {{}}").format(self.versions[counter])
        style: Style = "bad" if differing or (checks and not agreed) else "good"
        what = " and ".join(dict.fromkeys(_NOUNS[check.quantity] for check in checks))
        of = formatting.integer(len(checks))
        text = f"{who} agrees on {agreed} of {of} {what} of {self.table.model}"
        if differing:
            text += f"; it differs on {len(differing)}, first at {differing[0].path}"
        if unseen := len(checks) - agreed - len(differing):
            text += f"; it does not cover {unseen}"
        return Paragraph(text + ".", style)

    def document(self) -> Document:
        return (Paragraph(f"Cross-check of {self.table.model}", "title"), *self.body())

    def body(self) -> Document:
        """All but the title."""
        columns = list(dict.fromkeys((check.counter, check.quantity) for check in self.rows))
        cells = {(c.path, c.counter, c.quantity): c for c in self.rows}
        lines = []
        for row in self.table.rows:
            checks = [cells[row.path, counter, quantity] for counter, quantity in columns]
            if row.contraction or any(check.verdict == "differs" for check in checks):
                lines.append(_line(row, checks))
        reasons = Counter(
            f"not covered by {check.counter} ({_QUANTITY[check.quantity]}): {check.because}"
            for check in self.rows
            if check.verdict == "not covered"
        )
        return (
            Paragraph(f"input {self.table.graph.entering} (batch first)"),
            *(self.verdict(counter) for counter in self.versions),
            *lower_bound(self.table.uncounted),
            Table(
                (
                    Column("layer", right=False),
                    Column("MACs"),
                    *(Column(_head(*column), right=False) for column in columns),
                ),
                tuple(lines),
                "difference",
            ),
            Paragraph(
                f"{len(lines)} of {formatting.plural(len(self.table.rows), 'layer')} shown: "
                "those with multiply-adds or a difference (--format csv has all)."
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
                "ours": _flat(check.ours),
                "theirs": _flat(check.theirs),
                "verdict": check.verdict,
                "because": check.because,
            }
            for check in self.rows
        ]

    def data(self) -> dict[str, Any]:
        return {
            "model": self.table.model,
            "input": [list(shape) for shape in self.table.graph.inputs],
            "counters": self.versions,
            "agrees": self.agrees,
            "rows": [
                {"model": self.table.model, **{name: getattr(check, name) for name in _FIELDS}}
                for check in self.rows
            ],
        }


@dataclass(frozen=True, repr=False)
class CrossChecks(CostResult):
    """The cross-checks of several models, one after the other."""

    checks: tuple[CrossCheck, ...]

    def document(self) -> Document:
        return tuple(block for check in self.checks for block in check.document())

    def records(self) -> list[Record]:
        return [record for check in self.checks for record in check.records()]

    def data(self) -> dict[str, Any]:
        return {
            "models": [check.table.model for check in self.checks],
            "counters": {k: v for check in self.checks for k, v in check.versions.items()},
            "agrees": all(check.agrees for check in self.checks),
            "rows": [row for check in self.checks for row in check.data()["rows"]],
        }


_FIELDS = ("path", "counter", "quantity", "ours", "theirs", "verdict", "because")
_WHO = {"module": "The built module (torch {})"}
_QUANTITY = {name: QUANTITIES[name].heading for name in ("macs", "params")} | {"output": "shape"}
_NOUNS = {"macs": "contractions", "params": "layers' params", "output": "output shapes"}


def crosscheck(
    model: Model | CostTable,
    counters: Iterable[str] | None = None,
    input_size: Iterable[int] | None = None,
    progress: Callable[[str], None] = lambda step: None,
    **choices: Any,
) -> CrossCheck:
    """Build the model, let independent counters measure it, and compare layer by layer.

    ``counters`` are ``"fvcore"`` and ``"torch"`` (MACs) and, for what costlab builds, ``"module"``
    (params and output shapes). ``progress`` is called with what is being done. A counter that fails
    covers nothing, with its error as the reason. Imports torch; neither reads nor advances its
    random numbers.

    An ``nn.Module`` is copied, and its copy measured, on zeros of the shapes it was traced with.

    Raises what ``analyze`` raises; ``CounterError`` if the model cannot run, or not here.
    """
    names = list(dict.fromkeys(COUNTERS if counters is None else counters))
    for name in names:
        measuring(name)  # that there is one, before anything is built
    table = analyze(model, input_size, **choices)
    _check_memory(table)
    progress(f"building {table.model}")
    module, tensors = running(table)
    if counters is None and table.trace is not None:
        names.remove("module")  # it is the module itself that was traced
    checks: list[Check] = []
    versions = {}
    for name in names:
        progress(f"counting {table.model} with {name}")
        try:
            measurement = run_within(TIMEOUT, partial(measure, name, module, tensors))
        except Exception as error:  # whatever a foreign counter raises is its verdict, not ours
            reason = f"it failed with {type(error).__name__}: {error}".split("\n")[0]
            measurement = Measurement(name, "(failed)", {"macs": {}}, {"": reason})
        versions[name] = measurement.version
        checks += _checks(table, measurement)
    return CrossCheck(table, tuple(checks), versions)


def can_run(table: CostTable) -> bool:
    """Whether there is a module for other counters: not for a saved report."""
    return table.trace is not None or all(
        type(layer.op).module is not Op.module for layer in table.graph.layers
    )


def running(table: CostTable) -> tuple[nn.Module, tuple[Tensor, ...]]:
    """A module that other counters may use as they like, and its inputs, all zero."""
    from costlab.modules.block import copied, empty, inputs

    if table.trace is not None:
        return copied(table.trace)
    if not can_run(table):
        raise CounterError(
            f"{table.model} is a saved report or a part of a traced module, which other counters "
            "cannot run: cross-check the whole model"
        )
    return empty(table.graph), inputs(table.graph)


def _check_memory(table: CostTable) -> None:
    """Counters run the model for real: refuse what cannot fit in this machine's memory."""
    needed = 4 * (table.total.params + table.total.activations)
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not on this platform
        return
    if needed > memory:
        raise CounterError(
            f"{table.model} needs {formatting.scaled(needed)}B to run, this machine has "
            f"{formatting.scaled(memory)}B: count a smaller input or a part of it, or without "
            "tracing"
        )


def _checks(table: CostTable, measurement: Measurement) -> Iterable[Check]:
    if table.trace is not None:
        yield from _of_traced(table, measurement)
        return
    for quantity, values in measurement.values.items():
        for row in table.rows:
            ours, theirs = OURS[quantity](row), values.get(row.path)
            verdict, because = _judge(row, quantity, theirs, measurement.gaps)
            yield Check(row.path, measurement.counter, quantity, ours, theirs, verdict, because)


def _of_traced(table: CostTable, measurement: Measurement) -> Iterable[Check]:
    """MACs by module: calls inside a module, and its second call, are part of its number.

    A counter may see a call in another module than the one whose code makes it, such as one that is
    entered by ``.forward()``. So where a module differs, the one around it is compared.
    """
    name, values = measurement.counter, measurement.values.get("macs", {})
    ours: Counter[str] = Counter()
    for row in table.rows:
        for scope in ("", *ancestry(module_of(row.path))):
            ours[scope] += row.macs
    for row in table.rows:
        if row.contraction is None and not row.macs:
            nothing = "no multiply-adds to compare"
            because = f"costlab has no rule for {row.label}" if row.uncounted else nothing
            yield Check(row.path, name, "macs", 0, 0, "not covered", because)
            continue
        scopes = ["", *ancestry(module_of(row.path))]
        known = [scope for scope in reversed(scopes) if scope in values]
        equal = [scope for scope in known if values[scope] == ours[scope]]
        place = equal[0] if equal else known[0] if known else ""
        theirs = values.get(place)
        because = "" if place == row.path else f"with all of {place or 'the model'}"
        verdict: Verdict = "agrees" if equal else "differs"
        if theirs is None:
            verdict, because = "not covered", measurement.gaps.get("", "it saw no such module")
        elif not equal and theirs < ours[place] and any(map(measurement.gaps.get, scopes)):
            verdict = "not covered"
            because = next(filter(None, map(measurement.gaps.get, reversed(scopes))))
        elif not equal:
            because = f"it says {formatting.integer(theirs)} for {place or 'the model'}, " + (
                f"{theirs - ours[place]:+,}"
            )
        yield Check(row.path, name, "macs", ours[place], theirs, verdict, because)


def _judge(row: Row, quantity: str, theirs: Any, gaps: dict[str, str]) -> tuple[Verdict, str]:
    ours = OURS[quantity](row)
    if theirs is None:
        return "not covered", gaps.get(row.path) or gaps.get("") or "it saw no such module"
    if quantity != "macs":
        return ("agrees", "") if ours == theirs else ("differs", f"it says {_flat(theirs)}")
    if row.uncounted:
        return "not covered", f"costlab has no rule for {row.label}"
    if row.contraction is None and theirs == 0:
        return "not covered", "no multiply-adds to compare"
    if ours == theirs:
        return "agrees", ""
    if row.path in gaps and theirs < ours:
        return "not covered", gaps[row.path]
    return "differs", f"it says {formatting.integer(theirs)}, {theirs - ours:+,}"


def _head(counter: str, quantity: str) -> str:
    return counter if quantity == "macs" else _QUANTITY[quantity]


def _line(row: Row, checks: list[Check]) -> Line:
    differing = [check for check in checks if check.verdict == "differs"]
    return Line(
        (row.path, Number(row.macs, "MACs"), *(check.verdict for check in checks)),
        path=row.path,
        details=tuple(f"{_head(c.counter, c.quantity)}: {c.because}" for c in differing),
        style="bad" if differing else "",
    )


def _flat(value: Any) -> Any:
    return formatting.shape(value) if isinstance(value, tuple) else value
