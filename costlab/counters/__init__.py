"""Foreign counters, one file each. They know nothing of costlab's rules.

A file ``NAME.py`` in this folder with a function ``measure(module, inputs) -> Measurement`` is the
counter NAME, which can cross-check; with ``total(module, inputs) -> Total`` and a ``CONVENTION`` it
can be reconciled. Both take a module in evaluation mode, which is theirs to spoil, and its inputs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any

from costlab.errors import UnknownNameError

if TYPE_CHECKING:
    from torch import Tensor, nn


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
class Total:
    """A counter's own total, in its own unit; and its params, where it has a number for them.

    ``places`` are its totals by module path, each with all inside of it, where the counter tells.
    """

    version: str
    total: int
    params: int | None = None
    places: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Line:
    """A part of a counter's convention: what it counts for some calls, and under what name.

    ``calls`` are separated by spaces, and any of them fits: an operation (``batch_norm``), with an
    attribute if wanted (``conv[padding=same]``); an operation that is what a module of ``torch.nn``
    of that class does (``nn.ReLU:relu``); what is called (``F.relu``); or a whole call of a module
    without children (``leaf``, ``leaf[named=Conv]``, ``leaf[named=other]``). ``units`` are how many
    units it counts for each of a quantity of `costlab.reconcile`: ``macs``, ``outputs`` and
    ``inputs`` (elements), ``bias`` (elements that a bias is added to), ``rows`` (of a softmax) and
    others. ``fault`` says that the tool does not do what it means to.
    """

    cause: str
    calls: str
    units: dict[str, int]
    fault: bool = False


def known() -> list[str]:
    """The names of the counters that can cross-check."""
    return _with("measure")


def reconcilable() -> list[str]:
    """The names of the counters that can be reconciled."""
    return _with("CONVENTION")


def _with(attribute: str) -> list[str]:
    """The counters whose file defines it, without importing them."""
    return sorted(
        module.name
        for module in iter_modules(__path__)
        if re.search(rf"^(def )?{attribute}\b", _source(module.name), re.MULTILINE)
    )


@cache
def _source(name: str) -> str:
    return Path(__path__[0], f"{name}.py").read_text(encoding="utf-8")


def measure(counter: str, module: nn.Module, inputs: tuple[Tensor, ...]) -> Measurement:
    """Run a counter. Raises ``UnknownNameError``, and whatever the counter raises."""
    if counter not in known():
        raise UnknownNameError("counter", counter, known())
    measurement: Measurement = import_module(f"{__name__}.{counter}").measure(module, inputs)
    return measurement
