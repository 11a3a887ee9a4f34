"""Counts what a convolutional network costs, and makes each number defensible.

>>> import costlab
>>> costlab.analyze("naive/branch5x5").total.macs
120422400

One MAC is one multiplication and one addition inside a contraction (convolution, linear layer,
matrix product). Counts are exact Python ints. Importing costlab imports neither torch nor pandas.
"""

from __future__ import annotations

import importlib
import typing

from costlab.catalog import architectures
from costlab.costs.table import CostTable, analyze
from costlab.errors import (
    ChoiceError,
    CodeError,
    CostlabError,
    CounterError,
    ExpressionError,
    FigureError,
    ReportError,
    ShapeError,
    SweepError,
    TraceError,
    UnknownNameError,
)
from costlab.graph import Graph, Net
from costlab.graph.opcount import OpCount
from costlab.models.rules import counting
from costlab.version import __version__
from costlab.views.compare import Comparison, compare

if typing.TYPE_CHECKING:
    from costlab.checks.crosscheck import CrossCheck, crosscheck
    from costlab.checks.reconcile import reconcile
    from costlab.checks.reconciliation import Reconciliation
    from costlab.figures.ledger import Ledger, ledger
    from costlab.footprint.memory import memory
    from costlab.footprint.result import Memory
    from costlab.formulas.formula import Formula, formula
    from costlab.modules.build import build
    from costlab.sweeps.sweep import sweep

__all__ = [
    "ChoiceError",
    "CodeError",
    "Comparison",
    "CostTable",
    "CostlabError",
    "CounterError",
    "CrossCheck",
    "ExpressionError",
    "FigureError",
    "Formula",
    "Graph",
    "Ledger",
    "Memory",
    "Net",
    "OpCount",
    "Reconciliation",
    "ReportError",
    "ShapeError",
    "SweepError",
    "TraceError",
    "UnknownNameError",
    "__version__",
    "analyze",
    "architectures",
    "build",
    "compare",
    "counting",
    "crosscheck",
    "formula",
    "ledger",
    "memory",
    "reconcile",
    "sweep",
]

_LATER = {
    "CrossCheck": "costlab.checks.crosscheck",
    "crosscheck": "costlab.checks.crosscheck",
    "reconcile": "costlab.checks.reconcile",
    "Reconciliation": "costlab.checks.reconciliation",
    "Ledger": "costlab.figures.ledger",
    "ledger": "costlab.figures.ledger",
    "Memory": "costlab.footprint.result",
    "memory": "costlab.footprint.memory",
    "Formula": "costlab.formulas.formula",
    "formula": "costlab.formulas.formula",
    "build": "costlab.modules.build",
    "sweep": "costlab.sweeps.sweep",
}
"""The homes of names that are imported at their first use: a table does not wait for them."""


def __getattr__(name: str) -> typing.Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(_LATER[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})
