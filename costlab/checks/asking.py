"""Asking another counter for its total of a model, and what makes it up by its convention."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib import import_module
from typing import Any, TypeVar

from costlab.checks.account import Account, Amount, added
from costlab.checks.convention import amounts, not_named, params
from costlab.checks.convention_names import look_up
from costlab.checks.runnable import running
from costlab.costs.table import CostTable
from costlab.counters import Counter
from costlab.counters.events import Event
from costlab.counters.installed import version_of
from costlab.errors import how_to_install, words_of
from costlab.isolation import sandbox

Result = TypeVar("Result")


def account_of(
    counter: Counter, traced: CostTable, events: list[Event], timeout: float = sandbox.TIMEOUT
) -> Account:
    """Its total of a table that was traced with its calls, which are ``events``, in terms.

    Without a total if it is not installed, fails, or takes longer. Raises ``UnknownNameError`` for
    a name in its convention that is none.
    """
    look_up(counter)
    assert counter.total is not None  # it can be reconciled
    if problem := why_not(counter, timeout):
        return Account(counter.name, None, problem=problem)
    module, tensors = running(traced)  # which takes its time: only for a counter that is there
    count = partial(counter.total, module, tensors)
    assert traced.trace is not None
    how = {"modules": module.modules(), "training": traced.trace.training, "undo": counter.undo}
    total, problem = tried(timeout, count, **how)
    if total is None:
        return Account(counter.name, None, problem=problem)
    terms: tuple[Amount, ...] = ()
    if total.params is not None and counter.params is not None:
        terms = added(params(counter.params, traced, events))
    beside = (Amount(what, how, units, True) for what, how, units in total.beside if units)
    account = Account(
        counter.name,
        total,
        (*amounts(counter.convention, events), *beside),
        not_named=not_named(counter.convention, events),
        remark=_remark(counter, total.version),
        params=terms,
    )
    if account.residual and traced.trace.transforms and not account.remark:
        return replace(account, remark=_OF_TRANSFORMS)
    return account


_OF_TRANSFORMS = (
    "inside of a transform of torch.func, such as vmap, it sees one of the batch, or nothing: "
    "what is left over may be of these calls, of which no term says how much it is"
)


def why_not(counter: Counter, timeout: float) -> str:
    """Why it cannot be asked at all; empty if it can."""
    missing, problem = tried(timeout, lambda: _missing(counter))
    return problem or missing or ""


def tried(timeout: float, run: Callable[[], Result], **how: Any) -> tuple[Result | None, str]:
    """What comes out, or why nothing does: whatever a foreign counter raises is a line of ours."""
    try:
        return sandbox.run_within(timeout, run, **how), ""
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


def stood_in_for(counter: Counter) -> bool:
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
        if stood_in_for(counter):
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
