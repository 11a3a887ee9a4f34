"""What users call: a call that cannot be meant says in one line what is wrong with it.

Only names that are reached through ``costlab`` are held to it, and the methods of what they give:
costlab itself calls the functions as they are, and mypy holds it to the same annotations.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import is_dataclass
from functools import wraps
from inspect import Parameter, signature, unwrap
from itertools import islice, zip_longest
from numbers import Integral, Real
from os import PathLike
from sys import _getframe
from types import FunctionType
from typing import Any

from costlab.errors import (
    CallError,
    ChoiceError,
    CostlabError,
    UnknownNameError,
    can_be_read,
    shown,
    suggestion,
)

Test = Callable[[Any], bool]

_LOOKED_AT = 1000
"""Of a list at most so many: a range may have any number."""


def for_users(value: Any) -> Any:
    """A function that looks at what it is called with, or a class with such methods."""
    if isinstance(value, type):
        _prepare(value)
        if hasattr(value, "_fields") and not hasattr(value.__new__, "__wrapped__"):
            value.__new__ = staticmethod(_looking(value.__new__))  # type: ignore[method-assign]
    return _looking(value) if callable(value) and not isinstance(value, type) else value


_prepared: set[type] = {type(None), bool, int, str, list, dict, tuple}


def _prepare(kind: type) -> None:
    """Let the methods of a class of costlab look at what they are called with."""
    for owner in kind.__mro__ if kind not in _prepared else ():
        if owner in _prepared or issubclass(owner, CostlabError):
            continue
        _prepared.add(owner)
        for name, method in list(vars(owner).items()) if _is_ours(owner) else ():
            of_users = name[0] != "_" or (name == "__init__" and not is_dataclass(owner))
            if isinstance(method, FunctionType) and of_users:
                setattr(owner, name, _looking(method))


def _is_ours(kind: type) -> bool:
    return kind.__module__.partition(".")[0] == "costlab"


def _made_by_us(value: Any) -> bool:
    return any(map(_is_ours, type(value).__mro__))


def _looking(function: Callable[..., Any]) -> Callable[..., Any]:
    call: _Call | None = None  # a function that nobody calls need not be read

    @wraps(function)
    def called(*args: Any, **keywords: Any) -> Any:
        if _getframe(1).f_globals.get("__name__", "").startswith("costlab."):
            return function(*args, **keywords)  # whose sizes may be symbols
        nonlocal call
        call = call or _Call(function)
        args, keywords = call.looked_at(args, keywords)
        try:
            result = function(*args, **keywords)
        except (ChoiceError, UnknownNameError) as error:
            call.say_where(error, keywords)
            raise
        except TypeError as error:
            inside = error.__traceback__ and error.__traceback__.tb_next
            if inside is None:  # the arguments are not those of the function
                raise CallError(call.misplaced(args, keywords) or str(error)) from None
            raise
        for value in (result, *getattr(result, "__dict__", {}).values()):
            _prepare(type(value))
        return result

    return called


_FIRST = {"self", "_cls"}
"""What methods call what they are called on, and what makes a named tuple its class."""


class _Call:
    """The parameters of a function, and what their annotations ask of a value."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function, self.name = unwrap(function), function.__name__
        self.owner = function.__qualname__.rpartition(".")[0].rpartition(".")[2]
        if self.name in ("__init__", "__new__"):
            self.name = self.owner
        self.parameters = dict(signature(function).parameters)
        first = next(iter(self.parameters), "")
        self.method, self.of_object = first in _FIRST, first == "self"
        self.tests: dict[str, Test] = {}
        for name, parameter in self.parameters.items():
            if isinstance(parameter.annotation, str):
                test = _test_of(ast.parse(parameter.annotation, mode="eval").body)
                if test is not None:
                    self.tests[name] = test
        self.positional = self._of(Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
        self.named = self._of(Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
        self.other = "".join(self._of(Parameter.VAR_POSITIONAL))
        self.others_named = "".join(self._of(Parameter.VAR_KEYWORD))

    def _of(self, *kinds: Any) -> list[str]:
        return [
            name
            for name, parameter in self.parameters.items()
            if parameter.kind in kinds and name not in _FIRST
        ]

    def looked_at(
        self, args: tuple[Any, ...], keywords: Mapping[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """What is given, with lists in place of what can be read only once.

        Raises ``CallError`` for a value that is not what the annotation of its name says.
        """
        names = [*([""] if self.method else []), *self.positional]
        places = tuple(
            self._fitting(name, value)
            for name, value in zip_longest(names[: len(args)], args, fillvalue=self.other)
        )
        named = {name: self._fitting(name, value) for name, value in keywords.items()}
        if self.of_object and not (args and _made_by_us(args[0])):
            raise CallError(
                f"{self.name} is called on what {self.owner}(...) gives, not on {self.owner}"
            )
        return places, named

    def _fitting(self, name: str, value: Any) -> Any:
        test = self.tests.get(name if name in self.parameters or not name else self.others_named)
        if test is None:
            return value
        value = list(value) if isinstance(value, Iterator) else value
        if not test(value):
            raise CallError(self._wrong(name, value))
        return value

    def _wrong(self, name: str, value: Any) -> str:
        parameter = self.parameters.get(name) or self.parameters[self.others_named]
        words = _words_of(ast.parse(str(parameter.annotation), mode="eval").body)
        default = parameter.default
        telling = isinstance(default, (int, float, str)) and default and default is not True
        example = f" (such as {default!r})" if telling else ""
        return f"{self.name} takes {name} as {words}{example}, not {shown(value)}"

    def misplaced(self, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> str:
        """What is wrong with the names and the number of arguments."""
        given = args[1:] if self.method else args
        if not self.parameters.keys() - _FIRST:
            values = (*given, *keywords.values())
            path = next((str(value) for value in values if isinstance(value, (str, PathLike))), "")
            text = self.function.__annotations__.get("return") == "str"
            how = f" and gives a text: pathlib.Path({path!r}).write_text(....{self.name}())"
            return f"{self.name} takes no arguments{how if text and path else ''}"
        for name in keywords:
            if name not in self.named and not self.others_named:
                return f"{self.name} takes no {name}={suggestion(name, self.named)}"
        if twice := [name for name in self.positional[: len(given)] if name in keywords]:
            return f"{self.name} is given {twice[0]} twice: by its place and by its name"
        if len(given) > len(self.positional) and not self.other:
            places = ", ".join(self.positional) or "nothing"
            rest = ", ".join(name for name in self.named if name not in self.positional)
            by_name = f", and by name {rest}" if rest else ""
            return f"{self.name} takes {places} by place{by_name}: {len(given)} are given by place"
        names = dict.fromkeys(self.positional + self.named)
        required = [name for name in names if self.parameters[name].default is Parameter.empty]
        have = {*self.positional[: len(given)], *keywords}
        missing = [name for name in required if name not in have]
        usage = (name if name in self.positional else f"{name}=..." for name in required)
        needs = f"{self.name} needs {' and '.join(missing)}: {self.name}({', '.join(usage)})"
        return needs if missing else ""

    def say_where(self, error: CostlabError, keywords: Iterable[str]) -> None:
        """Add to an error which method of the result takes a name that the function does not."""
        result = self.function.__globals__.get(str(self.function.__annotations__.get("return")))
        for name in keywords:
            if name in self.parameters or not isinstance(result, type):
                continue
            # What gives a result of the same kind comes before what only lists some of it.
            members = sorted(dir(result), key=lambda member: not member.startswith("to_"))
            for method in (getattr(result, member) for member in members if member[0] != "_"):
                if callable(method) and name in getattr(method, "__annotations__", ()):
                    where = f"{self.name}(...).{method.__name__}({name}=...)"
                    error.args = (f"{error.args[0]}; {name} is of its result: {where}",)
                    return


def _no_truth(value: Any) -> bool:
    return type(value).__name__ not in ("bool", "bool_")  # the second is numpy's


def _is_0_or_1(value: Any) -> bool:
    return isinstance(value, Real) and value in (0, 1)


def _lists(value: Any) -> bool:
    return not isinstance(value, (str, bytes)) and can_be_read(value)


_KINDS: dict[str, tuple[str, Test]] = {
    "int": ("a whole number", lambda value: isinstance(value, Integral) and _no_truth(value)),
    "float": ("a number", lambda value: isinstance(value, Real) and _no_truth(value)),
    "bool": ("True or False", lambda value: not _no_truth(value) or _is_0_or_1(value)),
    "str": ("a text", lambda value: isinstance(value, str)),
    "Path": ("a path", lambda value: isinstance(value, PathLike)),
    "tuple": ("a list", _lists),
    "Mapping": ("a dict", lambda value: isinstance(value, Mapping)),
    "dict": ("a dict", lambda value: isinstance(value, Mapping)),
    "Iterable": ("a list", _lists),
    "Sequence": ("a list", _lists),
    "Callable": ("a function", callable),
    "Shape": ("a shape such as (1, 3, 224, 224)", lambda value: isinstance(value, (tuple, list))),
    "None": ("None", lambda value: value is None),
    "Cost": ("a row or a group", lambda value: _is_named("Cost", value)),
    "Device": ("a Device", lambda value: _is_named("Device", value)),
    "Formula": ("a costlab.formula(...)", lambda value: _is_named("Formula", value)),
    "Client": ("a dask.distributed.Client", lambda value: _is_named("Client", value)),
}
"""What a word of an annotation is called, and whether a value is of it; others are let be."""


def _is_named(kind: str, value: Any) -> bool:
    return any(owner.__name__ == kind for owner in type(value).__mro__)


def _parts(annotation: ast.expr) -> list[ast.expr]:
    """The alternatives of an annotation: ``str`` and ``None`` of ``str | None``."""
    if isinstance(annotation, ast.BinOp):
        return _parts(annotation.left) + _parts(annotation.right)
    return [annotation]


def _test_of(annotation: ast.expr) -> Test | None:
    """What tells whether a value is of an annotation; None where nothing is known of it."""
    tests = []
    for part in _parts(annotation):
        head = part.value if isinstance(part, ast.Subscript) else part
        kind = _KINDS.get(ast.unparse(head))
        if kind is None:
            return None
        tests.append(_with_items(kind[1], part))
    return tests[0] if len(tests) == 1 else lambda value: any(test(value) for test in tests)


def _item(part: ast.expr) -> ast.expr | None:
    """The annotation of what a list holds, or of the values of a dict."""
    if not isinstance(part, ast.Subscript) or ast.unparse(part.value) == "Callable":
        return None
    items = part.slice.elts if isinstance(part.slice, ast.Tuple) else [part.slice]
    return items[-2 if ast.unparse(items[-1]) == "..." else -1]


def _with_items(test: Test, part: ast.expr) -> Test:
    """The same, also of what a list or a dict holds."""
    annotation = _item(part)
    item = None if annotation is None else _test_of(annotation)
    if item is None:
        return test

    def all_fit(value: Any) -> bool:
        items = value.values() if isinstance(value, Mapping) else value
        return test(value) and all(map(item, islice(items, _LOOKED_AT)))

    return all_fit


def _words_of(annotation: ast.expr) -> str:
    """``int | None`` as ``a whole number or None``, and what lists and dicts hold."""
    words = []
    for part in _parts(annotation):
        head = part.value if isinstance(part, ast.Subscript) else part
        word = _KINDS[ast.unparse(head)][0]
        if (item := _item(part)) is not None and _test_of(item) is not None:
            inner = _words_of(item)
            if word == "a dict":
                word += f" {{NAME: {inner}}}"
            else:
                word += " of " + re.sub(r"\ba ((?:whole )?\w+)", r"\1s", inner)
        words.append(word)
    return " or ".join(words)
