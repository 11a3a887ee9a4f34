"""Sentences about a table's numbers: its total, and what the total misses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from costlab import formatting
from costlab.costs.rows import Group, Row
from costlab.graph import Graph
from costlab.render.document import Paragraph

NO_OPERATION = (
    "It calls no operation: nothing is computed between its inputs and what it returns, so there "
    "is nothing to count."
)

Tensors: TypeAlias = tuple[tuple[str, int], ...]
"""Names and elements."""


def summary(total: Group, graph: Graph) -> Iterable[Paragraph]:
    """The total in a sentence, and what it misses, if anything."""
    uncounted = [row for row in total.rows if row.uncounted]
    yield from lower_bound(uncounted, "Shares are of what is counted.")
    if graph.unused:
        yield Paragraph(f"Not counted, since nothing reads them: {_params(graph.unused)}.")
    if graph.unregistered:
        yield Paragraph(
            f"No params, since no module has registered them: {_params(graph.unregistered)}. "
            "model.parameters() lacks them too: layers in a plain list belong into an "
            "nn.ModuleList, tensors into an nn.ParameterList.",
            "bad",
        )
    at_least, further = ("At least ", "at least ") if total.uncounted else ("", "")
    yield Paragraph(
        f"{at_least}{formatting.both(total.macs, 'MACs')}, "
        f"{formatting.both(total.params, 'params')}{trained(total)}, "
        f"{further}{formatting.plural(total.flops, 'FLOP')} = "
        f"2·MACs + {formatting.plural(total.other, 'other op')}."
    )


def of_training(total: Group) -> Iterable[Paragraph]:
    """What a training step costs in a sentence, and what it misses, if anything."""
    unknown = [row for row in total.rows if row.backward_bound]
    if unknown:
        yield Paragraph(unknown_backward(unknown), "bad")
    at_least = "at least " if unknown or total.uncounted else ""
    yield Paragraph(
        f"A training step takes {at_least}{formatting.both(total.training_macs, 'MACs')}: forward, "
        f"{formatting.integer(total.input_gradient_macs)} for the gradients of inputs, "
        f"{formatting.integer(total.weight_gradient_macs)} for those of parameters."
    )
    no_rule = [row for row in total.rows if row.backward_ops_bound]
    if total.backward_ops_bound == "unknown":
        return
    at_least = "at least " if no_rule or total.uncounted else ""
    missing = ""
    if no_rule:
        of_kinds = ", ".join(dict.fromkeys(row.label for row in no_rule))
        number = formatting.plural(len(no_rule), "layer")
        missing = f" Not in it, without a rule: the backward pass of {number} ({of_kinds})."
    yield Paragraph(
        f"Other operations: {at_least}{formatting.integer(total.training_other)}: "
        f"{formatting.integer(total.other)} forward, "
        f"{formatting.integer(total.input_gradient_other)} for the gradients of inputs, "
        f"{formatting.integer(total.weight_gradient_other)} for those of parameters.{missing}"
    )


def unknown_backward(unknown: Sequence[Row], of_model: str = "") -> str:
    """What is not known of a training step, and why it may be so."""
    number = formatting.plural(len(unknown), "layer")
    return (
        f"Lower bound: what the backward pass of {number}{of_model} computes is not known (first "
        f"{unknown[0].path}): it has no rule, is code of the user's own, or is in a report "
        "that was saved without --training-cost."
    )


def of_the_run(graph: Graph) -> str:
    """Whether values were computed, and which decided what is here; nothing if neither.

    Of a network without any operation, that there is none.
    """
    if not graph.layers:
        return NO_OPERATION
    if not graph.decisions:
        return "Run on real tensors, of which no values were asked." if graph.real else ""
    times = formatting.plural(len(graph.decisions), "place")
    names = dict.fromkeys(name for decision in graph.decisions for name in decision.inputs)
    whose = f"Values of {', '.join(names)}" if names else "Values"
    first = graph.decisions[0]
    return (
        f"{'Run on real tensors. ' if graph.real else ''}{whose} decided what is computed, at "
        f"{times}: other values may cost something else. The first: {first.question} at "
        f"{first.where}."
    )


def of_each_run(graphs: Mapping[str, Graph]) -> list[str]:
    """The same of several graphs, each by its name."""
    texts = {name: of_the_run(graph) for name, graph in graphs.items()}
    return [f"{name}: {text}" for name, text in texts.items() if text]


def how_it_was_run(graph: Graph) -> dict[str, Any]:
    """The same for JSON."""
    decided = [decision._asdict() for decision in graph.decisions]
    return {"real": graph.real, "decided": decided}


def of_sums(rows: Iterable[Row]) -> str:
    """What a factor of a derivation is where it is a sum itself, as in attention; or nothing."""
    sums = {}
    for row in rows:
        if row.contraction and any("+" in name for name in row.contraction.names[1]):
            groups = ["·".join(dict.fromkeys(names)) for names in row.contraction.names]
            sums[row.label] = f"{row.label}: MACs = ({groups[0]})·({groups[1]})."
    return " ".join(sums.values())


def remarks(texts: Iterable[str]) -> Iterable[Paragraph]:
    """Paragraphs of those that say something."""
    return [Paragraph(text) for text in texts if text]


def trained(total: Group) -> str:
    """How many of the params are trained, if some are not."""
    if not total.frozen:
        return ""
    trainable = formatting.integer(total.params - total.frozen)
    return f", {trainable} of them trainable"


def lower_bound(uncounted: Sequence[Row], more: str = "") -> Iterable[Paragraph]:
    """Which operations a total misses, if there are any, and ``more`` that follows from it."""
    if uncounted:
        operations = ", ".join(
            f"{row.path} ({row.label}, "
            f"{formatting.shapes(row.inputs)} → {formatting.shape(row.output)})"
            for row in uncounted
        )
        yield Paragraph(
            f"Lower bound: {formatting.plural(len(uncounted), 'operation')} without a rule, "
            f"not counted: {operations}.{more and ' '}{more}",
            "bad",
        )


def _params(tensors: Tensors) -> str:
    """Parameters with their elements, by the module that has them."""
    modules: dict[str, int] = {}
    for name, count in tensors:
        owner = name.rpartition(".")[0] or name
        modules[owner] = modules.get(owner, 0) + count
    listed = [f"{name} ({formatting.integer(count)})" for name, count in modules.items()]
    more = f" and {len(listed) - 5} more" if len(listed) > 6 else ""
    where = ", ".join(listed if not more else listed[:5])
    return f"{formatting.both(sum(modules.values()), 'params')} of {where}{more}"
