"""A gate's limits and the layers that made one fail, as people read them: lines and tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from costlab import formatting
from costlab.costs.quantities import quantities
from costlab.gates.causes import Cause, Causes
from costlab.gates.limits import Judged
from costlab.render.cells import Cell, Difference, Number, Share
from costlab.render.document import Column, Element, Line, Paragraph, Style, Table

_SHOWN = 10
"""How many of the layers that made a limit fail are shown."""

_LONG = 28
"""Characters of a condition that stand beside its numbers at 80 columns."""

_OF_PARTS = {
    "and": "all of:",
    "or": "any of:",
    "==": "all or none of:",
    "!=": "one, but not both of:",
}


def lines_of(condition: Judged) -> Iterator[Line]:
    """A limit on one line; one that joins others has theirs below."""
    return _lines(condition, 1, "" if condition.holds else "bad")


def _lines(condition: Judged, level: int, failing: Style) -> Iterator[Line]:
    """``failing`` is how a line looks that does not hold."""
    text, room = _OF_PARTS.get(condition.joint, condition.text), _LONG - 2 * (level - 1)
    short = text if len(text) <= room else f"{text[: room - 1]}…"
    yield Line(
        (
            short,
            *("" if n is None else Number(n, condition.unit) for n in condition.numbers),
            "holds" if condition.holds else "fails",
        ),
        level=level,
        path="– " * (level - 1) + (condition.text if condition.parts else short),
        details=(*(() if short == text else (text,)), *filter(None, (condition.where,))),
        style="good" if condition.holds else failing,
    )
    for part in condition.parts:
        yield from _lines(part, level + 1, failing)


def sections(name: str, limits: Iterable[Judged]) -> Iterable[Element]:
    """The layers that made limits fail, once for all conditions of which they are the cause."""
    failed: dict[Causes, dict[str, None]] = {}
    for limit in limits:
        for condition in _blamed(limit):
            for causes in condition.causes:
                failed.setdefault(causes, {})[condition.text] = None
    for causes, texts in failed.items():
        yield Paragraph(f"{name}: {', '.join(texts)}", "section")
        yield from _of_causes(causes)


def _blamed(condition: Judged) -> Iterator[Judged]:
    """The comparisons of which layers are the cause: it, or those that it joins."""
    if condition.parts:
        for part in condition.parts:
            yield from _blamed(part)
    else:
        yield condition


def _of_causes(causes: Causes) -> Iterable[Element]:
    """A table of them for each quantity."""
    way, layers = causes
    for name in dict.fromkeys(cause.quantity for cause in layers):
        some = [cause for cause in layers if cause.quantity == name]
        yield Paragraph(f"{_heading(name)} of the layers that {way}:")
        yield _largest(some) if way == "are largest" else _changed(some)


def _heading(name: str) -> str:
    known = quantities(training_cost=True)
    return known[name].heading if name in known else name.replace("_", " ")


def _changed(layers: Sequence[Cause]) -> Table:
    lines = []
    for cause in layers[:_SHOWN]:
        before, now = cause.derivation_before, cause.derivation
        both = (f"baseline: {before}", f"now: {now}")
        details = both if before and now else tuple(filter(None, (before, now)))
        lines.append(Line((cause.path, *_numbers(cause)), path=cause.path, details=details))
    if left := layers[_SHOWN:]:
        lines.append(Line((f"{formatting.plural(len(left), 'layer')} more", *_numbers(_sum(left)))))
    heads = (Column("layer", right=False), *map(Column, ("baseline", "now", "difference")))
    return Table(heads, tuple(lines), "derivation")


def _numbers(cause: Cause) -> tuple[Cell, ...]:
    before, now = ("-" if n is None else Number(n, cause.unit) for n in (cause.before, cause.now))
    return before, now, Difference(cause.before or 0, cause.now or 0, cause.unit)


def _largest(layers: Sequence[Cause]) -> Table:
    whole = sum(cause.now or 0 for cause in layers)
    lines = [
        Line(
            (cause.path, Number(cause.now, cause.unit), Share(cause.now, whole)),
            path=cause.path,
            details=(cause.derivation,) if cause.derivation else (),
        )
        for cause in layers[:_SHOWN]
    ]
    if left := layers[_SHOWN:]:
        more, unit = _sum(left).now, layers[0].unit
        words = f"{formatting.plural(len(left), 'layer')} more"
        lines.append(Line((words, Number(more, unit), Share(more, whole))))
    heads = (Column("layer", right=False), Column("now"), Column("share"))
    return Table(heads, tuple(lines), "derivation")


def _sum(layers: Sequence[Cause]) -> Cause:
    now, before = (
        sum(n or 0 for n in numbers)
        for numbers in zip(*((c.now, c.before) for c in layers), strict=True)
    )
    return Cause(layers[0].quantity, "", now, before, "", "")
