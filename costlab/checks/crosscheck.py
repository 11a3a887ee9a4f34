"""Our table against independent counters, layer by layer. Equality, never a tolerance."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from costlab.checks.runnable import check_memory, counter_names, require_size, running
from costlab.checks.verdicts import FAILED, Check, CrossCheck, CrossChecks
from costlab.costs.table import CostTable, analyze
from costlab.counters import Counter, Measurement, chosen, measure
from costlab.graph.sizes import InputSize
from costlab.isolation.sandbox import TIMEOUT
from costlab.models.arguments import keywords_of
from costlab.models.reference import Model

if TYPE_CHECKING:
    from torch import Tensor, nn

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
    ``counters`` are those of ``reconcile`` (MACs) and ``"module"`` (params and output shapes), by
    default ``"fvcore"``, ``"torch"`` and, for what costlab builds, ``"module"``. Those that have no
    MACs of layers are compared by their totals, of modules where they have them, in named terms.
    ``progress`` is called with what is being done. A counter that fails covers nothing, with its
    error as the reason. Imports torch; neither reads nor advances its random numbers.

    An ``nn.Module`` is copied, and its copy measured, on copies of the tensors that it was given;
    on zeros where it was given shapes.

    Raises what ``analyze`` raises; ``CounterError`` if the model cannot run, or not here.
    """
    from costlab.checks.judging import Judge  # a comparison without a check does not wait for it

    require_size(input_size)
    asked = counter_names(counters)
    names = list(COUNTERS) if asked is None else asked
    tools = [chosen(name, lambda tool: tool.crosschecks) for name in names]
    with keywords_of(how, crosscheck, analyze):
        table = analyze(model, input_size, **how)
    check_memory(table)
    progress(f"building {table.model}")
    module, tensors = running(table)
    if asked is None and table.trace is not None:
        tools = [tool for tool in tools if tool.name != "module"]  # it is that that was traced
    by_terms = None
    if any(tool.measure is None for tool in tools):
        from costlab.checks.by_terms import ByTerms

        by_terms = ByTerms(table)  # which follows the model again: only for those that need it
    checks: list[Check] = []
    versions, notes, unexplained = {}, {}, {}
    for tool in tools:
        progress(f"counting {table.model} with {tool.name}")
        if tool.measure is None:
            assert by_terms is not None
            account = by_terms.account(tool)
            versions[tool.name] = account.total.version if account.total else FAILED
            notes[tool.name] = by_terms.note(tool, account)
            unexplained[tool.name] = account.residual or account.params_residual
            checks += by_terms.checks(tool, account)
        else:
            measurement = _measured(tool, module, tensors)
            versions[tool.name] = measurement.version
            if measurement.version == FAILED:
                notes[tool.name] = measurement.gaps[""]
            checks += Judge(table, measurement, tool).checks()
    return CrossCheck(table, tuple(checks), versions, notes, unexplained)


def _measured(tool: Counter, module: nn.Module, tensors: tuple[Tensor, ...]) -> Measurement:
    """What a counter measures; nothing, and why, if it cannot."""
    from costlab.checks.asking import tried, why_not

    problem = why_not(tool, TIMEOUT)
    if not problem:
        run = partial(measure, tool.name, module, tensors)
        measurement, problem = tried(TIMEOUT, run, modules=module.modules(), undo=tool.undo)
        if measurement is not None:
            return measurement
    return Measurement(tool.name, FAILED, {"macs": {}}, {"": problem})
