"""For each operation: how to draw a configuration, and how to execute its definition.

A configuration is an op and the shapes of its inputs, small enough to loop over. Every subclass of
``Op`` must have a case here, or the tests that use them fail.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

import costlab.ops
from cases.base import Case
from cases.built import BUILT
from cases.sampling import SAMPLING
from cases.selecting import SELECTING
from cases.traced import RULELESS, TRACED
from costlab.graph.op import Op
from costlab.ops.uncounted import Uncounted

CASES: dict[type[Op], Case] = {**BUILT, **TRACED, **SELECTING, **SAMPLING}


def operations() -> set[type[Op]]:
    """Every operation that costlab has a rule for."""
    modules = [
        import_module(f"costlab.ops.{module.name}") for module in iter_modules(costlab.ops.__path__)
    ]
    found = {each for module in modules for each in vars(module).values() if isinstance(each, type)}
    return (
        {each for each in found if issubclass(each, Op) and "name" in vars(each)}
        - {Uncounted}
        - RULELESS
    )
