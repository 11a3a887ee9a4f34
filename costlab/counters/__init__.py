"""Foreign counters, one file each. They know nothing of costlab's rules.

A file ``NAME.py`` in this folder with a function ``measure(module, inputs) -> Measurement`` is the
counter NAME, which can cross-check; with ``total(module, inputs) -> Total`` and a ``CONVENTION`` it
can be reconciled, and if it tells params too it has ``PARAMS``. Both functions take a module in
evaluation mode, which is theirs to spoil, and its inputs. ``PACKAGE`` is what they import, if that
is not always there.
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

    ``calls`` are separated by spaces, and any of them fits:

    - an operation of our table: ``batch_norm``, ``conv[padding=same]`` with an attribute,
      ``contraction`` for any that has one;
    - what is called, as the code writes it: ``F.relu``, ``Tensor.add``; ``*.baddbmm`` whoever has
      it; ``F.multi_head_attention_forward:softmax`` for an operation that it consists of;
    - a call of a module, as a hook on it sees it: ``nn.Linear``, ``nn.GroupNorm[affine=True]``
      (``given`` is any value but None), or one without children: ``leaf``, those named for what
      they are ``leaf[named=Conv]`` or not ``leaf[named=other]``, ``leaf[recurrent=True]``.

    ``but`` are those of them of which it does not speak. A ``cause`` is what is counted, and after
    a comma how: counters that count the same call it the same.

    ``units`` are how many units it counts for each of a quantity of
    `costlab.checks.counter_quantities`. ``fault`` says that the tool does not do what it means to.
    ``again`` is the name of the fault that a module that stands in several places of the model is
    counted in each of them, if it is; with ``power`` 2 as often as places in each.
    """

    cause: str
    calls: str
    units: dict[str, int]
    fault: bool = False
    again: str = ""
    power: int = 1
    but: str = ""


@dataclass(frozen=True)
class Params:
    """Which parameters a counter counts, and what it calls the rest.

    ``of`` is ``all`` that are registered, each tensor once; ``trainable`` ones; ``tree`` for those
    of called modules without children, and what the modules around them have beyond; or the classes
    of modules (``nn.Linear``) whose parameters it counts, for every place of the module.
    ``missing`` is why it leaves some out,
    ``again`` why it counts some more than once.
    """

    of: str
    missing: str = ""
    again: str = ""


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
