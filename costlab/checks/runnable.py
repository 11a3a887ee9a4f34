"""The module that other counters get of a table, and the table of the calls that they see."""

from __future__ import annotations

import os
from collections.abc import Iterable
from itertools import chain
from typing import TYPE_CHECKING, Any

from costlab import formatting
from costlab.costs.table import CostTable, analyze
from costlab.errors import ChoiceError, CounterError
from costlab.modules.build import unbuildable

if TYPE_CHECKING:
    from torch import Tensor, nn


def counter_names(counters: str | Iterable[str] | None) -> list[str] | None:
    """Names of counters, each once: a list, or a text with commas."""
    if counters is None:
        return None
    words = counters.split(",") if isinstance(counters, str) else counters
    names = list(dict.fromkeys(word.strip() for word in words))
    if not names:
        raise ChoiceError("no counter is named: leave out counters= for the usual ones")
    return names


def require_size(input_size: Any) -> None:
    """Raises ``ChoiceError`` for names of counters in the place of a shape."""
    words = [input_size] if isinstance(input_size, str) else input_size
    if isinstance(words, (list, tuple)) and any(isinstance(word, str) for word in words):
        raise ChoiceError(f"the second argument is the input's shape: write counters={words!r}")


def can_run(table: CostTable) -> bool:
    """Whether there is a module for other counters: not for a saved report."""
    return table.trace is not None or unbuildable(table.graph) is None


def running(table: CostTable) -> tuple[nn.Module, tuple[Tensor, ...]]:
    """A module that other counters may use as they like, and its inputs.

    Copies of what a module was called with; zeros where there are only shapes.
    """
    if table.trace is not None:
        from costlab.modules.copies import copied

        return copied(table.trace)
    if not can_run(table):
        raise CounterError(
            f"{table.model} is a saved report or a part of a traced module, which other counters "
            "cannot run: give them the model that it was made from, as a whole"
        )
    from costlab.modules.block import empty, zero_inputs

    return empty(table.graph), zero_inputs(table.graph)


def check_memory(table: CostTable) -> None:
    """Counters run the model for real: refuse what cannot fit in this machine's memory."""
    needed = sum(value.bytes for value in table.graph.values if value.shares is None)
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


def observed(table: CostTable) -> CostTable:
    """The table of the module as it is called: conventions depend on modules and functions."""
    from torch.nn.parameter import is_lazy

    from costlab.modules.copies import with_weights

    asked: dict[str, Any] = {"observed": True, "training_cost": table.training_cost}
    if table.trace is None:
        module, tensors = running(table)
        given = (value for value in table.graph.values if value.kind == "input")
        for tensor, value in zip(tensors, given, strict=True):
            if table.training_cost:  # a part's inputs want gradients if they do in the whole
                tensor.requires_grad_(not value.detached)
        return analyze(module, inputs=tensors, **asked)
    trace = table.trace
    if trace.observed:
        return table
    how: dict[str, Any] = {"inputs": trace.inputs, "kwargs": trace.kwargs, "real": trace.graph.real}
    module = trace.module
    if any(map(is_lazy, chain(module.parameters(), module.buffers()))):
        module = with_weights(trace)  # conventions are about shapes of weights
    how |= {"method": trace.method, "training": trace.training}
    return analyze(module, **asked, **how)
