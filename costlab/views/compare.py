"""Models side by side: their totals, what differs, and the verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, overload

from costlab.alignment import AlignedPart, Alignment, align, align_parts
from costlab.costs.quantities import More, legend
from costlab.costs.quantity import Quantity
from costlab.costs.remarks import of_each_run, of_sums, remarks
from costlab.costs.result import CostResult
from costlab.costs.table import CostTable, analyze
from costlab.errors import ChoiceError, blaming
from costlab.graph.sizes import InputSize, Sizes
from costlab.models.arguments import keywords_of, sizes_of
from costlab.models.reference import Model, reference
from costlab.render.cells import Number, text_of
from costlab.render.document import Document, Page, Paragraph, Record
from costlab.views.compared_parts import (
    IN_ALL,
    IN_TOTALS,
    ComparedParts,
    compared_quantities,
    totals,
)
from costlab.views.compared_words import (
    checked,
    interface,
    layers,
    little_aligns,
    lower_bounds,
    unchecked,
    verdicts,
)
from costlab.views.labels import labels_of, legend_of, names_of

if TYPE_CHECKING:
    from costlab.checks.crosscheck import CrossCheck
    from costlab.costs.rows import Row
    from costlab.formulas.compared import ComparedFormulas
    from costlab.formulas.formula import Formula
    from costlab.roofline.bounds import Roofline


@dataclass(frozen=True, repr=False)
class Comparison(CostResult):
    """Cost tables side by side; differences are to the first. ``checks`` are fvcore's verdicts.

    ``given`` are labels for the models in place of A, B, C, ``written`` what they were asked for by
    (``""`` for one that was no text); ``everything`` shows what is the same too, and every
    quantity. With a ``roofline`` it says what they take at least on that device.
    """

    tables: tuple[CostTable, ...]
    checks: tuple[CrossCheck, ...] = ()
    depth: int = 1
    given: tuple[str, ...] = ()
    everything: bool = False
    roofline: Roofline | None = None
    written: tuple[str, ...] = ()

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The models' names, and more of each where the name alone does not tell them apart."""
        return names_of(self.tables, self.written)

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """What stands for each model in tables: its name if it is short, else a letter."""
        return labels_of(self.names, self.given)

    @cached_property
    def alignments(self) -> tuple[Alignment, ...]:
        """The layers of each other model beside those of the first."""
        return tuple(align(self.tables[0], table) for table in self.tables[1:])

    @cached_property
    def branches(self) -> tuple[AlignedPart, ...]:
        """The parts of the models down to ``depth``, matched by the layers that they contain."""
        return align_parts(self.tables, self.alignments, self.depth)

    @property
    def training_cost(self) -> bool:
        """Whether it compares what a training step costs, too: all of its tables say that."""
        return all(table.training_cost for table in self.tables)

    @property
    def more(self) -> More:
        return self.tables[0].more

    @property
    def complete(self) -> bool:
        """Whether every operation of every model has been counted."""
        return all(table.complete for table in self.tables)

    @property
    def remark(self) -> str:
        return " ".join(self._runs)

    @property
    def _runs(self) -> list[str]:
        graphs = (table.graph for table in self.tables)
        return of_each_run(dict(zip(self.names, graphs, strict=True)))

    @property
    def title(self) -> str:
        if self._is_itself:
            return f"{self.tables[0].model} vs itself"
        both = zip_longest(self.given, self.names, fillvalue="")
        names = " vs ".join(label or name for label, name in both)
        return names if len(names) <= 76 else " vs ".join(self.labels)

    @property
    def _is_itself(self) -> bool:
        """Whether it is two times one model, or one that nobody could tell from it."""
        of = {(table.model, table.graph.entering) for table in self.tables}
        one = len(self.tables) == 2 and len(of) == 1 and len(set(self.written)) < 2
        return one and set(self.alignments[0].count) == {"same"}

    def headline(self) -> str:
        macs = [Number(t.total.macs, "", not t.complete, "auto") for t in self.tables]
        return f"{self.title}: {' vs '.join(map(text_of, macs))} MACs"

    def __iter__(self) -> Iterator[CostTable]:
        return iter(self.tables)

    def __len__(self) -> int:
        return len(self.tables)

    def document(self) -> Document:
        return (Paragraph(self.title, "title"), *self.body())

    def page(self) -> Page:
        from costlab.views.compared_page import page_of  # where a page is written

        return page_of(self)

    def body(self) -> Document:
        """All but the title: the totals first, and at the end the verdict."""
        others = [alignment.little for alignment in self.alignments]
        little = (all(others), *others)
        params = tuple(table.total.params for table in self.tables)
        parts = ComparedParts(
            self.branches,
            self.labels,
            params,
            little,
            self.everything,
            self.training_cost,
            self.more,
        )
        return (
            *map(Paragraph, legend_of(self.labels, self.names, self.tables)),
            totals(self.labels, self.tables, self._quantities(IN_TOTALS), self._in_verdict),
            *(Paragraph(text, "bad") for text in lower_bounds(self.labels, self.tables)),
            *remarks(self._runs),
            *map(Paragraph, little_aligns(self.labels, self.alignments, self.depth)),
            *parts.blocks(),
            *remarks([of_sums(self._shown_rows())]),
            *map(Paragraph, interface(self.labels, self.tables)),
            Paragraph(self._legend(), "dim"),
            *checked(self.labels, self.tables, self.checks),
            *map(Paragraph, unchecked(self.labels, self.tables, self.checks)),
            *map(Paragraph, layers(self.labels, self.tables, self.alignments, self.depth)),
            *map(Paragraph, self._on_a_device()),
            *self.verdicts(),
        )

    def _shown_rows(self) -> Iterator[Row]:
        """The layers that stand on a line of their own, with their derivation."""
        for branch in self.branches:
            if self.everything or set(branch.verdicts) != {"same"}:
                for part in branch.costs:
                    yield from part.rows if part and part.derivation else ()

    def records(self) -> list[Record]:
        from costlab.views.compared_data import records_of  # tables do not wait for it

        return records_of(self)

    def data(self) -> dict[str, Any]:
        from costlab.views.compared_data import data_of

        return data_of(self)

    def _quantities(self, up_to: int) -> list[Quantity]:
        up_to = IN_ALL if self.everything else up_to
        return compared_quantities(up_to, self.training_cost, self.more)

    def _legend(self) -> str:
        names = [quantity.name for quantity in self._quantities(IN_TOTALS)]
        return legend(names, self.training_cost, self.more)

    def verdicts(self) -> list[Paragraph]:
        """How the totals of each further model compare with those of the first."""
        sentences = verdicts(self.labels, self.names, self.tables, self._in_verdict)
        return [Paragraph(text, "strong") for text in sentences]

    @property
    def _in_verdict(self) -> list[Quantity]:
        return compared_quantities(IN_TOTALS, self.training_cost, self.more)

    def _on_a_device(self) -> Iterable[str]:
        """What the models take at least on a device, if one is given, and what that says."""
        if self.roofline is None:
            return ()
        from costlab.roofline.side_by_side import side_by_side  # where it was asked for

        return side_by_side(self.labels, self.tables, self.roofline)


