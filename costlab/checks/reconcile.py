"""Why another counter reports a different total: rebuilt from our table, in named terms.

A counter's convention is data in its file. What its terms do not explain is the residual, shown
with the layers where it sits; it is never hidden in a term of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from costlab.checks.reconciliation import Reconciliation
from costlab.checks.runnable import counter_names, observed, require_size
from costlab.costs.table import CostTable, analyze
from costlab.counters import chosen, find, reconcilable
from costlab.errors import UnknownNameError
from costlab.graph.paths import ancestry, module_of
from costlab.graph.sizes import InputSize
from costlab.isolation import sandbox
from costlab.models.arguments import keywords_of
from costlab.models.reference import Model


def reconcile(
    model: Model | CostTable,
    input_size: InputSize | None = None,
    *,
    counters: str | Iterable[str] | None = None,
    against: str | Iterable[str] | None = None,
    depth: int = 0,
    path: str = "",
    timeout: float = sandbox.TIMEOUT,
    progress: Callable[[str], None] = lambda step: None,
    training_cost: bool = False,
    **how: Any,
) -> Reconciliation:
    """Run other counters on a model, and rebuild their totals from our table in named terms.

    ``model`` and ``input_size`` are as in ``analyze``, and ``how`` is what it takes beside them:
    ``inputs``, ``kwargs``, ``input_type``, ``training``, ``real``, ``method``, and choices.
    ``counters`` are names (default: all that are known, but those in whose place another tool is
    imported); ``against`` is an older word for it. One that is not installed, that
    fails, or that is not done after ``timeout`` seconds, is an account without a total; if it was
    named, the whole is not ``explained``. A counter gets a copy of the model and of the tensors
    that it was given, and what it prints or leaves changed is undone. ``path`` shows a part of the
    model, ``depth`` the units by layer too, to that many levels of scopes. With ``training_cost``
    it is forward and backward that torch's counter counts, and nothing else is asked.

    Raises what ``analyze`` raises; ``UnknownNameError``; ``CounterError`` if the model cannot run.
    """
    from costlab.checks.asking import account_of, stood_in_for
    from costlab.checks.convention import events

    require_size(input_size)
    asked = counter_names(against if counters is None else counters)
    if training_cost:
        from costlab.checks.step import step_account, step_table

        with keywords_of(how, reconcile, analyze):
            table = step_table(model, input_size, **how)
        progress(f"counting a training step of {table.model} with torch")
        account = step_account(table, asked, timeout)
        scope = _scope(path, table, table.model)
        accounts = [account.at(scope) if scope else account]
        return Reconciliation(table, tuple(accounts), table, scope, depth, ("torch",))
    if asked is None:
        tools = [tool for tool in map(find, reconcilable()) if tool and not stood_in_for(tool)]
    else:
        tools = [chosen(name, lambda tool: tool.reconciles) for name in asked]
    with keywords_of(how, reconcile, analyze):
        table = analyze(model, input_size, **how)
    traced = observed(table)
    scope = _scope(path, traced, table.model)
    calls = events(traced)
    accounts = []
    for tool in tools:
        progress(f"counting {table.model} with {tool.name}")
        account = account_of(tool, traced, calls, timeout)
        accounts.append(account.at(scope) if scope else account)
    return Reconciliation(table, tuple(accounts), traced, scope, depth, tuple(asked or ()))


def _scope(path: str, table: CostTable, model: str) -> str:
    """The part of that path in a table of the model. Raises ``UnknownNameError``."""
    scope = path.strip("/").replace("/", ".")
    known = {part for row in table.rows for part in ancestry(module_of(row.path))}
    if scope and scope not in known:
        outermost = ", ".join(sorted(part for part in known if "." not in part))
        raise UnknownNameError(f"part of {model}", scope, known, listed=outermost)
    return scope
