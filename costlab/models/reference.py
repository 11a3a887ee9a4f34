"""MODEL: what a user names or holds, as a graph.

reduced                     an architecture of the catalog
reduced(c5r=24)             with choices: literals, never evaluated as code
naive/branch5x5             a part of it
googlenet(aux=True)/aux1
package.module:factory      Python code, which is imported: a module, or what makes one
file.py:factory(width=2)/head
report.json                 a report that costlab show wrote
"""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from costlab import catalog
from costlab.catalog.registry import Architecture
from costlab.errors import ChoiceError, CodeError, ShapeError, UnknownNameError
from costlab.graph import Graph
from costlab.graph.op import Shape
from costlab.models import python_code, saved_report

if TYPE_CHECKING:
    from typing import TypeGuard

    from torch import nn

_AFTER = r"(\((?P<choices>.*)\))?(/(?P<part>[^()]*))?"
_MODEL = re.compile(rf"(?P<name>[^/():]*){_AFTER}", re.DOTALL)
_CODE = re.compile(rf"(?P<place>[^():]*\.py|[\w.]+):(?P<name>[\w.]+){_AFTER}", re.DOTALL)
_SAVED = re.compile(r"(?P<file>.*\.json)(/(?P<part>[^()/]*(/[^()]*)?))?", re.DOTALL)


Model: TypeAlias = "str | Graph | nn.Module"


@dataclass(frozen=True)
class Run:
    """How a module is run to see what it computes: see ``costlab.analyze``."""

    inputs: Any = None
    kwargs: dict[str, Any] | None = None
    training: bool = False
    real: bool = False
    input_type: str = ""


AS_PUBLISHED = Run()


def resolve(
    model: Model,
    input_size: Iterable[int] | None = None,
    how: Run = AS_PUBLISHED,
    **choices: Any,
) -> Graph:
    """The graph that ``model`` names; a graph is itself, an ``nn.Module`` is traced.

    ``how`` says how a module is run, ``choices`` are further choices, as keyword arguments. Raises
    ``UnknownNameError``, ``ChoiceError``, ``ShapeError``; for code ``CodeError``, ``TraceError``;
    for a saved report ``ReportError``.
    """
    if is_module(model):
        if choices:
            raise ChoiceError("a module takes no choices: give them where it is made")
        return _traced(model, input_size, how)
    if how != AS_PUBLISHED and not is_followed(model):
        raise ChoiceError(
            "inputs, kwargs, input_type, training and real are for an nn.Module or Python code"
        )
    if isinstance(model, Graph):
        if choices or input_size is not None:
            raise ChoiceError(f"{model.name} is a finished graph: give choices where it is made")
        return model
    if not isinstance(model, str):
        kind = f"the class {model.__name__}" if isinstance(model, type) else type(model).__name__
        raise ChoiceError(
            f"a model is the name of an architecture, an nn.Module or a Graph, not {kind}; "
            "costlab.architectures() has the names"
        )
    if match := _CODE.fullmatch(model.strip()):
        written = _literals(model, match["choices"] or "") | choices
        module = python_code.load(match["place"], match["name"], written)
        name = model.strip().removesuffix(f"/{match['part']}")
        graph = _traced(module, input_size, how, name)
        return graph.part(match["part"]) if match["part"] else graph
    if match := _SAVED.fullmatch(model.strip()):
        if choices or input_size is not None:
            raise ChoiceError(f"{model} is a saved report: it has its input and its choices")
        graph = saved_report.load(match["file"])
        return graph.part(match["part"]) if match["part"] else graph
    if model.strip().endswith(".py"):
        raise CodeError(f"{model} is a file: say what makes the module, such as {model}:NAME")
    size = None if input_size is None else _size(input_size)
    return named(model, **choices).graph(size)


DIMENSIONS = {"N": "batch", "C": "channels", "H": "height", "W": "width"}
"""The dimensions of an input of the catalog, in order, by their letters."""


