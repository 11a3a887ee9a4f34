"""What a network holds in memory, as a result."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from costlab import formatting
from costlab.costs.remarks import NO_OPERATION
from costlab.footprint.beside import sentence
from costlab.graph.op import Shape
from costlab.render.cells import Cell, Number
from costlab.render.document import Column, Document, Line, Page, Paragraph, Record, Table, Units
from costlab.render.result import Result

if TYPE_CHECKING:
    from costlab.footprint.fits import Fits
    from costlab.footprint.run import Held
    from costlab.footprint.timeline import LayerMemory, Moment, Timeline

SHOWN = 8
"""How many of those who hold something at the peak are shown."""
_BAR = 16
"""How long the bar of the peak is."""

_DEFINITIONS = (
    "peak_tensors_bytes: the most bytes of tensors that are there at once, of those that the run "
    "makes, or lets go of: what layers give, what is kept for the backward pass, gradients, what "
    "is there for a moment",
    "buffers_bytes: buffers, and what else the model holds that is no parameter, registered or not",
    "peak_bytes: peak_tensors_bytes, params_bytes, buffers_bytes, inputs_bytes and optimizer_bytes "
    "together",
    "saved_bytes: what is kept for the backward pass when it begins, without params, buffers and "
    "inputs",
    "read_bytes, written_bytes: what operations read and write, forward and backward, each by "
    "itself",
    "what an allocator or a kernel takes beside tensors is not in it: beside names it",
)


@dataclass(frozen=True, repr=False)
class Memory(Result):
    """The bytes that one run of a network holds, or one step of its training."""

    model: str
    held: Held
    input: tuple[Shape, ...]
    training: bool
    optimizer: str
    dtype: str
    optimizer_bytes: int
    fits: Fits | None = None
    depth: int | None = None
    round_to: int = 1

    @property
    def timeline(self) -> Timeline:
        """What was held when."""
        return self.held.timeline

    @property
    def total(self) -> dict[str, int]:
        """The bytes of the whole, by what they are of."""
        timeline, moved = self.timeline, self.timeline.all_moved
        there = {
            "params_bytes": self.held.params,
            "buffers_bytes": self.held.buffers,
            "inputs_bytes": self.held.inputs,
            "optimizer_bytes": self.optimizer_bytes,
        }
        return {
            **there,
            "gradients_bytes": timeline.gradients,
            "saved_bytes": timeline.saved,
            "read_bytes": moved.read,
            "written_bytes": moved.written,
            "peak_tensors_bytes": timeline.peak,
            "peak_bytes": timeline.peak + sum(there.values()),
        }

    @property
    def peak_bytes(self) -> int:
        """All that is there at the peak."""
        return self.total["peak_bytes"]

    @property
    def complete(self) -> bool:
        """Whether the memory of every tensor is known; else the peak is a lower bound."""
        return not self.held.unseen

    def to_depth(self, depth: int | None) -> Memory:
        """The same, exported by scopes of that depth."""
        return replace(self, depth=depth)

    def headline(self) -> str:
        at_least = "" if self.complete else "at least "
        return (
            f"{self.model}: peak {at_least}{_scaled(self.peak_bytes) or f'{self.peak_bytes} bytes'}"
        )

    def document(self) -> Document:
        return (
            Paragraph(self.model, "title"),
            Paragraph(f"{self._run()} on input {formatting.shapes(self.input)}"),
            self._totals(),
            *(self.fits.document() if self.fits else ()),
            *(self._by_layer() if self.timeline.moments else (Paragraph(NO_OPERATION),)),
            *self._remarks(),
        )

    def _by_layer(self) -> Document:
        """What was there at the peak, and while each layer worked."""
        place = _place(self.timeline.peak_moment)
        return (
            Paragraph(f"The peak is at {place}, when these hold tensors:"),
            self._holders(),
            Paragraph("Layer by layer:"),
            self._layers(),
        )

    def page(self) -> Page:
        from costlab.footprint.chart import levels  # where a page is written

        title, run, *rest = self.document()
        if not self.timeline.moments:
            return (title, run, *rest)
        heading = f"Bytes of tensors of {self.model} while each layer works"
        if self.training:
            heading += ", forward and then backward"
        return (title, run, levels(self.timeline, heading, self.depth, self.training), *rest)

    def _run(self) -> str:
        run = "One run in evaluation mode"
        if self.training:
            run = f"One training step with {self.optimizer}"
        return f"{run}, in {self.dtype}," if self.dtype else f"{run},"

    def _totals(self) -> Table:
        held, timeline = self.held, self.timeline
        at_least = not self.complete
        rows: list[tuple[str, int, bool]] = [
            ("params", held.params, "params" in held.bounds),
            ("buffers", held.buffers, "buffers" in held.bounds),
            ("inputs", held.inputs, "inputs" in held.bounds),
            *([(f"state of {self.optimizer}", self.optimizer_bytes, False)] * self.training),
            ("tensors of the run, at the peak", timeline.peak, at_least),
        ]
        moved = timeline.all_moved
        inside = [("read by all operations", moved.read), ("written by them", moved.written)]
        if self.training:
            inside[:0] = [
                ("gradients of params, at the end", timeline.gradients),
                ("kept for backward, when it begins", timeline.saved),
            ]
        lines = [
            Line((name, Number(size, "bytes", bound), _scaled(size))) for name, size, bound in rows
        ]
        total = self.peak_bytes
        lines.append(
            Line(("peak of all", Number(total, "bytes", at_least), _scaled(total)), style="strong")
        )
        lines += [
            Line((f"({name})", Number(size, "bytes"), _scaled(size)), style="dim")
            for name, size in inside
        ]
        return Table((Column("memory", right=False), Column("bytes"), Column("")), tuple(lines))

    def _holders(self) -> Table:
        holders = self.timeline.holders(self.depth)
        lines = []
        for holder in holders[:SHOWN]:
            cells: list[Cell] = [holder.path or "(the model)", Number(holder.bytes, "bytes")]
            if self.training:
                cells += [Number(holder.saved, "bytes"), Number(holder.gradients, "bytes")]
            lines.append(Line(tuple(cells)))
        rest = holders[SHOWN:]
        if rest:
            sums = [sum(column) for column in list(zip(*rest, strict=True))[1:]]
            sums = sums if self.training else sums[:1]
            name = f"{len(rest)} more"
            lines.append(Line((name, *(Number(number, "bytes") for number in sums)), style="dim"))
        columns = [Column("made by", right=False), Column("bytes")]
        if self.training:
            columns += [Column("kept for backward"), Column("gradients of params")]
        return Table(tuple(columns), tuple(lines))

    def _layers(self) -> Table:
        peak = self.timeline.peak
        lines = []
        for layer in self.timeline.layers(self.depth):
            most = max(layer.live, layer.live_backward or 0)
            sizes = [layer.outputs, layer.live]
            if self.training:
                sizes = [layer.saved, layer.live, layer.live_backward or 0]
            bar = "█" * -(-most * _BAR // peak) if peak else ""
            cells = [Number(size, "bytes") for size in sizes]
            more = [Number(layer.params, "bytes"), Number(layer.inputs, "bytes")]
            more += [Number(layer.outputs, "bytes")] * self.training
            more += [Number(layer.read, "bytes"), Number(layer.written, "bytes")]
            lines.append(Line((layer.path or "(the model)", *cells, bar, *more)))
        columns = [Column("outputs"), Column("live")]
        if self.training:
            columns = [Column("kept"), Column("live"), Column("backward")]
        more_columns = [Column("params", priority=2), Column("inputs", priority=3)]
        more_columns += [Column("outputs", priority=1)] * self.training
        more_columns += [Column("read", priority=4), Column("written", priority=5)]
        return Table(
            (
                Column("layer", right=False),
                *columns,
                Column("most live", right=False, priority=1),
                *more_columns,
            ),
            tuple(lines),
        )

    def _remarks(self) -> list[Paragraph]:
        remarks = []
        for path, why in self.held.unseen:
            remarks.append(Paragraph(f"At least, for {path or 'the model'}: {why}.", "bad"))
        if self.held.params_not_read:
            size = formatting.integer(self.held.params_not_read)
            remarks.append(
                Paragraph(
                    f"Of the params {size} bytes are held, and nothing reads them: costlab show "
                    "does not count these."
                )
            )
        if self.round_to > 1:
            size = formatting.integer(self.round_to)
            remarks.append(Paragraph(f"Each piece of memory is rounded up to {size} bytes."))
        remarks.append(Paragraph(sentence(self.held.beside), "dim"))
        remarks.append(
            Paragraph(
                "Bytes of tensors, exactly. live = all that the run has made and not let go, at "
                "most, while the layer works"
                + (
                    ", forward and backward; kept = what it keeps for its backward pass."
                    if self.training
                    else "; outputs = what later layers read, or the network returns."
                ),
                "dim",
            )
        )
        return remarks

    def records(self) -> list[Record]:
        return [_record(layer) for layer in self.timeline.layers(self.depth)]

    def data(self) -> dict[str, Any]:
        moment = self.timeline.peak_moment
        data: dict[str, Any] = {
            "model": self.model,
            "input": [list(shape) for shape in self.input],
            "output": [list(shape) for shape in self.held.output],
            "training": self.training,
            "optimizer": self.optimizer,
            "dtype": self.dtype,
            "round_to": self.round_to,
            "total": self.total,
            "complete": self.complete,
            "unseen": [{"path": path, "why": why} for path, why in self.held.unseen],
            "beside": [entry._asdict() for entry in self.held.beside],
            "peak": {
                "path": moment.path,
                "phase": _phase(moment),
                "holders": [
                    {
                        "path": holder.path,
                        "bytes": holder.bytes,
                        "saved_bytes": holder.saved,
                        "gradients_bytes": holder.gradients,
                    }
                    for holder in self.timeline.holders(self.depth)
                ],
            },
            "rows": self.records(),
        }
        if self.fits is not None:
            data["fits"] = self.fits.data()
        return data

    def units(self) -> Units:
        return Units(definitions=_DEFINITIONS)


def _record(layer: LayerMemory) -> Record:
    return {
        "path": layer.path,
        "params_bytes": layer.params,
        "buffers_bytes": layer.buffers,
        "inputs_bytes": layer.inputs,
        "outputs_bytes": layer.outputs,
        "saved_bytes": layer.saved,
        "read_bytes": layer.read,
        "written_bytes": layer.written,
        "live_bytes": layer.live,
        "backward_live_bytes": layer.live_backward,
    }


def _phase(moment: Moment) -> str:
    return "backward" if moment.backward else "forward"


def _place(moment: Moment) -> str:
    return f"{moment.path or 'the model'}, {_phase(moment)}"


def _scaled(size: int) -> str:
    """``105 MB``; nothing for what is short as it is."""
    return f"{formatting.scaled(size)}B" if size >= 1000 else ""
