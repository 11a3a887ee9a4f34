"""An exported program as data: what it takes and holds, and its steps by the modules they are of.

An exporter notes for each operation the calls of modules around it, the outermost first. Operations
that follow each other inside of one such call become one `Call`, which takes and gives values as
the call of a module does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any, NamedTuple, TypeAlias

from torch import Tensor, dtype

from costlab.errors import ProgramError


class Ref(NamedTuple):
    """A value by its name, among the arguments of an operation."""

    name: str


class Dim(NamedTuple):
    """A dimension: its size when it was exported, and by which name it varies (``""``: never).

    The size is 0 where none was noted.
    """

    size: int
    name: str = ""


class Kind(NamedTuple):
    """The shape and type of a tensor."""

    dims: tuple[Dim, ...]
    dtype: dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape when it was exported."""
        return tuple(dim.size for dim in self.dims)


class Input(NamedTuple):
    """A tensor that the program is called with."""

    name: str
    kind: Kind


class Held(NamedTuple):
    """A parameter or buffer: the value that it is, its path, and the tensor."""

    name: str
    path: str
    tensor: Tensor


class ModuleCall(NamedTuple):
    """The call of a module: a key that this call alone has, and the path of the module."""

    key: str
    path: str


class NotFollowedError(Exception):
    """A function of a program is called in a way that is not known here: then it is uncounted."""


Results: TypeAlias = "str | list[Results] | None"
"""What an operation gives, by the names of values; None is nothing that anybody takes."""


class Node(NamedTuple):
    """An operation: ``target`` is a function or the name of an unknown one.

    ``scopes`` are the calls of modules around it. ``kinds`` gives what its tensors are as exported,
    for an operation that is not followed; raises ``ProgramError`` where nobody knows.
    """

    target: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    results: Results
    scopes: tuple[ModuleCall, ...] = ()
    kinds: Callable[[], tuple[Kind, ...]] = tuple


@dataclass(frozen=True, eq=False)
class Body:
    """A function: the names of what it takes, its operations, and what it gives (with `Ref`)."""

    takes: tuple[str, ...]
    nodes: tuple[Node, ...]
    gives: Any
    around: tuple[ModuleCall, ...] = ()
    """The calls of modules in which it is called."""


@dataclass
class Call:
    """Steps inside of one call of a module; it ``takes`` and ``gives`` values by their names."""

    path: str
    steps: list[Node | Call] = field(default_factory=list)
    takes: tuple[str, ...] = ()
    gives: tuple[str, ...] = ()
    last: list[tuple[str, ...]] = field(default_factory=list)
    """By step the values that no later one takes."""


@dataclass(frozen=True, eq=False)
class Program:
    """A program, with the names of classes by the paths of modules.

    ``fixed`` are values that are no tensors, ``limits`` what names of dimensions may be.
    """

    inputs: tuple[Input, ...]
    held: tuple[Held, ...]
    body: Body
    classes: dict[str, str]
    fixed: dict[str, Any] = field(default_factory=dict)
    limits: dict[str, tuple[int, int | None]] = field(default_factory=dict)
    about: str = ""


def require_order(program: Program) -> None:
    """Raises ``ProgramError`` where an operation takes what nothing before it gives."""
    tensors: tuple[Input | Held, ...] = (*program.inputs, *program.held)
    _require_order(program.body, {*program.fixed, *(tensor.name for tensor in tensors)})


def _require_order(body: Body, given: set[str]) -> None:
    for node in body.nodes:
        _require_given(names_in([node.args, node.kwargs]), given)
        for inner in (*node.args, *node.kwargs.values()):
            if isinstance(inner, Body):
                _require_order(inner, set(inner.takes))
        given.update(names_of(node.results))
    _require_given(names_in(body.gives), given)


def _require_given(names: Iterable[str], given: set[str]) -> None:
    for name in names:
        if name not in given:
            raise ProgramError(f"{name[:100]!r} is taken, and nothing before gives it")


def names_in(value: Any) -> Iterator[str]:
    """The names of the values in nested arguments."""
    if isinstance(value, Ref):
        yield value.name
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from names_in(item)
    elif isinstance(value, dict):
        yield from names_in(list(value.values()))
    elif isinstance(value, slice):
        yield from names_in([value.start, value.stop, value.step])


def names_of(results: Results) -> Iterator[str]:
    """The names of results."""
    if isinstance(results, str):
        yield results
    elif results is not None:
        for result in results:
            yield from names_of(result)


def steps_of(body: Body) -> Call:
    """The operations of a function by calls of modules."""
    root = Call("")
    opened: list[tuple[ModuleCall, Call]] = []
    for node in body.nodes:
        scopes = node.scopes[_common(node.scopes, body.around) :]
        kept = _common(scopes, [module for module, _ in opened])
        del opened[kept:]
        for module in scopes[kept:]:
            call = Call(module.path)
            (opened[-1][1] if opened else root).steps.append(call)
            opened.append((module, call))
        (opened[-1][1] if opened else root).steps.append(node)
    wanted = Counter(names_in(body.gives))
    total = _uses(root) + wanted
    _connect(root, total)
    root.takes, root.gives = body.takes, tuple(wanted)
    _let_go(root)
    return root


def _common(scopes: Sequence[ModuleCall], others: Sequence[ModuleCall]) -> int:
    """How many calls two places have in common, from the outermost on."""
    alike = (scope.key == other.key for scope, other in zip(scopes, others, strict=False))
    return sum(1 for _ in takewhile(bool, alike))


def _uses(call: Call) -> Counter[str]:
    """How often each value is taken inside of a call."""
    uses: Counter[str] = Counter()
    for step in call.steps:
        uses.update(_uses(step) if isinstance(step, Call) else names_in([step.args, step.kwargs]))
    return uses


def _made(call: Call) -> Iterator[str]:
    for step in call.steps:
        yield from _made(step) if isinstance(step, Call) else names_of(step.results)


def _connect(call: Call, total: Counter[str]) -> None:
    """Say what each call of a module takes from outside, and gives to what is outside."""
    for step in call.steps:
        if isinstance(step, Call):
            uses, made = _uses(step), dict.fromkeys(_made(step))
            step.takes = tuple(name for name in uses if name not in made)
            step.gives = tuple(name for name in made if total[name] > uses[name])
            _connect(step, total)
            _let_go(step)


def _let_go(call: Call) -> None:
    """Say after which step each value is taken no more."""
    last: dict[str, int] = {}
    for number, step in enumerate(call.steps):
        taken: Iterable[str] = step.takes if isinstance(step, Call) else ()
        if isinstance(step, Node):
            taken = (*names_in([step.args, step.kwargs]), *names_of(step.results))
        last.update(dict.fromkeys(taken, number))
        if isinstance(step, Call):
            last.update(dict.fromkeys(step.gives, number))
    for name in call.gives:
        last.pop(name, None)
    by_step: dict[int, list[str]] = {}
    for name, number in last.items():
        by_step.setdefault(number, []).append(name)
    call.last = [tuple(by_step.get(number, ())) for number in range(len(call.steps))]
