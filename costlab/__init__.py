"""Counts what a convolutional network costs, and makes each number defensible.

>>> import costlab
>>> costlab.analyze("naive/branch5x5").total.macs
120422400

One MAC is one multiplication and one addition inside a contraction (convolution, linear layer,
matrix product). Counts are exact Python ints. Importing costlab imports nothing else:
a name is imported when it is first used, and only what runs modules imports torch.
"""

from __future__ import annotations

import importlib
import typing

from costlab.version import __version__

if typing.TYPE_CHECKING:
    from costlab.catalog import architectures
    from costlab.checks.crosscheck import CrossCheck, crosscheck
    from costlab.checks.reconcile import reconcile
    from costlab.checks.reconciliation import Reconciliation
    from costlab.costs.parameters import parameters
    from costlab.costs.table import CostTable, analyze
    from costlab.errors import (
        CallError,
        ChoiceError,
        CodeError,
        CostlabError,
        CounterError,
        ExpressionError,
        FigureError,
        GateError,
        ProgramError,
        ReportError,
        ShapeError,
        SweepError,
        TraceError,
        UnknownNameError,
    )
    from costlab.figures.ledger import Ledger, ledger
    from costlab.footprint.memory import memory
    from costlab.footprint.result import Memory
    from costlab.formulas.asked import formula
    from costlab.formulas.formula import Formula
    from costlab.gates.gate import check
    from costlab.gates.result import Gate
    from costlab.graph import Graph, Net
    from costlab.graph.opcount import OpCount, StepCount
    from costlab.models.rules import counting
    from costlab.modules.build import build
    from costlab.roofline.bounds import bounds
    from costlab.roofline.result import Bounds
    from costlab.sweeps.sweep import sweep
    from costlab.timing.measure import time
    from costlab.timing.result import Timing
    from costlab.views.compare import Comparison, compare

__all__ = [
    "Bounds",
    "CallError",
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
    "Gate",
    "GateError",
    "Graph",
    "Ledger",
    "Memory",
    "Net",
    "OpCount",
    "ProgramError",
    "Reconciliation",
    "ReportError",
    "ShapeError",
    "StepCount",
    "SweepError",
    "Timing",
    "TraceError",
    "UnknownNameError",
    "__version__",
    "analyze",
    "architectures",
    "bounds",
    "build",
    "check",
    "compare",
    "counting",
    "crosscheck",
    "formula",
    "ledger",
    "memory",
    "parameters",
    "reconcile",
    "sweep",
    "time",
]

_LATER = {
    "Bounds": "costlab.roofline.result",
    "CallError": "costlab.errors",
    "ChoiceError": "costlab.errors",
    "CodeError": "costlab.errors",
    "Comparison": "costlab.views.compare",
    "CostTable": "costlab.costs.table",
    "CostlabError": "costlab.errors",
    "CounterError": "costlab.errors",
    "CrossCheck": "costlab.checks.crosscheck",
    "ExpressionError": "costlab.errors",
    "FigureError": "costlab.errors",
    "Formula": "costlab.formulas.formula",
    "Gate": "costlab.gates.result",
    "GateError": "costlab.errors",
    "Graph": "costlab.graph",
    "Ledger": "costlab.figures.ledger",
    "Memory": "costlab.footprint.result",
    "Net": "costlab.graph",
    "OpCount": "costlab.graph.opcount",
    "ProgramError": "costlab.errors",
    "Reconciliation": "costlab.checks.reconciliation",
    "ReportError": "costlab.errors",
    "ShapeError": "costlab.errors",
    "StepCount": "costlab.graph.opcount",
    "SweepError": "costlab.errors",
    "Timing": "costlab.timing.result",
    "TraceError": "costlab.errors",
    "UnknownNameError": "costlab.errors",
    "analyze": "costlab.costs.table",
    "architectures": "costlab.catalog",
    "bounds": "costlab.roofline.bounds",
    "build": "costlab.modules.build",
    "check": "costlab.gates.gate",
    "compare": "costlab.views.compare",
    "counting": "costlab.models.rules",
    "crosscheck": "costlab.checks.crosscheck",
    "formula": "costlab.formulas.asked",
    "ledger": "costlab.figures.ledger",
    "memory": "costlab.footprint.memory",
    "parameters": "costlab.costs.parameters",
    "reconcile": "costlab.checks.reconcile",
    "sweep": "costlab.sweeps.sweep",
    "time": "costlab.timing.measure",
}
"""The homes of names, which are imported at their first use: who needs one waits for no other."""


def __getattr__(name: str) -> typing.Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from costlab.calls import for_users  # the command line, which calls no such name, does not wait

    home = importlib.import_module(_LATER[name])
    value = globals()[name] = for_users(getattr(home, name))
    setattr(home, name, value)  # one object by both names, as pickle asks for
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})
