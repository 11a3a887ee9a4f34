"""Why another counter reports a different total: rebuilt from our table, in named terms.

A counter's convention is data in its file. What its terms do not explain is the residual, shown
with the layers where it sits; it is never hidden in a term of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

from costlab.checks.account import Account, Amount, added
from costlab.checks.reconciliation import Reconciliation
from costlab.checks.runnable import counter_names, observed, require_size, running
from costlab.checks.step import step_account, step_table
from costlab.costs.table import CostTable, analyze
from costlab.counters import Counter, find, reconcilable
from costlab.counters.installed import version_of
from costlab.errors import UnknownNameError, how_to_install, words_of
from costlab.graph.paths import ancestry, module_of
from costlab.graph.sizes import InputSize
from costlab.isolation import sandbox
from costlab.models.arguments import keywords_of
from costlab.models.reference import Model

if TYPE_CHECKING:
    from costlab.counters.terms import Event

Result = TypeVar("Result")


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
    from costlab.checks.convention import events
    from costlab.checks.convention_names import look_up

    require_size(input_size)
    asked = counter_names(against if counters is None else counters)
    if training_cost:
        with keywords_of(how, reconcile, analyze):
            table = step_table(model, input_size, **how)
        progress(f"counting a training step of {table.model} with torch")
        account = step_account(table, asked, timeout)
        scope = _scope(table, path)
        accounts = [account.at(scope) if scope else account]
        return Reconciliation(table, tuple(accounts), table, scope, depth, ("torch",))
    chosen = [_counter(name) for name in (reconcilable() if asked is None else asked)]
    if asked is None:
        chosen = [counter for counter in chosen if not _stood_in_for(counter)]
    with keywords_of(how, reconcile, analyze):
        table = analyze(model, input_size, **how)
    for counter in chosen:
        look_up(counter)
    traced = observed(table)
    scope = _scope(traced, path)
    calls = events(traced)
    accounts = []
    for counter in chosen:
        progress(f"counting {table.model} with {counter.name}")
        account = _account(counter, traced, calls, timeout)
        accounts.append(account.at(scope) if scope else account)
    return Reconciliation(table, tuple(accounts), traced, scope, depth, tuple(asked or ()))


def _scope(table: CostTable, path: str) -> str:
    """The part of that path. Raises ``UnknownNameError``."""
    scope = path.strip("/").replace("/", ".")
    known = {part for row in table.rows for part in ancestry(module_of(row.path))}
    if scope and scope not in known:
        raise UnknownNameError(f"part of {table.model}", scope, known)
    return scope


def _counter(name: str) -> Counter:
    counter = find(name)
    if counter is None or not counter.convention:
        known = reconcilable()
        raise UnknownNameError("counter", name, known, listed=", ".join(known))
    return counter


def _account(counter: Counter, traced: CostTable, events: list[Event], timeout: float) -> Account:
    from costlab.checks.convention import amounts, not_named, params

    assert counter.total is not None  # it can be reconciled
    missing, problem = _tried(timeout, lambda: _missing(counter))
    if problem := problem or missing or "":
        return Account(counter.name, None, problem=problem)
    module, tensors = running(traced)  # which takes its time: only for a counter that is there
    total, problem = _tried(timeout, partial(counter.total, module, tensors))
    if total is None:
        return Account(counter.name, None, problem=problem)
    terms: tuple[Amount, ...] = ()
    if total.params is not None and counter.params is not None:
        terms = added(params(counter.params, traced, events))
    beside = (Amount(what, how, units, True) for what, how, units in total.beside if units)
    return Account(
        counter.name,
        total,
        (*amounts(counter.convention, events), *beside),
        not_named=not_named(counter.convention, events),
        remark=_remark(counter, total.version),
        params=terms,
    )


def _tried(timeout: float, run: Callable[[], Result]) -> tuple[Result | None, str]:
    """What comes out, or why nothing does: whatever a foreign counter raises is a line of ours."""
    try:
        return sandbox.run_within(timeout, run), ""
    except TimeoutError as error:
        return None, str(error)
    except (Exception, SystemExit) as error:
        return None, f"it failed with {_in_a_line(error)}"


def _remark(counter: Counter, version: str) -> str:
    if not counter.versions or ("(" not in version and version.startswith(counter.versions)):
        return ""
    return (
        f"what is imported as {counter.package.partition('.')[0]} is {version}, and its terms are "
        f"known of {counter.name} {' and '.join(counter.versions)}: others may not fit"
    )


def _stood_in_for(counter: Counter) -> bool:
    """Whether another tool is there under the name that it is imported by."""
    if counter.is_imported is None:
        return False
    try:
        return not counter.is_imported(import_module(counter.package))
    except Exception:  # what is wrong with it is said where it is asked to count
        return False


def _missing(counter: Counter) -> str:
    """Why a tool cannot be used: it is not there, another is, or something that it needs is not."""
    name = counter.package.partition(".")[0]
    try:
        if name:
            import_module(counter.package)
        if _stood_in_for(counter):
            return f"not installed: what is imported as {name} is {version_of(name)}"
    except ImportError as error:
        if getattr(error, "name", None) == name:
            own = f"pip install {counter.install}"
            return f"not installed: {own if counter.install else how_to_install(counter.extra)}"
        return f"it cannot be imported: {_in_a_line(error)}"
    return ""


def _in_a_line(error: BaseException) -> str:
    """An error in a line, with what it was raised from."""
    text = words_of(error)[:200]
    cause = f", from {_in_a_line(error.__cause__)}" if error.__cause__ is not None else ""
    return f"{type(error).__name__}: {text}{cause}".removesuffix(": ")
