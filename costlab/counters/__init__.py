"""Foreign counters, one file each. They know nothing of costlab's rules.

A file ``NAME.py`` in this folder with a function ``measure(module, inputs) -> Measurement`` is the
counter NAME. It takes a module in evaluation mode, which it may not change, and its inputs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import import_module
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


def known() -> list[str]:
    """The names of all counters."""
    return sorted(module.name for module in iter_modules(__path__))


def measure(counter: str, module: nn.Module, inputs: tuple[Tensor, ...]) -> Measurement:
    """Run a counter. Raises ``UnknownNameError``, and whatever the counter raises."""
    if counter not in known():
        raise UnknownNameError("counter", counter, known())
    measurement: Measurement = import_module(f"{__name__}.{counter}").measure(module, inputs)
    return measurement