@overload
def compare(one: Formula, two: Formula, /) -> ComparedFormulas: ...


@overload
def compare(*models: Model | CostTable, **how: Any) -> Comparison: ...


def compare(
    *models: Any,
    input_size: InputSize | None = None,
    depth: int = 1,
    trace: bool = True,
    names: Sequence[str] = (),
    everything: bool = False,
    training_cost: bool = False,
    device: str = "",
    dtype: str = "",
    progress: Callable[[str], None] = lambda step: None,
    **how: Any,
) -> Comparison | ComparedFormulas:
    """Compare two or more models: totals, and what differs; differences are to the first.

    A model is what ``analyze`` takes, or a ``CostTable``; two formulas are compared for all values
    of their symbols (see `Formula.compared`). ``input_size`` is for those that have no
    input yet; without it they get that of a saved report or table that stands beside them, which
    must be that input if it is given.
    ``depth`` is how deep to go into nested scopes, ``everything`` shows what is the same too, and
    ``training_cost`` compares what a training step costs, too, ``device`` and ``dtype`` what the
    models take at least there (see ``costlab.bounds``); ``names`` are labels for the models, ``""``
    for one without. ``trace`` lets fvcore count each
    model too, which imports torch; a saved report cannot be. ``how`` is ``input_type``,
    ``training``, ``real`` and ``method``, as ``analyze`` has them, for those that are modules or
    code. Raises what ``analyze`` raises, and ``ChoiceError`` for fewer than two models.
    """
    if len(models) == 2 and all(hasattr(model, "compared") for model in models):  # formulas
        return models[0].compared(models[1])  # type: ignore[no-any-return]
    if len(models) < 2:
        raise ChoiceError("compare takes two or more models, such as: naive reduced")
    size: Any = input_size  # with its batch apart, which an error may be about
    if input_size is not None and not isinstance(input_size, Sizes):
        size = sizes_of(input_size)
    roofline = more = None
    if device or dtype:
        from costlab.roofline.quantity import on_device  # others do not wait for it

        roofline, more = on_device(device, dtype)
    known = [None if isinstance(model, CostTable) else reference(model) for model in models]
    accepted = [model.accepts if model else frozenset() for model in known]
    sized = any("input size" in accepts for accepts in accepted)
    followed = any("run" in accepts for accepts in accepted)
    beside: dict[str, Any] = {}
    only_batch = isinstance(size, Sizes) and not (size.positional or size.named)
    if sized and size is not None:
        from costlab.views.compared_inputs import require_on  # names of the catalog do not wait

        for model, accepts in zip(models, accepted, strict=True):
            if "input size" not in accepts:
                require_on(size, model)
    if followed and (size is None or only_batch) and how.get("inputs") is None:
        from costlab.views.compared_inputs import input_beside

        beside = input_beside(models, known)
    tables = []
    with keywords_of(how, compare, analyze):
        for model, accepts in zip(models, accepted, strict=True):
            given = how if "run" in accepts or not followed else {}
            if "run" in accepts and "no input" not in accepts and beside:
                given = {**beside, **given}
            elif size is not None and ("input size" in accepts or not sized):
                given = {"input_size": size, **given}
            with blaming(model if isinstance(model, str) else ""):
                table = analyze(model, training_cost=training_cost, **given)
                tables.append(replace(table, more=more) if more else table)
    checks = _checks(tables, progress) if trace else ()
    written = tuple(model if isinstance(model, str) else "" for model in models)
    return Comparison(tuple(tables), checks, depth, tuple(names), everything, roofline, written)


def _checks(tables: Iterable[CostTable], progress: Callable[[str], None]) -> tuple[CrossCheck, ...]:
    """What fvcore says of those that can run."""
    from costlab.checks.crosscheck import crosscheck  # what is not checked does not wait for it
    from costlab.checks.runnable import can_run

    return tuple(
        crosscheck(table, counters=["fvcore"], progress=progress)
        for table in tables
        if can_run(table)
    )
