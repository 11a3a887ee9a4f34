"""Arguments of a constructor that are symbols: ``Net(width=w, hidden=4*w)``."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from costlab.errors import ChoiceError, UnknownNameError
from costlab.models.hub import hub_with_symbols
from costlab.models.module import Held, Made
from costlab.models.python_code import code_with_symbols, defaults_of, model_of
from costlab.models.reference import is_read, reference

if TYPE_CHECKING:
    from types import MethodType

    from torch import nn

    from costlab.graph.sizes import Sizes


class Choice(NamedTuple):
    """An argument that is made of symbols, as Python reads it."""

    written: ast.expr

    @property
    def names(self) -> list[str]:
        """The symbols in it, in order."""
        inside = [node for node in ast.walk(self.written) if isinstance(node, ast.Name)]
        return list(dict.fromkeys(node.id for node in inside))

    @property
    def alone(self) -> str:
        """The symbol that it is, or ``""``."""
        return self.written.id if isinstance(self.written, ast.Name) else ""

    def at(self, values: Mapping[str, Any]) -> Any:
        """What it is with values for the symbols."""
        return _at(self.written, values)


_SIGNS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
}


def _at(node: ast.expr, values: Mapping[str, Any]) -> Any:
    if isinstance(node, ast.Name):
        return values[node.id]
    if isinstance(node, ast.BinOp) and type(node.op) in _SIGNS:
        return _SIGNS[type(node.op)](_at(node.left, values), _at(node.right, values))
    if isinstance(node, (ast.List, ast.Tuple)):
        items = [_at(item, values) for item in node.elts]
        return items if isinstance(node, ast.List) else tuple(items)
    return _literal(node)


def _is_read(node: ast.expr) -> bool:
    """Whether `_at` knows what that is."""
    if isinstance(node, ast.BinOp):
        return type(node.op) in _SIGNS and _is_read(node.left) and _is_read(node.right)
    if isinstance(node, (ast.List, ast.Tuple)):
        return all(map(_is_read, node.elts))
    if isinstance(node, ast.Name):
        return True
    try:
        ast.literal_eval(node)
    except (ValueError, TypeError):
        return False
    return True


class Maker(Made):
    """A function that the caller has, which makes a module of numbers."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function, self.choices, self.part = function, dict[str, Any](), ""
        self.text = ""  # the module says its own name
        self.name = str(getattr(function, "__name__", "the function"))

    @property
    def defaults(self) -> dict[str, Any]:
        """What it takes, and what each argument is by default."""
        return defaults_of(self.function)

    def made(
        self, choices: dict[str, Any], real: bool = False, weightless: bool = False
    ) -> nn.Module | MethodType:
        """The module, made with the same random numbers each time. Raises ``CodeError``."""
        return model_of(lambda: self.function, self.name, choices, real, weightless)


def read_model(
    model: Any, symbols: Iterable[str], sizes: Iterable[str]
) -> tuple[Made | Held, dict[str, Choice]]:
    """The module that is meant, and its arguments that are made of symbols.

    ``symbols`` are those that are named beside the model, ``sizes`` those of its inputs. Raises
    ``ChoiceError`` and ``UnknownNameError``.
    """
    named, taken = list(symbols), [*symbols, *sizes]
    code = (hub_with_symbols(model) or code_with_symbols(model)) if isinstance(model, str) else None
    if code is not None:
        known: Any
        known, written = code
        known.require()
        choices = {}
        for name, node in written.items():
            choice = Choice(node)
            if not choice.names:
                known.choices[name] = _literal(node)
                continue
            if not _is_read(node):
                raise ChoiceError(
                    f"{name}={ast.unparse(node)}: symbols and numbers may be added, subtracted, "
                    "multiplied and divided by //, as in 4*w"
                )
            unknown = [symbol for symbol in choice.names if symbol not in taken]
            if unknown:
                raise ChoiceError(
                    f"{name}={ast.unparse(node)}: {unknown[0]} is no symbol; name it "
                    f"(--symbol {unknown[0]}), or put quotes around a word"
                )
            choices[name] = choice
        return known, choices | _arguments(known, choices, named, sizes)
    if callable(model) and not hasattr(model, "accepts") and not is_read(model):
        known = Maker(model)
        if not named:
            named = [name for name, default in known.defaults.items() if default is ...]
        return known, _arguments(known, {}, named, ())
    known = reference(model)
    if not isinstance(known, (Made, Held)):
        raise ChoiceError(
            "an input size with names is for an nn.Module or Python code; a model of the catalog "
            "has C, H and W already"
        )
    for name in named:
        if name not in sizes:
            hint = (
                ""
                if isinstance(known, Made)
                else (
                    "what a module was made with is no symbol any more: give a function that makes "
                    f"it, lambda {name}: Net({name}), or its code, mine.py:Net"
                )
            )
            raise UnknownNameError("symbol", name, sizes, hint)
    return known, {}


def own_sizes(model: Any, symbols: Iterable[str]) -> tuple[Sizes, dict[str, int]] | None:
    """The input that a model says itself, with names for what varies, and numbers for these.

    None for a model that says none. What is made of symbols is as it is by default.
    """
    hub = hub_with_symbols(model) if isinstance(model, str) else None
    if hub is not None:
        known, written = hub
        plain = {name: node for name, node in written.items() if not Choice(node).names}
        known.choices.update({name: _literal(node) for name, node in plain.items()})
        return known.varying(symbols)
    if isinstance(model, str) and code_with_symbols(model):
        return None
    known_model: Any = reference(model)
    return known_model.varying(symbols) if isinstance(known_model, Made) else None


def _literal(node: ast.expr) -> Any:
    """Raises ``ChoiceError``."""
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        raise ChoiceError(
            f"cannot read {ast.unparse(node)}: write numbers, True, False, quoted words, or "
            "symbols, also with + - * //"
        ) from None


def _arguments(
    known: Any, choices: Mapping[str, Choice], symbols: Iterable[str], sizes: Iterable[str]
) -> dict[str, Choice]:
    """Symbols that stand nowhere yet are arguments of that name."""
    written = {name for choice in choices.values() for name in choice.names}
    free = [name for name in symbols if name not in written and name not in sizes]
    written_there = getattr(known, "written_arguments", lambda: None)() if free else None
    if written_there is not None:
        _require_taken(free, written_there, sizes)  # before the code is imported
    _require_taken(free, getattr(known, "defaults", {}) if free else {}, sizes)
    return {name: Choice(ast.Name(name)) for name in free}


def _require_taken(symbols: list[str], arguments: Iterable[str], sizes: Iterable[str]) -> None:
    """Raises ``UnknownNameError`` for a symbol that is no argument."""
    taken = [*sizes, *arguments]
    hint = "a symbol is a size of the input or an argument of the model"
    for name in symbols:
        if name not in taken:
            raise UnknownNameError("symbol", name, taken, hint)


def usual_value(name: str, choices: Mapping[str, Choice], defaults: Mapping[str, Any]) -> int:
    """The number of a symbol where nothing is said: the argument's default, or 64."""
    for argument, choice in choices.items():
        default = defaults.get(argument)
        if choice.alone == name and type(default) is int and default > 1:
            return default
    return 64
