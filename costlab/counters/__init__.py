"""Foreign counters, one file each. They know nothing of costlab's rules.

A file NAME.py in this folder that says ``COUNTER = Counter("NAME", ...)`` registers the counter
NAME, and what it can do: with ``measure`` it has MACs of layers, with ``total`` and a
``convention`` a total that is compared in named terms. The files are imported to list the counters
in help and errors, so whatever is slow to import (torch, the tool) is imported inside their
functions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from itertools import accumulate
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any

from costlab.errors import UnknownNameError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from costlab.counters.terms import Params, Term


@dataclass(frozen=True)
class Measurement:
    """What a counter found, by module path.

    ``values`` holds a quantity's numbers: ``macs``, the multiply-adds of contractions (one a
    multiplication and an addition); ``params``; ``output``, a shape. A path without a number was
    not seen. ``version`` leaves out what a build is for (``+cpu``). ``gaps`` says why a number
    misses something, in the counter's own words.
    """

    counter: str
    version: str
    values: dict[str, dict[str, Any]]
    gaps: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class CounterTotal:
    """A counter's own total, in its own unit; and its params, where it has a number for them.

    ``by_path`` are its totals of modules, each with all inside of it, where the counter tells.
    ``beside`` is what it counts, how and how much, that is no operation of the model, such as
    arithmetic of sizes: a fault that only its own trace can tell of.
    """

    version: str
    total: int
    params: int | None = None
    by_path: dict[str, int] = field(default_factory=dict)
    beside: tuple[tuple[str, str, int], ...] = ()


def scopes(path: str) -> Iterable[str]:
    """``a.b.conv`` as ``a``, ``a.b`` and ``a.b.conv``."""
    return accumulate(path.split("."), "{}.{}".format)


def of_modules(counts: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Totals of modules, each with all inside of it, from counts of modules' own by path."""
    sums: dict[str, int] = {}
    for path, count in counts:
        for scope in scopes(path):
            sums[scope] = sums.get(scope, 0) + count
    return sums


@dataclass(frozen=True, eq=False)
class Counter:
    """A foreign counter: its name, and what it can do.

    ``measure`` and ``total`` take a module, which is theirs to spoil, and its inputs. ``by_module``
    says that its total has those of modules too. ``convention`` says what makes up the total, in
    units of which ``unit`` are a MAC, ``params`` its number of params, if it tells one. ``package``
    is what it imports, if that is not always there, ``is_imported`` whether what has that name is
    this tool and not another, ``extra`` costlab's that has it, or ``install`` what pip installs,
    ``versions`` how those begin of which the convention is known. ``undo`` puts back what it leaves
    changed, where more than functions of torch has to be put back; it is called however a run
    ended.
    """

    name: str
    package: str = ""
    is_imported: Callable[[Any], bool] | None = None
    extra: str = "counters"
    install: str = ""
    versions: tuple[str, ...] = ()
    measure: Callable[[nn.Module, tuple[Tensor, ...]], Measurement] | None = None
    total: Callable[[nn.Module, tuple[Tensor, ...]], CounterTotal] | None = None
    by_module: bool = False
    convention: tuple[Term, ...] = ()
    unit: int = 1
    params: Params | None = None
    undo: Callable[[], None] | None = None

    @property
    def reconciles(self) -> bool:
        """Whether its total can be reconciled."""
        return self.total is not None and bool(self.convention)

    @property
    def crosschecks(self) -> bool:
        """Whether it can cross-check: by layers, or as far as its total can be reconciled."""
        return self.measure is not None or self.reconciles


def known() -> list[str]:
    """The names of the counters that can cross-check."""
    return [counter.name for counter in _registered() if counter.crosschecks]


def reconcilable() -> list[str]:
    """The names of the counters that can be reconciled."""
    return [counter.name for counter in _registered() if counter.reconciles]


def find(name: str) -> Counter | None:
    """The counter of that name, if there is one; no other file is imported."""
    if name not in _files():
        return None
    counter = getattr(import_module(f"{__name__}.{name}"), "COUNTER", None)
    # one that is imported from another file is registered there, and not here
    return counter if isinstance(counter, Counter) and counter.name == name else None


def chosen(name: str, can: Callable[[Counter], bool]) -> Counter:
    """The counter of that name, if it is one that can. Raises ``UnknownNameError``."""
    counter = find(name)
    if counter is None or not can(counter):
        names = [other.name for other in _registered() if can(other)]
        raise UnknownNameError("counter", name, names, listed=", ".join(names))
    return counter


def measure(name: str, module: nn.Module, inputs: tuple[Tensor, ...]) -> Measurement:
    """Run a counter that measures layers. Raises whatever the counter raises."""
    counter = find(name)
    assert counter is not None
    assert counter.measure is not None
    return counter.measure(module, inputs)


def _registered() -> list[Counter]:
    return [counter for name in sorted(_files()) if (counter := find(name)) is not None]


@cache
def _files() -> frozenset[str]:
    return frozenset(file.name for file in iter_modules(__path__))
