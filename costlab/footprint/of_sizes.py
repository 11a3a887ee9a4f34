"""What a run holds, as quantities beside those of layers: of sizes that are symbols, or numbers."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import Any

from costlab.costs.cost import Cost
from costlab.costs.quantities import More
from costlab.errors import ChoiceError
from costlab.footprint.run import held
from costlab.footprint.settings import How
from costlab.footprint.symbolic import Called, Totals, all_seen, memory_with_symbols, totals
from costlab.graph.sizes import Sizes
from costlab.models.arguments import sizes_of
from costlab.models.module import Held, Made, MadeOnce, owner_of
from costlab.models.reference import Reference, Run
from costlab.models.symbolic_sizes import SymbolicSizes, with_numbers
from costlab.symbols.assumptions import Assumptions
from costlab.trace.given import given_to
from costlab.trace.like_ints import sizes_like_ints
from costlab.trace.symbolic_modules import made_of_symbols
from costlab.trace.symbolic_numbers import sym_int


def memory_of_symbols(sizes: SymbolicSizes, of: Assumptions, more: More) -> More:
    """The quantities, those of memory with what they are: expressions of the symbols.

    ``of`` learns what is asked. Raises ``TraceError`` where a run has no formula.
    """

    def called(values: Mapping[str, Any], symbolic: Assumptions | None) -> Called:
        size = sizes_of(with_numbers(sizes.inputs, values))
        chosen = {name: choice.at(values) for name, choice in sizes.choices.items()}
        with made_of_symbols(symbolic) if symbolic and chosen else nullcontext():
            return _called(sizes.model, size, sizes.run, chosen)

    def of_run(optimizer: str) -> Totals:
        with sizes_like_ints():
            symbols = {name: sym_int(size) for name, size in of.symbols.items()}
            run = called(symbols, of)
        return memory_with_symbols(of, run, called(of.hints, None), optimizer)

    return _known(more, of_run)


def memory_of_numbers(model: Reference, size: Sizes, run: Run, more: More) -> More:
    """The quantities, those of memory with what they are at sizes that are numbers."""
    called = _called(model, size, run, {})

    def of_run(optimizer: str) -> Totals:
        how = How(bool(optimizer), part=called.part)
        run = all_seen(held(called.module, called.args, called.kwargs, how))
        return totals(run, optimizer, run.timeline.live)

    return _known(more, of_run)


def _known(more: More, of_run: Any) -> More:
    """What is of a run or a step, with its number."""
    runs = {
        optimizer: of_run(optimizer)
        for optimizer in {quantity.optimizer for quantity in more if quantity.of_run}
    }
    return tuple(
        replace(quantity, of=partial(_itself, runs[quantity.optimizer][quantity.name]))
        if quantity.of_run
        else quantity
        for quantity in more
    )


def _itself(number: Any, cost: Cost) -> Any:
    return number


def _called(known: Reference, size: Any, run: Run, choices: dict[str, Any]) -> Called:
    """The module that is meant, and what it is called with. Raises ``ChoiceError``."""
    if run.method != "forward":
        raise ChoiceError(f"memory is of forward: leave out method {run.method}")
    name, part = "", ""
    if isinstance(known, Held):
        module = known.module
    else:
        whole = known.of if isinstance(known, MadeOnce) else known
        if not isinstance(whole, Made):
            raise ChoiceError("memory is of a module: of this, costlab memory says it at one size")
        made = known.model if isinstance(known, MadeOnce) else whole.made(choices, weightless=True)
        module, name, part = owner_of(made), whole.text, whole.part
        size, run = whole.sized(module, size, run)
    args, kwargs = given_to(
        name or type(module).__name__,
        module.parameters(),
        size,
        run.input_type,
        run.inputs,
        run.kwargs,
    )
    return Called(module, args, kwargs, part.strip("/").replace("/", "."))
