"""What is said of models side by side: the verdict, their layers, their ends, who checked them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, get_args

from costlab import formatting
from costlab.alignment import Alignment, Verdict
from costlab.costs.quantity import Quantity
from costlab.costs.remarks import unknown_backward
from costlab.costs.rows import Row
from costlab.costs.table import CostTable
from costlab.graph import Graph
from costlab.graph.paths import ancestry
from costlab.render.document import Paragraph
from costlab.views.compared_parts import in_factors, known_exactly

if TYPE_CHECKING:
    from costlab.checks.crosscheck import CrossCheck

_MOST_NAMED = 6
"""So many scopes that are new or gone are named."""

_AT_THE_END = ("softmax", "log_softmax", "sigmoid", "argmax")
"""Operations behind which no convolution follows."""


def verdicts(
    labels: Sequence[str],
    names: Sequence[str],
    tables: Sequence[CostTable],
    quantities: Sequence[Quantity],
) -> Iterable[str]:
    """A sentence for each further model: how these totals compare with those of the first."""
    who = [
        label if label == name else f"{label} ({name})"
        for label, name in zip(labels, names, strict=True)
    ]
    first, *others = (
        [known_exactly(quantity, table.total) for quantity in quantities] for table in tables
    )
    headings = [quantity.heading for quantity in quantities]
    factors = in_factors(tables, quantities)
    for name, other, factor in zip(who[1:], others, factors, strict=True):
        if first == other and None not in first:
            yield f"{name} costs the same as {who[0]}: {', '.join(headings)}."
            continue
        changes = [
            "not known" if a is None or b is None else formatting.change(a, b, factor)
            for a, b in zip(first, other, strict=True)
        ]
        named = map(" ".join, zip(headings, changes, strict=True))
        yield f"{name} against {who[0]}: {', '.join(named)}."


def little_aligns(
    labels: Sequence[str], alignments: Sequence[Alignment], depth: int
) -> Iterable[str]:
    """Which models have too little in common with the first to compare parts."""
    what = "the stages" if depth == 1 else f"the parts down to depth {depth}"
    little = [name for name, a in zip(labels[1:], alignments, strict=True) if a.little]
    if little:
        yield (
            f"Little of {' and '.join(little)} aligns with {labels[0]}: only totals are compared; "
            f"{what} of each stand one below the other."
        )


def layers(
    labels: Sequence[str], tables: Sequence[CostTable], alignments: Sequence[Alignment], depth: int
) -> Iterable[str]:
    """How many layers of each further model are the same, changed, and so on.

    What is new or gone inside of a part that is one line of the table is named.
    """
    for label, table, alignment in zip(labels[1:], tables[1:], alignments, strict=True):
        inside = {
            "removed": _within_parts(tables[0], [p.first for p in alignment.pairs if not p.second]),
            "added": _within_parts(table, [p.second for p in alignment.pairs if not p.first]),
        }
        counts = []
        for verdict in get_args(Verdict):
            if number := alignment.count[verdict]:
                paths = [path for path in inside.get(verdict, ()) if path.count(".") >= depth]
                more = f" and {len(paths) - _MOST_NAMED} more" if paths[_MOST_NAMED:] else ""
                names = f" ({', '.join(paths[:_MOST_NAMED])}{more})" if paths else ""
                counts.append(f"{formatting.integer(number)} {verdict}{names}")
        if counts and not alignment.little:
            yield f"Layers of {label}: {', '.join(counts)}."


def _within_parts(table: CostTable, rows: Iterable[Row | None]) -> list[str]:
    """The largest scopes of a model that consist of these rows alone, or the rows themselves.

    Those without contractions are left out if others have some: a batch norm comes with its layer.
    """
    chosen = {row.path: bool(row.contraction) for row in rows if row}
    others = {scope for row in table.rows if row.path not in chosen for scope in ancestry(row.path)}
    scopes: dict[str, bool] = {}
    for path, contracts in chosen.items():
        scope = next(scope for scope in ancestry(path) if scope not in others)
        scopes[scope] = scopes.get(scope, False) or contracts
    main = [scope for scope, contracts in scopes.items() if contracts]
    return main or list(scopes)


def interface(labels: Sequence[str], tables: Sequence[CostTable]) -> Iterable[str]:
    """What different inputs mean for the comparison, and different outputs for the next layer."""
    if len({table.graph.entering for table in tables}) > 1:
        yield "The inputs differ: --input-size compares the models on one."
    first, *others = tables
    after: dict[tuple[int, int], list[str]] = {}
    for label, other in zip(labels[1:], others, strict=True):
        if channels := _channels(first.graph, other.graph):
            after.setdefault(channels, []).append(label)
    for (before, now), names in after.items():
        yield (
            f"A convolution after {' or '.join(names)} has {now} inputs, not {before}: "
            f"{formatting.change(before, now)} MACs and weights."
        )


def _channels(first: Graph, other: Graph) -> tuple[int, int] | None:
    """The channels of two images, one from each, that differ in nothing else."""
    if len(first.outputs) != 1 or len(other.outputs) != 1:
        return None
    (one,), (two,) = first.outputs, other.outputs
    images = len(one) == len(two) >= 4 and (one[0], *one[2:]) == (two[0], *two[2:])
    if not images or one[1] == two[1] or _ends(first) or _ends(other):
        return None
    return one[1], two[1]


def _ends(graph: Graph) -> bool:
    """Whether what it returns is probabilities or classes."""
    last = (layer for layer in graph.layers if set(layer.results) & set(graph.returns))
    return any(layer.op.label(*layer.inputs) in _AT_THE_END for layer in last)


def lower_bounds(labels: Sequence[str], tables: Sequence[CostTable]) -> Iterable[str]:
    """Which totals miss operations, or what the backward pass of layers computes."""
    for label, table in zip(labels, tables, strict=True):
        if table.total.uncounted:
            missing = formatting.plural(table.total.uncounted, "operation")
            yield f"Lower bound: {missing} of {label} without a rule, not counted."
        unknown = [row for row in table.rows if row.backward_bound]
        if table.training_cost and unknown:
            yield unknown_backward(unknown, f" of {label}")


def checked(
    labels: Sequence[str], tables: Sequence[CostTable], checks: Sequence[CrossCheck]
) -> Iterable[Paragraph]:
    """What fvcore says of the models: one sentence where it agrees on all contractions."""
    label_of = {id(table): label for label, table in zip(labels, tables, strict=True)}
    confirmed = [len(check.of("fvcore", "agrees")) for check in checks]
    if len(checks) > 1 and all(check.whole("fvcore") for check in checks):
        numbers = ", ".join(
            f"{formatting.integer(number)} of {label_of[id(check.table)]}"
            for number, check in zip(confirmed, checks, strict=True)
        )
        who = f"fvcore {checks[0].versions['fvcore']}"
        yield Paragraph(f"{who} agrees on all contractions: {numbers}.", "good")
    else:
        yield from (check.verdict("fvcore") for check in checks)


def unchecked(
    labels: Sequence[str], tables: Sequence[CostTable], checks: Sequence[CrossCheck]
) -> Iterable[str]:
    """Who was not counted by another counter."""
    checked = {id(check.table) for check in checks}
    left = [label for label, table in zip(labels, tables, strict=True) if id(table) not in checked]
    if left and checks:
        yield f"Not cross-checked by another counter: {', '.join(left)}."
    elif left:
        yield "Not cross-checked by another counter."
