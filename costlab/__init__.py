"""Counts what a convolutional network costs, and makes each number defensible.

>>> import costlab
>>> costlab.analyze("naive/branch5x5").total.macs
120422400

One MAC is one multiplication and one addition inside a contraction (convolution, linear layer,
matrix product). Counts are exact Python ints. Importing costlab imports neither torch nor pandas.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from costlab.catalog import architectures
from costlab.compare import Comparison, compare
from costlab.costs import CostTable, analyze
from costlab.counters import known as counters
from costlab.crosscheck import CrossCheck, crosscheck
from costlab.errors import (
    ChoiceError,
    CostlabError,
    CounterError,
    ShapeError,
    UnknownNameError,
)
from costlab.graph import Graph, Net
from costlab.version import __version__

if TYPE_CHECKING:
    from costlab.build import build as build

__all__ = [
    "ChoiceError",
    "Comparison",
    "CostTable",
    "CostlabError",
    "CounterError",
    "CrossCheck",
    "Graph",
    "Net",
    "ShapeError",
    "UnknownNameError",
    "__version__",
    "analyze",
    "architectures",
    "build",
    "compare",
    "counters",
    "crosscheck",
]


def __getattr__(name: str) -> Any:
    if name == "build":  # the only public name that needs torch
        from costlab.build import build

        return build
    raise AttributeError(f"module 'costlab' has no attribute {name!r}")
