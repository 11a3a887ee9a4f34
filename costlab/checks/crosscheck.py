"""Our table against independent counters, layer by layer. Equality, never a tolerance."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from costlab.checks.runnable import check_memory, counter_names, require_size, running
from costlab.checks.verdicts import Check, CrossCheck, CrossChecks
from costlab.costs.table import CostTable, analyze
from costlab.counters import Measurement, find, measure, measuring
from costlab.errors import words_of
from costlab.graph.sizes import InputSize
from costlab.isolation.sandbox import TIMEOUT, run_within
from costlab.models.arguments import keywords_of
from costlab.models.reference import Model

__all__ = ["COUNTERS", "CrossCheck", "CrossChecks", "crosscheck"]

COUNTERS = ("fvcore", "torch", "module")
"""Who checks unless told otherwise: fvcore and torch the MACs, the built module the rest."""


def crosscheck(
    model: Model | CostTable,
    input_size: InputSize | None = None,
    *,
    counters: str | Iterable[str] | None = None,
    progress: Callable[[str], None] = lambda step: None,
    **how: Any,
) -> CrossCheck:
    """Build the model, let independent counters measure it, and compare layer by layer.

    ``model`` and ``input_size`` are as in ``analyze``, and ``how`` is what it takes beside them:
    ``inputs``, ``kwargs``, ``input_type``, ``training``, ``real``, ``method``, and choices.
    ``counters`` are ``"fvcore"`` and ``"torch"`` (MACs) and, for what costlab builds, ``"module"``
    (params and output shapes). ``progress`` is called with what is being done. A counter that fails
    covers nothing, with its error as the reason. Imports torch; neither reads nor advances its
    random numbers.

    An ``nn.Module`` is copied, and its copy measured, on copies of the tensors that it was given;
    on zeros where it was given shapes.

    Raises what ``analyze`` raises; ``CounterError`` if the model cannot run, or not here.
    """
    from costlab.checks.judging import Judge  # a comparison without a check does not wait for it

    require_size(input_size)
    asked = counter_names(counters)
    names = list(COUNTERS) if asked is None else asked
    for name in names:
        measuring(name)  # that there is one, before anything is built
    with keywords_of(how, crosscheck, analyze):
        table = analyze(model, input_size, **how)
    check_memory(table)
    progress(f"building {table.model}")
    module, tensors = running(table)
    if asked is None and table.trace is not None:
        names.remove("module")  # it is the module itself that was traced
    checks: list[Check] = []
    versions = {}
    for name in names:
        progress(f"counting {table.model} with {name}")
        try:
            measurement = run_within(TIMEOUT, partial(measure, name, module, tensors))
        except Exception as error:  # whatever a foreign counter raises is its verdict, not ours
            reason = f"it failed with {type(error).__name__}: {words_of(error)[:200]}"
            measurement = Measurement(name, "(failed)", {"macs": {}}, {"": reason})
        versions[name] = measurement.version
        counter = find(name)
        assert counter is not None  # it can measure
        checks += Judge(table, measurement, counter).checks()
    return CrossCheck(table, tuple(checks), versions)
