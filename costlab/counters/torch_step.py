"""torch's own counter, ``FlopCounterMode``, of a training step: forward and backward.

It is run where attention is products of matrices, and an LSTM goes step by step: on ``meta``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from math import prod
from typing import TYPE_CHECKING, Any

from costlab.counters import Counter, CounterTotal
from costlab.counters.dispatched import without_formula
from costlab.counters.events import Event
from costlab.counters.quantities import macs, macs_of_all_passes, macs_of_forward_passes
from costlab.counters.terms import Macs, Term, function, has_contraction, operation
from costlab.counters.torch import version

if TYPE_CHECKING:
    from torch import nn


def total(module: nn.Module, inputs: tuple[Any, ...]) -> CounterTotal:
    """What it counts of forward, and backward from the sum of the outputs.

    On ``meta``; with values where code asks for some, or has tensors that cannot be put there.
    """
    own = [(part, dict(part._parameters), dict(part._buffers)) for part in module.modules()]
    try:
        return CounterTotal(version(), _counted(module.to("meta"), _on_meta(inputs)))
    except Exception:
        for part, parameters, buffers in own:
            part._parameters.update(parameters)
            part._buffers.update(buffers)
        with _as_on_meta():
            return CounterTotal(version(), _counted(module, inputs))


def _on_meta(value: Any) -> Any:
    """Nested tuples, lists and dicts of tensors, on ``meta``."""
    from torch import Tensor

    if isinstance(value, Tensor):
        return value.detach().to("meta").requires_grad_(value.requires_grad)
    if isinstance(value, (tuple, list)):
        return type(value)(map(_on_meta, value))
    if isinstance(value, dict):
        return {name: _on_meta(item) for name, item in value.items()}
    return value


def _counted(module: nn.Module, inputs: tuple[Any, ...]) -> int:
    """The count of a step."""
    import torch
    from torch import Tensor
    from torch.utils.flop_counter import FlopCounterMode

    with torch.enable_grad(), FlopCounterMode(display=False) as counter:
        outputs = module(*inputs)
        given = outputs if isinstance(outputs, (tuple, list)) else (outputs,)
        sums = [y.sum() for y in given if isinstance(y, Tensor) and y.requires_grad]
        if sums:
            torch.stack(sums).sum().backward()  # type: ignore[no-untyped-call]
    count: int = counter.get_total_flops()
    return count


@contextmanager
def _as_on_meta() -> Iterator[None]:
    """Attention is products of matrices, and an LSTM goes step by step."""
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel

    with torch.backends.mkldnn.flags(enabled=False), sdpa_kernel(SDPBackend.MATH):
        yield


@cache
def multiplies_by_groups() -> bool:
    """Whether it multiplies the weight's gradient of a grouped convolution by the groups.

    Torch 2.13 does; of 2 channels in 2 groups forward and backward are 2 MACs each.
    """
    import torch
    from torch import nn

    conv = nn.Conv1d(2, 2, 1, groups=2, bias=False, device="meta")
    return total(conv, (torch.empty(1, 2, 1, device="meta"),)).total != 2 * (2 + 2)


@Macs
def _again(event: Event) -> int:
    """Multiply-adds that are computed again in the backward pass."""
    return macs(event) if event.operations[0].runs_again else 0


@Macs
def _of_inputs(event: Event) -> int:
    """Multiply-adds of gradients of what is no parameter."""
    return sum(macs for macs, inputs in event.operations[0].gradients if inputs != ())


@Macs
def _of_weights(event: Event) -> int:
    """Multiply-adds of gradients of parameters."""
    return sum(macs for macs, inputs in event.operations[0].gradients if inputs == ())


@Macs
def _times_the_groups(event: Event) -> int:
    """What a convolution's weight gradient has more if it is multiplied by the groups."""
    groups: int = event.operations[0].attributes.groups
    return (groups - 1) * _of_weights(event) if multiplies_by_groups() else 0


@Macs
def _products_of_distances(event: Event) -> int:
    """MACs of what sends back Euclidean distances of more than 25 points: to both sets, always."""
    distances = event.operations[0]
    *_, width = distances.inputs[0]
    is_large = max(shape[-2] for shape in distances.inputs) > 25
    return 2 * prod(distances.output) * width if distances.goes_back and is_large else 0


@Macs
def _product_of_a_triangle(event: Event) -> int:
    """MACs of a triangle's gradient, which is multiplied for all places of a matrix.

    Of a solution by two triangles the first has none: torch has one gradient for their product.
    """
    solved = event.operations[0]
    of_the_triangle = solved.goes_back and solved.learns[0]
    return prod(solved.output) * solved.inputs[0][-1] if of_the_triangle else 0


_CONTRACTIONS = (has_contraction, *operation("custom", "solve", "inverse"))

_CONVENTION = (
    Term("forward", "2 per MAC", where=_CONTRACTIONS, units={macs: 2}),
    Term("forward, again", "2 per MAC", where=_CONTRACTIONS, units={_again: 2}),
    Term("gradients of inputs", "2 per MAC", where=_CONTRACTIONS, units={_of_inputs: 2}),
    Term("gradients of weights", "2 per MAC", where=_CONTRACTIONS, units={_of_weights: 2}),
    Term(
        "gradients of weights of grouped convolutions",
        "times the groups",
        where=operation("conv", "conv_transpose"),
        units={_times_the_groups: 2},
        fault=True,
    ),
    Term(
        "gradients of triangles",
        "by products of whole matrices",
        where=operation("solve_triangular") + operation("factorize", function="cholesky"),
        but=function("cholesky_solve")
        + function(
            "linalg_solve", "linalg_solve_ex", consists_of="solve_triangular", divides=False
        ),
        units={_product_of_a_triangle: 2},
    ),
    Term(
        "gradients of distances",
        "by products of matrices, of both sets",
        where=operation("cdist", order=2),
        units={_products_of_distances: 2},
    ),
    Term(
        "no formula for addbmm",
        "forward",
        where=function("addbmm", consists_of="matmul"),
        units={macs_of_forward_passes: -2},
        fault=True,
    ),
    Term(
        "no formula for conv_tbc",
        where=function("conv_tbc"),
        units={macs_of_all_passes: -2},
        fault=True,
    ),
    *without_formula(2),
)

STEP = Counter(
    "torch",
    package="torch.utils.flop_counter",
    total=total,
    convention=_CONVENTION,
    unit=2,
)
"""It is no counter of its own, so that only training steps are reconciled with it."""
