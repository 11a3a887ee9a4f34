"""Why another counter says something else: its total, rebuilt from our table in named terms.

A counter's convention is data in its file. What its terms do not explain is the residual, shown
with the layers where it sits; it is never hidden in a term of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any

from costlab.checks.convention import params, parts, seen, unknown
from costlab.checks.counter_quantities import Seen
from costlab.checks.crosscheck import running
from costlab.checks.reconciliation import Account, Reconciliation, Term, added, module_of
from costlab.costs.table import CostTable, analyze, costs
from costlab.counters import Total, reconcilable
from costlab.errors import CounterError, TraceError, UnknownNameError
from costlab.graph import Graph
from costlab.graph.paths import ancestry
from costlab.isolation import sandbox
from costlab.models.reference import Model


def reconcile(
    model: Model | CostTable,
    against: str | Iterable[str] | None = None,
    input_size: Iterable[int] | None = None,
    progress: Callable[[str], None] = lambda step: None,
    depth: int = 0,
    path: str = "",
    timeout: float = sandbox.TIMEOUT,
    **choices: Any,
) -> Reconciliation:
    """Run other counters on a model, and rebuild their totals from our table in named terms.

    ``against`` are names of counters (default: all that are known). One that is not installed, that
    fails, or that is not done after ``timeout`` seconds, is an account without a total. A counter
    gets a copy of the model, and what it prints or leaves changed is undone. ``path`` shows a part
    of the model, ``depth`` the units by layer too, to that many levels of scopes.

    Raises what ``analyze`` raises; ``UnknownNameError``; ``CounterError`` if the model cannot run.
    """
    asked = against.split(",") if isinstance(against, str) else against
    names = list(dict.fromkeys(reconcilable() if asked is None else asked))
    for name in names:
        if name not in reconcilable():
            raise UnknownNameError("counter", name, reconcilable())
    given = model.graph if isinstance(model, CostTable) else model
    table = analyze(given, input_size, **choices)
    traced = _traced(table.graph)
    scope = path.strip("/").replace("/", ".")
    known = {each for row in traced.rows for each in ancestry(module_of(row.path))}
    if scope and scope not in known:
        raise UnknownNameError(f"part of {table.model}", scope, known)
    found = seen(traced)
    accounts = []
    for name in names:
        progress(f"counting {table.model} with {name}")
        account = _account(name, traced, found, timeout)
        accounts.append(account.at(scope) if scope else account)
    return Reconciliation(table, tuple(accounts), traced, scope, depth)


def _traced(graph: Graph) -> CostTable:
    """The table of the module as it is called: conventions depend on modules and functions."""
    from costlab.trace import trace

    if graph.origin is not None:
        origin = graph.origin
        try:
            return costs(trace(origin.module, None, origin.inputs, origin.kwargs, spelled=True))
        except TraceError as error:
            why = str(error).partition(", and only")[0]
            raise CounterError(f"calls are matched on shapes alone: {why}") from None
    module, tensors = running(graph)
    return costs(trace(module, None, tensors, spelled=True))


def _account(name: str, traced: CostTable, found: list[Seen], timeout: float) -> Account:
    counter = import_module(f"costlab.counters.{name}")
    module, tensors = running(traced.graph)
    try:
        if not sandbox.within(timeout, lambda: _is_there(counter.PACKAGE)):
            return Account(name, None, problem="not installed: pip install 'costlab[counters]'")
        total: Total = sandbox.within(timeout, lambda: counter.total(module, tensors))
    except TimeoutError as error:
        return Account(name, None, problem=str(error))
    except (Exception, SystemExit) as error:  # whatever a foreign counter raises is a line of ours
        return Account(name, None, problem=f"it failed with {_said(error)}")
    terms: tuple[Term, ...] = ()
    if total.params is not None:
        terms = added(params(counter.PARAMS, traced, found))
    return Account(
        name,
        total,
        tuple(parts(counter.CONVENTION, found)),
        unknown=unknown(counter.CONVENTION, found),
        params=terms,
    )


def _is_there(package: str) -> bool:
    try:
        import_module(package)
    except ImportError:
        return False
    return True


def _said(error: BaseException) -> str:
    """An error in a line, with what it was raised from."""
    text = " ".join(str(error).split())[:200]
    cause = f", from {_said(error.__cause__)}" if error.__cause__ is not None else ""
    return f"{type(error).__name__}: {text}{cause}".removesuffix(": ")
