"""That every name in a counter's convention is one of something that exists.

A name that is not would select nothing, and be a silent 0.
"""

from __future__ import annotations

import dis
from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from importlib import import_module
from itertools import chain
from pkgutil import iter_modules
from types import BuiltinFunctionType, FunctionType
from typing import Any

from costlab.counters import Counter
from costlab.counters.terms import ByCall, ByFunction, ByModule, ByOperation, Term, Where
from costlab.errors import UnknownNameError
from costlab.graph.op import Op

_LATER = ("_grouped_mm", "grouped_mm")
"""Functions of torch that its older releases lack."""


def look_up(counter: Counter) -> None:
    """Look up every name in a counter's convention. Raises ``UnknownNameError``."""
    of = counter.params.of if counter.params is not None else ()
    if isinstance(of, str):
        _named("params", of, {"all": 1, "trainable": 1}, f"in the params of {counter.name}")
        of = ()
    _look_up(counter.name, counter.convention, of)


@cache
def _look_up(counter: str, convention: tuple[Term, ...], of_params: Where) -> None:
    """Once in a process for each convention."""
    for term in convention:
        for selector in (*term.where, *term.but):
            _exists(selector, f"in the convention of {counter}: {term.what}")
    for selector in of_params:
        _exists(selector, f"in the params of {counter}")


def _exists(selector: Any, where: str) -> None:
    if isinstance(selector, ByOperation):
        kind = _named("operation", selector.name, _operations(), where)
        for attribute in selector.attributes:
            _named(f"attribute of {selector.name}", attribute, _attributes(kind), where)
    elif isinstance(selector, ByModule):
        kind = _named("module", selector.name, _modules(), where)
        for attribute in selector.attributes:
            _named(f"attribute of {selector.name}", attribute, _settings(kind), where)
    elif isinstance(selector, (ByCall, ByFunction)):
        known = _replaced() if isinstance(selector, ByCall) else _functions()
        _named("function", selector.name, known, where)
        if selector.consists_of is not None:
            _exists(selector.consists_of, where)


def _named(kind: str, name: str, known: Mapping[str, Any], where: str) -> Any:
    if name not in known:
        raise UnknownNameError(kind, name, known, where)
    return known[name]


@cache
def _operations() -> dict[str, type[Op]]:
    """The operations of ``ops/`` by name."""
    from costlab import ops

    files = [import_module(f"{ops.__name__}.{file.name}") for file in iter_modules(ops.__path__)]
    return {
        kind.name: kind
        for file in files
        for kind in vars(file).values()
        if isinstance(kind, type) and issubclass(kind, Op) and hasattr(kind, "name")
    }


def _attributes(kind: Any) -> dict[str, Any]:
    return {field.name: field for field in fields(kind)}


@cache
def _modules() -> dict[str, Any]:
    """The classes of ``torch.nn`` by name."""
    from torch import nn

    return {
        f"nn.{name}": kind
        for name, kind in vars(nn).items()
        if isinstance(kind, type) and issubclass(kind, nn.Module)
    }


@cache
def _settings(kind: type) -> dict[str, None]:
    """The attributes that a module of a class is given when it is made."""
    names: list[str] = []
    for base in kind.__mro__[:-1]:
        names += getattr(base, "__annotations__", ())
        if "__init__" in vars(base) and base.__module__ != "torch.nn.modules.module":
            code = dis.get_instructions(base.__init__)  # type: ignore[misc]
            names += [line.argval for line in code if line.opname == "STORE_ATTR"]
    return dict.fromkeys(names)


@cache
def _replaced() -> dict[str, None]:
    """The functions whose calls are noted as a counter sees them that replaces these functions."""
    from costlab.trace.observed import HEARD

    names = [f"{home}.{name}" for home, (_, names) in HEARD.items() for name in names.split()]
    told = ("F.interpolate_to_size", "F.interpolate_to_number")  # as one is noted that is told it
    return dict.fromkeys([*names, *told])


@cache
def _functions() -> dict[str, None]:
    """The functions of torch, by their plain names: which rules of ours answer, and the others."""
    import torch

    from costlab.trace.registry import rules

    homes = (torch, torch.Tensor, torch.nn.functional)
    answered = [name for name in rules() if any(hasattr(home, name) for home in homes)]
    algebra = [f"linalg_{name}" for name in dir(torch.linalg) if not name.startswith("_")]
    others = [
        name
        for home in (torch, torch.nn.functional)
        for name, member in vars(home).items()
        if isinstance(member, (BuiltinFunctionType, FunctionType)) and not name.startswith("_")
    ]
    in_place = [name for name in dir(torch.Tensor) if name[0] != "_" and name[-1] == "_"]
    names = (answered, torch.functional.__all__, algebra, others, in_place, _LATER)
    return dict.fromkeys(chain.from_iterable(names))
