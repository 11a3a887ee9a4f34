"""torchprofile: counts on the graph of ``torch.jit.trace``, one unit per MAC, and more."""

from __future__ import annotations

from importlib import import_module
from itertools import zip_longest
from math import prod
from typing import TYPE_CHECKING, Any

from costlab.counters import Counter, CounterTotal
from costlab.counters.installed import version_of
from costlab.counters.quantities import in_torch_sparse, macs, outputs, states
from costlab.counters.terms import (
    Event,
    Term,
    function,
    has_contraction,
    in_autograd_function,
    is_einsum,
    leads_nowhere,
    operation,
)

if TYPE_CHECKING:
    from torch import Tensor, nn

_NOWHERE = (leads_nowhere,)
_UNSEEN = (in_autograd_function, *_NOWHERE)
"""What it does not see: ``torch.jit.trace`` leaves out what no output depends on."""
_WITHOUT_RULE = function(
    *("mm", "mv", "dot", "vdot", "tensordot", "linalg_multi_dot", "chain_matmul", "inner"),
    *("linalg_matrix_power", "matrix_power", "grouped_mm", "_grouped_mm", "addbmm", "conv_tbc"),
    *("bilinear", "gru", "rnn_tanh", "rnn_relu"),
)


def _is_product(event: Event) -> bool:
    """Whether it is one of elements, as a module of its own, whose function is not noted."""
    one = event.operation
    return one is not None and one.name in ("mul", "scale", "affine") and not one.call


def _products(event: Event) -> int:
    """Elements of products of two inputs; of several, one after the other."""
    product, counted = event.inputs[0], 0
    for shape in event.inputs[1:] or event.inputs:
        sizes = zip_longest(reversed(product), reversed(shape), fillvalue=1)
        product = tuple(map(max, sizes))[::-1]
        counted += prod(product)
    return counted


def _macs_of_transposed(event: Event) -> int:
    """MACs of a transposed convolution as of any other one with that weight and output."""
    counted = 0
    for one in event.of("conv_transpose"):
        into, out = one.inputs[0][1], one.output[1]
        kernel = one.macs * one.attributes.groups // (prod(one.inputs[0]) * out)
        channels = out // one.attributes.groups if into == out else into
        counted += prod(one.output) * kernel * channels
    return counted


def _more_of_einsum(event: Event) -> int:
    """What the product of the sizes of all letters of an einsum is more than its MACs."""
    einsum = event.operations[0].einsum
    if einsum is None:
        return 0
    terms = einsum.equation.replace(" ", "").partition("->")[0].split(",")
    sizes: dict[str, int] = {}
    for term, shape in zip(terms, einsum.shapes, strict=True):
        sizes.update(zip(term, shape, strict=True))
    return prod(sizes.values()) - einsum.macs


_CONVENTION = (
    Term("contractions", "1 per MAC", where=(has_contraction,), units={macs: 1}),
    Term(
        "transposed convolutions",
        "on the output grid",
        where=operation("conv_transpose"),
        but=_UNSEEN,
        units={_macs_of_transposed: 1, macs: -1},
        fault=True,
    ),
    Term(
        'no rule for padding="same"',
        'or "valid"',
        where=operation("conv", padding="same") + operation("conv", padding="valid"),
        but=_UNSEEN,
        units={macs: -1},
        fault=True,
        named="aten::_convolution_mode",
    ),
    Term(
        "no rule for products by other names",
        "mm, mv, dot, tensordot, recurrent layers but LSTM, and others",
        where=_WITHOUT_RULE,
        but=_UNSEEN,
        units={macs: -1},
        fault=True,
    ),
    Term(
        "einsum over all letters",
        "whatever order is best",
        where=(is_einsum,),
        but=_UNSEEN,
        units={_more_of_einsum: 1},
        fault=True,
    ),
    Term(
        "no rule for products of torch.sparse",
        where=(in_torch_sparse,),
        units={macs: -1},
        fault=True,
    ),
    Term(
        "no rule for autograd.Functions",
        where=(in_autograd_function,),
        but=_NOWHERE,
        units={macs: -1},
        fault=True,
        named="prim::PythonOp",
    ),
    Term(
        "no trace of what no output depends on",
        where=_NOWHERE,
        units={macs: -1},
        fault=True,
    ),
    Term(
        "norms",
        "1 per element, with a scale",
        where=operation("batch_norm", "layer_norm", "group_norm", "instance_norm", affine=True),
        but=_UNSEEN,
        units={outputs: 1},
    ),
    Term(
        "average pooling",
        "1 per output",
        where=operation("avg_pool", "adaptive_avg_pool"),
        but=_UNSEEN,
        units={outputs: 1},
    ),
    Term(
        "means",
        "1 per output",
        where=function("mean"),
        but=_UNSEEN,
        units={outputs: 1},
    ),
    Term(
        "products of elements",
        "1 per output",
        where=(*function("mul"), _is_product),
        but=_UNSEEN,
        units={_products: 1},
    ),
    Term(
        "products of elements",
        "3 per state of an LSTM's cell",
        where=function("lstm_cell", consists_of="recurrent"),
        but=_UNSEEN,
        units={states: 3},
    ),
    Term(
        "products of elements",
        "2 per state of a GRU's cell",
        where=function("gru_cell", consists_of="recurrent"),
        but=_UNSEEN,
        units={states: 2},
    ),
    Term(
        "local response norm",
        "3 per element: its square, its mean and its factor",
        where=operation("lrn"),
        but=_UNSEEN,
        units={outputs: 3},
    ),
    Term(
        "activations",
        "1 per element, of leaky ReLU only",
        where=function("leaky_relu"),
        but=_UNSEEN,
        units={outputs: 1},
    ),
    Term(
        "interpolation",
        "4 per output, bilinear",
        where=operation("interpolate", mode="bilinear"),
        but=_UNSEEN,
        units={outputs: 4},
    ),
    Term(
        "grid sampling",
        "4 per output, bilinear",
        where=operation("grid_sample", mode="bilinear"),
        but=_UNSEEN,
        units={outputs: 4},
    ),
    Term(
        "grid sampling",
        "16 per output, bicubic",
        where=operation("grid_sample", mode="bicubic"),
        but=_UNSEEN,
        units={outputs: 16},
    ),
)


def total(module: nn.Module, inputs: tuple[Tensor, ...]) -> CounterTotal:
    """What ``torchprofile.profile_macs`` gives."""
    import warnings

    torchprofile: Any = import_module("torchprofile")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        counted = torchprofile.profile_macs(module, inputs)
    return CounterTotal(version_of("torchprofile"), int(counted), None)


COUNTER = Counter(
    "torchprofile",
    package="torchprofile",
    versions=("0.1",),
    total=total,
    convention=_CONVENTION,
)
