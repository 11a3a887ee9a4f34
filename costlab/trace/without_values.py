"""Modules whose tensors are on ``meta`` because nobody has asked for values, only for costs.

Costlab makes these itself, of files and names. A counter that runs modules gets zeros in the place
of their weights; of a user's own module on ``meta`` that would be a guess.
"""

from __future__ import annotations

from weakref import WeakSet

from torch import nn

_MADE: WeakSet[nn.Module] = WeakSet()


def note_made(module: nn.Module) -> None:
    """Note a module that has no values and needs none."""
    _MADE.add(module)


def needs_values(module: nn.Module) -> bool:
    """Whether nothing may stand in for the values of a module's tensors."""
    return module not in _MADE
