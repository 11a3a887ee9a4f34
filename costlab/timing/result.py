"""Measured times beside bounds, as a result."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from costlab import formatting
from costlab.render.cells import Number
from costlab.render.document import Column, Document, Line, Page, Paragraph, Record, Table, Units
from costlab.render.result import Result
from costlab.roofline.this import THIS
from costlab.timing.timed import LayerTime, Timed

if TYPE_CHECKING:
    from costlab.render.plots import Spans
    from costlab.timing.samples import Interval

_DEFINITIONS = (
    "median_ns, low_ns and high_ns: the median of the runs of one call and its 95 % interval, in "
    "nanoseconds; what differs from call to call is not in the interval",
    "ratio: how many times as long as the first model, of pairs of runs in one round",
    "least_ns: what it takes at least on the device (costlab bounds --device)",
    "peak_bytes: the most that the process, with all models, has in memory in a run; on CUDA the "
    "most that torch has allocated of the device's",
)


@dataclass(frozen=True, repr=False)
class Timing(Result):
    """The times of models that ran in turns.

    ``machine`` is the processor that they ran on, ``device`` what bounds are of: ``this`` if that
    was measured, else a device of the ledger or of a file.
    """

    timed: tuple[Timed, ...]
    on: str
    threads: int
    machine: str
    device: str
    versions: Mapping[str, str]
    notes: tuple[str, ...]
    depth: int | None = None
    against: tuple[str, ...] = ()
    """How that compares with a timing that was saved."""

    @property
    def below_bound(self) -> tuple[str, ...]:
        """What was faster than its bound: a fault in the bound, or in the rates of the device."""
        whole = [timed.model for timed in self.timed if 0 < timed.factor < 1]
        parts = [
            f"{timed.model}/{layer.path}"
            for timed in self.timed
            for layer in timed.layers
            if 0 < layer.factor < 1
        ]
        return (*whole, *parts)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What makes the numbers weaker than they look, and what was faster than its bound."""
        if self.device == THIS:
            fault = "was faster than its bound: a fault in it, please report."
        else:
            fault = (
                f"was faster than its bound by the rates of {self.device}: is it one, and what do "
                "its rates leave out (docs/time.md)?"
            )
        return (*self.notes, *(f"{name} {fault}" for name in self.below_bound))

    def made_with(self) -> Mapping[str, str]:
        return {"torch": self.versions["torch"].partition("+")[0]}

    def headline(self) -> str:
        return next(self._verdicts())

    def document(self) -> Document:
        names = ", ".join(timed.model for timed in self.timed)
        return (
            Paragraph(f"Time of {names}", "title"),
            Paragraph(
                f"On {self.machine}; {self._used()}, torch {self.versions['torch']}, evaluation "
                "mode, runs in turns."
            ),
            Paragraph(self._inputs()),
            self._table(),
            *(block for timed in self.timed if timed.layers for block in self._layers(timed)),
            *(Paragraph(text) for text in self._verdicts()),
            *(Paragraph(text) for text in self.against),
            *(Paragraph(text, "bad") for text in self.warnings),
            Paragraph(
                f"at least = the whole fused, at the rates of {self._rates()}; [..] = where the "
                "median is with 95 % confidence, of runs in this call.",
                "dim",
            ),
            Paragraph(
                "Another call may well be outside of [..]: clocks, other programs and the place in "
                "memory change between calls. Compare models in one call, where they take turns, "
                "and repeat it to see how much times vary.",
            ),
        )

    def _inputs(self) -> str:
        """What each ran on: once where that is the same."""
        texts = {timed.model: formatting.shapes(timed.inputs) or "none" for timed in self.timed}
        if len(set(texts.values())) == 1:
            return f"input {next(iter(texts.values()))}"
        return "; ".join(f"{model}: input {text}" for model, text in texts.items())

    def _used(self) -> str:
        return formatting.plural(self.threads, "thread") if self.on == "cpu" else self.on

    def _rates(self) -> str:
        if self.device == THIS:
            return f"this machine (costlab devices {THIS}:{self.on})"
        from costlab.devices.files import devices  # read when it is shown

        listed = any(device.id == self.device for device in devices())  # else it is of a file
        return f"{self.device} (costlab devices {self.device})" if listed else self.device

    def page(self) -> Page:
        blocks = self.document()
        after = 1 + blocks.index(self._table())
        return (*blocks[:after], *self._spans(), *blocks[after:])

    def _spans(self) -> Iterator[Spans]:
        """Intervals beside bounds: of the models, and of the layers of each."""
        from costlab.render.plots import Span, Spans  # where a page is written

        def span(label: str, timed: Timed | LayerTime) -> Span:
            time = timed.time
            text = _seconds(time.median)
            return Span(label, text, time.low, time.median, time.high, float(timed.bound.seconds))

        yield Spans("Time of each model", tuple(span(timed.model, timed) for timed in self.timed))
        for timed in self.timed:
            if timed.layers:
                layers = tuple(span(layer.path, layer) for layer in timed.layers)
                yield Spans(f"Time of each layer of {timed.model}, alone", layers)

    def _verdicts(self) -> Iterator[str]:
        first, *others = self.timed
        if not others:
            bound = f", {_factor(first.factor)} times its bound" if first.bound.least else ""
            yield f"{first.model} takes {_text(first.time)}{bound}."
        for timed in others:
            macs = f", for {_ratio(timed.macs, first.macs)} of its MACs" if first.macs else ""
            yield (
                f"{timed.model} takes {timed.ratio.median:.2f} [{timed.ratio.low:.2f}, "
                f"{timed.ratio.high:.2f}] of {first.model}'s time{macs}."
            )

    def _table(self) -> Table:
        return Table(
            (
                Column("model", right=False),
                Column("median"),
                Column("95 %", right=False),
                Column("runs", priority=1),
                Column("at least"),
                Column("factor"),
                Column("MACs"),
                Column("peak memory", priority=2),
            ),
            tuple(
                Line(
                    (
                        timed.model,
                        _seconds(timed.time.median),
                        f"[{_seconds(timed.time.low)}, {_seconds(timed.time.high)}]",
                        Number(timed.runs),
                        formatting.seconds(timed.bound.seconds),
                        _factor(timed.factor) if timed.bound.least else "",
                        Number(timed.macs, "MACs"),
                        "" if timed.peak is None else f"{formatting.scaled(timed.peak)}B",
                    )
                )
                for timed in self.timed
            ),
        )

    def _layers(self, timed: Timed) -> Iterable[Paragraph | Table]:
        groups: dict[str, list[LayerTime]] = {}
        for layer in timed.layers:
            path = ".".join(layer.path.split(".")[: self.depth])
            groups.setdefault(path, []).append(layer)
        lines = []
        for path, members in groups.items():
            measured, low, high = (
                sum(ends) for ends in zip(*(layer.time for layer in members), strict=True)
            )
            least = sum((layer.bound.seconds for layer in members), Fraction(0))
            lines.append(
                Line(
                    (
                        path,
                        _seconds(measured),
                        f"[{_seconds(low)}, {_seconds(high)}]",
                        formatting.seconds(least),
                        _factor(measured / float(least)) if least else "",
                        members[0].bound.binds if len(members) == 1 else "",
                        Number(sum(layer.bound.macs for layer in members), "MACs"),
                    ),
                    path=path,
                )
            )
        together = sum(layer.time.median for layer in timed.layers)
        outside = timed.macs - sum(layer.bound.macs for layer in timed.layers)
        yield Paragraph(
            f"{timed.model}, each layer alone: {_seconds(together)} together; the whole takes "
            f"{_seconds(timed.time.median)}. The difference is what forward computes outside of "
            f"layers{f' ({outside:,} MACs)' if outside else ''}, and that a layer alone finds its "
            "tensors in a cache, or the machine as it was some seconds later."
        )
        yield Table(
            (
                Column("layer", right=False),
                Column("median"),
                Column("95 %", right=False, priority=1),
                Column("at least"),
                Column("factor"),
                Column("binds", right=False),
                Column("MACs"),
            ),
            tuple(lines),
        )

    def records(self) -> list[Record]:
        return [
            {
                "model": timed.model,
                "path": path,
                "macs": macs,
                **_numbers(time),
                "least_ns": bound.least // 1000,
                "binds": bound.binds,
            }
            for timed in self.timed
            for path, macs, time, bound in (
                ("", timed.macs, timed.time, timed.bound),
                *((part.path, part.bound.macs, part.time, part.bound) for part in timed.layers),
            )
        ]

    def data(self) -> dict[str, Any]:
        return {
            "machine": self.machine,
            "device": self.device,
            "on": self.on,
            "threads": self.threads,
            "versions": dict(self.versions),
            "notes": list(self.notes),
            "against": list(self.against),
            "below_bound": list(self.below_bound),
            "models": [
                {
                    "model": timed.model,
                    "input": [list(shape) for shape in timed.inputs],
                    "macs": timed.macs,
                    "runs": timed.runs,
                    **_numbers(timed.time),
                    "ratio": list(timed.ratio),
                    "least_ns": timed.bound.least // 1000,
                    "binds": timed.bound.binds,
                    "peak_bytes": timed.peak,
                }
                for timed in self.timed
            ],
            "rows": self.records(),
        }

    def units(self) -> Units:
        return Units(definitions=_DEFINITIONS)


def _numbers(time: Interval) -> dict[str, int]:
    names = ("median_ns", "low_ns", "high_ns")
    return dict(zip(names, (round(value * 10**9) for value in time), strict=True))


def _seconds(value: float) -> str:
    return formatting.seconds(Fraction(value))


def _factor(value: float) -> str:
    """``1,816.23``; something is never shown as nothing."""
    return f"{value:,.2f}" if value >= 0.01 else f"{value:.1g}"


def _text(time: Interval) -> str:
    return f"{_seconds(time.median)} [{_seconds(time.low)}, {_seconds(time.high)}]"


def _ratio(part: int, whole: int) -> str:
    return f"{part / whole:.2f}"
