"""torchlens: calls of torch's functions, noted by wrappers in their place; what it calls MACs."""

from __future__ import annotations

import sys
from importlib import import_module
from math import prod
from typing import TYPE_CHECKING, Any

from costlab.counters import Counter, CounterTotal
from costlab.counters.events import Event
from costlab.counters.installed import version_of
from costlab.counters.quantities import macs, macs_by_queries
from costlab.counters.terms import (
    Macs,
    Params,
    Term,
    built,
    function,
    has_contraction,
    is_einsum,
    operation,
)

if TYPE_CHECKING:
    from torch import Tensor, nn

_WRAPPERS = "torchlens.backends.torch.wrappers"
_LAYERS = function(
    *("linear", "conv1d", "conv2d", "conv3d"),
    *(f"conv_transpose{rank}d" for rank in (1, 2, 3)),
)
_RULES = (
    _LAYERS
    + function(
        *("mm", "matmul", "linalg_matmul", "bmm", "addmm", "addbmm", "baddbmm", "einsum"),
        "scaled_dot_product_attention",
    )
    + built("matmul")
)
_RECURRENT = operation("recurrent")


@Macs
def _macs_without_parameter(event: Event) -> int:
    """MACs of a layer whose weight is none of the parameters that modules have registered."""
    (layer,) = event.operations
    is_weight = bool(layer.parameters) and len(layer.parameters[0]) > 1
    return 0 if is_weight else macs(event)


@Macs
def _macs_of_einsum(event: Event) -> int:
    """By all letters, if there are two operands and some letter is summed over."""
    einsum = event.operations[0].einsum
    assert einsum is not None
    terms, arrow, result = einsum.equation.replace(" ", "").partition("->")
    operands = terms.split(",")
    letters = {letter: 1 for letter in terms if letter.isalpha()}
    if not arrow:
        result = "".join(letter for letter in letters if terms.count(letter) == 1)
    words = (*operands, result)
    if len(operands) != 2 or not all(w.isalpha() and len(set(w)) == len(w) for w in words):
        return 0
    for operand, shape in zip(operands, einsum.shapes, strict=True):
        for letter, size in zip(operand, shape, strict=True):
            letters[letter] = max(letters[letter], size)
    return prod(letters.values()) if len(letters) > len(result) else 0


@Macs
def _own_macs_of_einsum(event: Event) -> int:
    einsum = event.operations[0].einsum
    assert einsum is not None
    return einsum.macs


_CONVENTION = (
    Term("contractions", "1 per MAC", where=(has_contraction,), units={macs: 1}),
    Term("no rule for recurrent layers", where=_RECURRENT, units={macs: -1}, fault=True),
    Term(
        "no rule for other products",
        "such as mv, dot, tensordot, bilinear",
        where=(has_contraction,),
        but=_RULES + _RECURRENT,
        units={macs: -1},
        fault=True,
    ),
    Term(
        "no rule for weights that are computed",
        "or that no module has registered",
        where=_LAYERS,
        units={_macs_without_parameter: -1},
        fault=True,
    ),
    Term(
        "einsum",
        "by all letters of two operands, otherwise nothing",
        where=(is_einsum,),
        units={_macs_of_einsum: 1, _own_macs_of_einsum: -1},
        fault=True,
    ),
    Term(
        "attention with other batches",
        "as many as the queries have",
        where=operation("attention"),
        units={macs_by_queries: 1, macs: -1},
        fault=True,
    ),
)


def total(module: nn.Module, inputs: tuple[Tensor, ...]) -> CounterTotal:
    """What its ``flops_report`` gives. Raises ``ImportError`` if it is not installed."""
    report: Any = import_module("torchlens.report").flops_report(module, inputs)
    return CounterTotal(version_of("torchlens"), int(report.true_macs), report.params_unique)


def _undo() -> None:
    """Take its functions out of the place of torch's, also in the modules that had taken these."""
    wrappers: Any = sys.modules.get(_WRAPPERS)
    if wrappers is not None:
        # of a run that was interrupted, during which it refuses
        wrappers._state._active_trace, wrappers._state._logging_enabled = None, False
        wrappers.unwrap_torch()


COUNTER = Counter(
    "torchlens",
    package="torchlens",
    versions=("2.36",),
    total=total,
    convention=_CONVENTION,
    params=Params("all"),
    undo=_undo,
)