@dataclass(frozen=True)
class Named:
    """A model of the catalog as it was named: an architecture, its choices, and a part of it."""

    architecture: Architecture
    choices: dict[str, Any]
    part: str

    def graph(self, input_size: Shape | None = None, **choices: Any) -> Graph:
        """It on that input (default: the published one), with these choices in place of its own."""
        graph = self.architecture.graph(input_size, **self.choices | choices)
        return graph.part(self.part) if self.part else graph

    def values(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """All choices and dimensions of the input, by name: those given, else the published ones.

        A choice that is but the input's size is left out where dimensions are given.
        """
        entry = self.architecture
        choices = {**entry.choices, **self.choices, **given}
        sides = dict(zip(DIMENSIONS, entry.published_input(choices), strict=True))
        known = {**choices, **sides, **given}
        left_out = entry.sizing if given.keys() & DIMENSIONS.keys() else frozenset()
        return {name: value for name, value in known.items() if name not in left_out}

    def sized(self, given: Mapping[str, Any]) -> Graph:
        """It with these choices and dimensions of its input, which may be symbols or arrays."""
        choices = {name: value for name, value in given.items() if name not in DIMENSIONS}
        if len(choices) == len(given):
            return self.graph(None, **choices)
        values = self.values(given)
        size = tuple(values[side] for side in DIMENSIONS)
        own = {name: value for name, value in self.choices.items() if name in values}
        return Named(self.architecture, own, self.part).graph(size, **choices)

    def published(self, name: str) -> Any:
        """The published value of a choice, or 1 for a dimension. Raises ``UnknownNameError``."""
        entry = self.architecture
        if name in DIMENSIONS:
            return 1
        if name not in entry.choices:
            raise UnknownNameError(f"choice of {entry.name}", name, [*DIMENSIONS, *entry.choices])
        return entry.choices[name]

    def require_number(self, name: str) -> None:
        """Raises ``UnknownNameError`` or ``ChoiceError`` if it is no number that can vary."""
        entry, published = self.architecture, self.published(name)
        if name in entry.sizing:
            raise ChoiceError(f"{name} of {entry.name} is the size of its input: use H and W")
        if name not in DIMENSIONS and not entry.takes_many(name):
            raise ChoiceError(
                f"{name} of {entry.name} is no number to calculate with: each value is a network "
                f"of its own, such as '{entry.name}({name}={published!r})'"
            )


def named(model: str, **choices: Any) -> Named:
    """What a name of the catalog says. Raises ``UnknownNameError`` or ``ChoiceError``."""
    if not isinstance(model, str) or any(each.fullmatch(model.strip()) for each in (_CODE, _SAVED)):
        raise ChoiceError("formulas and sweeps are of models of the catalog: see costlab list")
    match = _MODEL.fullmatch(model.strip())
    if match is None:
        raise ChoiceError(
            f"cannot read the model {model!r}: write NAME, NAME(choice=value) or NAME/part"
        )
    architecture = catalog.architecture(match["name"])
    written = _literals(model, match["choices"] or "")
    if twice := sorted(written.keys() & choices.keys()):
        raise ChoiceError(f"{model!r} and the arguments both give {twice[0]}: give it once")
    return Named(architecture, written | choices, match["part"] or "")


def has_input(model: Model) -> bool:
    """Whether the input's size is settled: of a graph, and of a saved report."""
    return isinstance(model, Graph) or (
        isinstance(model, str) and _SAVED.fullmatch(model.strip()) is not None
    )


def is_followed(model: object) -> bool:
    """Whether its forward is followed: of a module, and of Python code that makes one."""
    return is_module(model) or (
        isinstance(model, str) and _CODE.fullmatch(model.strip()) is not None
    )


def is_module(model: object) -> TypeGuard[nn.Module]:
    """Whether it is an ``nn.Module``; does not import torch to know."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(model, torch.nn.Module)


def _traced(module: nn.Module, size: Iterable[int] | None, how: Run, name: str = "") -> Graph:
    from costlab.trace import trace

    size = None if size is None else _size(size)
    return trace(
        module,
        size,
        how.inputs,
        how.kwargs,
        input_type=how.input_type,
        training=how.training,
        real=how.real,
        name=name,
    )


def parse_size(text: str) -> tuple[int, ...]:
    """``"1,3,224,224"`` as a shape, the batch first. Raises ``ShapeError``."""
    numbers = [word.strip() for word in text.split(",")]
    if not all(re.fullmatch("[0-9]{1,12}", word) for word in numbers):
        raise ShapeError(
            f"cannot read the input size {text!r}: write whole numbers of at most 12 digits, "
            "the batch first, such as 1,3,224,224"
        )
    return tuple(int(word) for word in numbers)


def numbers(assignments: Iterable[str]) -> dict[str, float]:
    """``["H=W=28", "c5=24,width=0.5"]`` as a dict. Raises ``ChoiceError``."""
    found: dict[str, float] = {}
    for each in (part for text in assignments for part in text.split(",")):
        *names, value = (word.strip() for word in each.split("="))
        if not names or not re.fullmatch(r"[0-9]{1,12}|[0-9]{0,12}\.[0-9]{1,12}", value):
            raise ChoiceError(f"cannot read {each!r}: write NAME=VALUE, such as H=28 or H=W=28")
        if twice := [name for name in names if name in found]:
            raise ChoiceError(f"{twice[0]} is given twice: give it once")
        found.update(dict.fromkeys(names, float(value) if "." in value else int(value)))
    return found


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
