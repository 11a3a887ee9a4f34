"""MODEL: what a user names, as a graph.

reduced                     an architecture of the catalog
reduced(c5r=24)             with choices: literals, never evaluated as code
naive/branch5x5             a part of it
googlenet(aux=True)/aux1
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from typing import Any

from costlab import catalog
from costlab.errors import ChoiceError, ShapeError
from costlab.graph import Graph

_MODEL = re.compile(r"(?P<name>[^/()]*)(\((?P<choices>.*)\))?(/(?P<part>[^()]*))?", re.DOTALL)


def resolve(model: str | Graph, input_size: Iterable[int] | None = None, **choices: Any) -> Graph:
    """The graph that ``model`` names; a graph is itself.

    ``choices`` are further choices, as keyword arguments. Raises ``UnknownNameError``,
    ``ChoiceError`` or ``ShapeError``.
    """
    if isinstance(model, Graph):
        if choices or input_size is not None:
            raise ChoiceError(f"{model.name} is a finished graph: give choices where it is made")
        return model
    if not isinstance(model, str):
        raise ChoiceError(
            f"a model is the name of an architecture or a Graph, not {type(model).__name__}; "
            "costlab.architectures() has the names"
        )
    match = _MODEL.fullmatch(model.strip())
    if match is None:
        raise ChoiceError(
            f"cannot read the model {model!r}: write NAME, NAME(choice=value) or NAME/part"
        )
    architecture = catalog.architecture(match["name"])
    written = _literals(model, match["choices"] or "")
    if twice := sorted(written.keys() & choices.keys()):
        raise ChoiceError(f"{model!r} and the arguments both give {twice[0]}: give it once")
    size = None if input_size is None else _size(input_size)
    graph = architecture.graph(size, **written, **choices)
    return graph.part(match["part"]) if match["part"] else graph


def parse_size(text: str) -> tuple[int, ...]:
    """``"1,3,224,224"`` as a shape, the batch first. Raises ``ShapeError``."""
    numbers = [word.strip() for word in text.split(",")]
    if not all(re.fullmatch("[0-9]{1,12}", word) for word in numbers):
        raise ShapeError(
            f"cannot read the input size {text!r}: write whole numbers of at most 12 digits, "
            "the batch first, such as 1,3,224,224"
        )
    return tuple(int(word) for word in numbers)


def _size(given: Iterable[int]) -> tuple[int, ...]:
    if not isinstance(given, Iterable) or isinstance(given, str):
        raise ShapeError(
            f"input_size is a shape, the batch first, such as (1, 3, 224, 224), not {given!r}"
        )
    return tuple(given)


def _literals(model: str, arguments: str) -> dict[str, Any]:
    """``c5r=24, aux=True`` as a dict. Values are Python literals; nothing is evaluated."""
    import ast

    if not arguments.strip():
        return {}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about strange escapes in strings
            call = ast.parse(f"_({arguments})", mode="eval").body
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and not call.args:
            pairs = [(word.arg, ast.literal_eval(word.value)) for word in call.keywords]
            literals = {name: value for name, value in pairs if name is not None}
            if len(literals) == len(pairs):
                return literals
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        pass
    raise ChoiceError(
        f"cannot read the choices of {model!r}: write NAME=VALUE, separated by commas, "
        "with numbers, True, False or quoted words, such as reduced(c5r=24)"
    )
