"""Counts what a convolutional network costs, and makes each number defensible.

>>> import costlab
>>> costlab.analyze("naive/branch5x5").total.macs
120422400

One MAC is one multiplication and one addition inside a contraction (convolution, linear layer,
matrix product). Counts are exact Python ints. Importing costlab imports neither torch nor pandas.
"""

from __future__ import annotations

from costlab.build import build
from costlab.catalog import architectures
from costlab.compare import Comparison, compare
from costlab.costs import CostTable, analyze
from costlab.crosscheck import CrossCheck, crosscheck
from costlab.custom import counting
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
from costlab.formula import Formula, formula
from costlab.graph import Graph, Net
from costlab.ledger import Ledger, ledger
from costlab.opcount import OpCount
from costlab.reconcile import reconcile
from costlab.reconciliation import Reconciliation
from costlab.sweep import sweep
from costlab.version import __version__

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
    "reconcile",
    "sweep",
]
