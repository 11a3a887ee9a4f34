"""What a counter's convention is made of: terms, each of them what it counts, and for what.

A forward pass is a list of events: operations, and calls of modules. ``where`` selects those that a
term is about:

- ``operation("conv", padding="same")``: operations of our table, by their attributes;
- ``call("F.relu")``: a call as the code writes it, which a counter sees that puts a function of its
  own in the place of torch's; ``call("F.linear", consists_of="add")`` for an operation in it;
- ``function("mv")``: a call of that function, however the code comes to it;
- ``module("nn.GroupNorm", affine=True)``: a call of a module, as a hook on it sees it;
  ``derived("nn.GroupNorm")`` of one of a class that is derived from it too;
- a function of the event, for what one counter alone looks at.

They are added with ``+``, and any of them fits. Every name is looked up before a convention is
used (`costlab.checks.convention_names`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from costlab.counters.events import Event

if TYPE_CHECKING:
    from torch import nn

Where: TypeAlias = "tuple[Callable[[Event], bool], ...]"
"""What a term is about: events that any of these is true of."""
UnitsOf: TypeAlias = "Callable[[Event], int]"
"""A number of an event, of which a counter counts so many units each."""


@dataclass(frozen=True, eq=False)
class Macs:
    """A quantity that is multiply-adds of contractions: as we count them, or as a counter does.

    Others, such as elements of a bias, are what a counter counts beside these.
    """

    of: UnitsOf

    def __call__(self, event: Event) -> int:
        return self.of(event)


GIVEN = object()
"""For an attribute that has any value but None."""


@dataclass(frozen=True, eq=False)
class ByOperation:
    """Operations of a name and with these attributes."""

    name: str
    attributes: Mapping[str, Any]

    def __call__(self, event: Event) -> bool:
        operation = event.operation
        if operation is None or operation.name != self.name:
            return False
        return _has(operation.attributes, self.attributes)


@dataclass(frozen=True, eq=False)
class ByCall:
    """Operations by what was called, ``F.relu``, as the code writes it."""

    name: str
    consists_of: ByOperation | None

    def __call__(self, event: Event) -> bool:
        if event.operation is None or event.operation.call != self.name:
            return False
        return self.consists_of is None or self.consists_of(event)


@dataclass(frozen=True, eq=False)
class ByFunction:
    """Operations by the function that was called: by its name, by a method or an operator."""

    name: str
    consists_of: ByOperation | None

    def __call__(self, event: Event) -> bool:
        operation = event.operation
        if operation is None or _plain(operation.call) != self.name:
            return False
        return self.consists_of is None or self.consists_of(event)


@dataclass(frozen=True, eq=False)
class ByModule:
    """Calls of modules of a class of ``torch.nn``, and with these attributes.

    ``derived`` are those of classes that are derived from it too.
    """

    name: str
    attributes: Mapping[str, Any]
    derived: bool = False

    def __call__(self, event: Event) -> bool:
        return event.module is not None and self.fits(event.module)

    def fits(self, module: nn.Module) -> bool:
        """Whether it is about that module."""
        kinds = type(module).__mro__ if self.derived else (type(module),)
        return any(map(self._is_it, kinds)) and _has(module, self.attributes)

    def _is_it(self, kind: type) -> bool:
        return kind.__module__.startswith("torch.nn.") and f"nn.{kind.__name__}" == self.name


def operation(*names: str, **attributes: Any) -> Where:
    """Operations of any of these names, and with all of these attributes."""
    return tuple(ByOperation(name, attributes) for name in names)


def call(*names: str, consists_of: str = "", **attributes: Any) -> Where:
    """Calls as the code writes them; if it says so, only the operations a call ``consists_of``."""
    part = _part(consists_of, attributes)
    return tuple(ByCall(name, part) for name in names)


def function(*names: str, consists_of: str = "", **attributes: Any) -> Where:
    """Calls of these functions in any spelling; ``consists_of`` as in `call`."""
    part = _part(consists_of, attributes)
    return tuple(ByFunction(name, part) for name in names)


def module(*names: str, **attributes: Any) -> Where:
    """Calls of modules of these classes, and with all of these attributes."""
    return tuple(ByModule(name, attributes) for name in names)


def derived(*names: str, **attributes: Any) -> tuple[ByModule, ...]:
    """Calls of modules of these classes and of those that are derived from them."""
    return tuple(ByModule(name, attributes, derived=True) for name in names)


def of_ranks(*kinds: str) -> list[str]:
    """Names of modules for one, two and three axes: ``Conv`` is ``nn.Conv1d`` and so on."""
    return [f"nn.{kind}{rank}d" for kind in kinds for rank in (1, 2, 3)]


def has_contraction(event: Event) -> bool:
    """Whether it is an operation that has multiply-adds of a contraction."""
    return event.operation is not None and event.operation.has_contraction


def is_einsum(event: Event) -> bool:
    """Whether it stands for a call of ``einsum``."""
    return event.operation is not None and event.operation.einsum is not None


def built(name: str) -> Where:
    """Operations of a name that are modules of our own, whose function is not noted."""
    return (lambda event: _is_built(event, name),)


def in_autograd_function(event: Event) -> bool:
    """Whether it is called in the forward of a ``torch.autograd.Function``."""
    return event.operation is not None and event.operation.in_function


def in_place(event: Event) -> bool:
    """Whether the result of an operation is in the memory of an input."""
    return event.operation is not None and event.operation.in_place


def leads_nowhere(event: Event) -> bool:
    """Whether it is an operation on which no output of the model depends."""
    return event.operation is not None and event.operation.leads_nowhere


@dataclass(frozen=True, eq=False)
class Repeats:
    """The fault that a module that is registered under p paths is counted in each of them.

    Each of its calls is counted p times, with ``power`` 2 p² times.
    """

    how: str
    power: int = 1


@dataclass(frozen=True, eq=False)
class Term:
    """A part of a counter's convention: what it counts for some events, and under what name.

    ``what`` and ``how`` it counts are for people: counters that count the same call it the same.
    ``units`` are how many it counts for one of each quantity (`costlab.counters.quantities` has
    those that several counters count). ``but`` are those of ``where`` that it is not about.
    ``fault`` says that the tool does not do what it means to, ``named`` how the tool itself calls
    what it has no rule for.
    """

    what: str
    how: str = ""
    _: KW_ONLY
    where: Where
    units: Mapping[UnitsOf, int]
    fault: bool = False
    repeats: Repeats | None = None
    but: Where = ()
    named: str = ""

    @property
    def macs(self) -> dict[UnitsOf, int]:
        """Those of its units that are multiply-adds."""
        return {of: factor for of, factor in self.units.items() if isinstance(of, Macs)}

    def counts(self, event: Event) -> bool:
        """Whether it is about this event."""
        return _any(self.where, event) and not _any(self.but, event)


@dataclass(frozen=True, eq=False)
class Params:
    """Which parameters a counter counts, and what it calls the rest.

    ``of`` is ``all`` that are registered, each tensor once, ``trainable`` ones, or the modules
    whose parameters it counts when they are called, for every path of the module. ``missing`` is
    why it leaves some out, ``repeated`` why it counts some more than once. ``together`` is its
    number from the model and the paths of the modules that are called, where it is no sum over
    parameters.
    """

    of: Literal["all", "trainable"] | Where
    _: KW_ONLY
    missing: str = ""
    repeated: str = ""
    together: Callable[[nn.Module, Iterable[str]], int] | None = None


def _part(name: str, attributes: Mapping[str, Any]) -> ByOperation | None:
    if attributes and not name:
        raise TypeError(f"attributes {', '.join(attributes)} of which operation? (consists_of)")
    return ByOperation(name, attributes) if name else None


def _plain(call: str) -> str:
    """The name of a function, also of one that is written as an operator."""
    name = call.strip("()").rpartition(".")[2]
    return name.strip("_") if name.startswith("__") else name


def _is_built(event: Event, name: str) -> bool:
    operation = event.operation
    return operation is not None and operation.name == name and not operation.call


def _has(holder: Any, attributes: Mapping[str, Any]) -> bool:
    for name, wanted in attributes.items():
        value = getattr(holder, name, None)  # one that it could have, and does not, is None
        if value is None if wanted is GIVEN else value != wanted:
            return False
    return True


def _any(where: Where, event: Event) -> bool:
    return any(fits(event) for fits in where)
