"""torchprofile: counts on the graph of ``torch.jit.trace``, one unit per MAC, and more."""

from __future__ import annotations

from importlib import import_module
from itertools import zip_longest
from math import prod
from typing import TYPE_CHECKING, Any

from costlab.counters import Counter, CounterTotal
from costlab.counters.events import Event
from costlab.counters.installed import version_of
from costlab.counters.quantities import (
    letters_of_einsum,
    macs,
    outputs,
    states,
)
from costlab.counters.terms import (
    Macs,
    Term,
    built,
    function,
    has_contraction,
    in_place,
    is_einsum,
    operation,
)
from costlab.counters.traced import COMMON, UNSEEN, no_rule, seen

if TYPE_CHECKING:
    from torch import Tensor, nn

_WITHOUT_RULE = function(
    *("mm", "mv", "dot", "vdot", "tensordot", "linalg_multi_dot", "chain_matmul", "inner"),
    *("linalg_matrix_power", "matrix_power", "grouped_mm", "_grouped_mm", "addbmm", "conv_tbc"),
    *("bilinear", "gru", "rnn_tanh", "rnn_relu"),
)


def _products(event: Event) -> int:
    """Elements of products of two inputs; of several, one after the other."""
    product, counted = event.inputs[0], 0
    for shape in event.inputs[1:] or event.inputs:
        sizes = zip_longest(reversed(product), reversed(shape), fillvalue=1)
        product = tuple(map(max, sizes))[::-1]
        counted += prod(product)
    return counted


@Macs
def _macs_of_transposed(event: Event) -> int:
    """MACs of a transposed convolution as of any other one with that weight and output."""
    counted = 0
    for convolution in event.of("conv_transpose"):
        into, out = convolution.inputs[0][1], convolution.output[1]
        kernel = (
            convolution.macs * convolution.attributes.groups // (prod(convolution.inputs[0]) * out)
        )
        channels = out // convolution.attributes.groups if into == out else into
        counted += prod(convolution.output) * kernel * channels
    return counted


@Macs
def _more_of_einsum(event: Event) -> int:
    """What the product of the sizes of all letters of an einsum is more than its MACs."""
    einsum = event.operations[0].einsum
    if einsum is None or "..." in einsum.equation:  # for which it has no rule
        return -macs(event)
    operands, _ = letters_of_einsum(einsum)
    sizes = {letter: size for operand in operands for letter, size in operand.items()}
    return prod(sizes.values()) - einsum.macs


@Macs
def _more_of_projected(event: Event) -> int:
    """What it counts more of an LSTM with a projection, whose state it takes for all of it."""
    (layer,) = event.operations
    width: int = layer.attributes.projected
    if not width:
        return 0
    steps = prod(layer.output[:-1])
    return steps * 4 * width * (layer.inputs[0][-1] + width) - layer.macs


_CONVENTION = (
    Term("contractions", "1 per MAC", where=(has_contraction,), units={macs: 1}),
    *COMMON,
    seen(
        "transposed convolutions",
        "on the output grid",
        where=operation("conv_transpose"),
        units={_macs_of_transposed: 1, macs: -1},
        fault=True,
    ),
    no_rule(
        "products by other names",
        "mm, mv, dot, tensordot, recurrent layers but LSTM, and others",
        where=_WITHOUT_RULE,
    ),
    seen(
        "LSTM with a projection",
        "as if its state were all",
        where=operation("recurrent", cell="lstm"),
        units={_more_of_projected: 1},
        fault=True,
    ),
    seen(
        "LSTM with a projection",
        "as if its state were all",
        where=function("lstm", consists_of="linear"),
        units={macs: -1},
        fault=True,
    ),
    seen(
        "einsum over all letters",
        "whatever order is best",
        where=(is_einsum,),
        units={_more_of_einsum: 1},
        fault=True,
    ),
    seen(
        "norms",
        "1 per element, with a scale",
        where=operation("batch_norm", "layer_norm", "group_norm", "instance_norm", affine=True),
        units={outputs: 1},
    ),
    seen(
        "average pooling",
        "1 per output",
        where=operation("avg_pool", "adaptive_avg_pool"),
        units={outputs: 1},
    ),
    seen(
        "means",
        "1 per output",
        where=function("mean"),
        units={outputs: 1},
    ),
    seen(
        "products of elements",
        "1 per output",
        where=function("mul", "mul_") + built("mul") + built("scale") + built("affine"),
        units={_products: 1},
    ),
    seen(
        "pooling of powers",
        "2 per output beside its pooling",
        where=function("lp_pool1d", "lp_pool2d", "lp_pool3d", consists_of="avg_pool"),
        units={outputs: 2},
    ),
    seen(
        "products of elements",
        "3 per state of an LSTM's cell",
        where=function("lstm_cell", consists_of="recurrent"),
        units={states: 3},
    ),
    seen(
        "products of elements",
        "2 per state of a GRU's cell",
        where=function("gru_cell", consists_of="recurrent"),
        units={states: 2},
    ),
    seen(
        "local response norm",
        "3 per element: its square, its mean and its factor",
        where=operation("lrn"),
        units={outputs: 3},
    ),
    Term(
        "activations",
        "1 per element, of leaky ReLU only",
        where=function("leaky_relu"),
        but=(*UNSEEN, in_place),
        units={outputs: 1},
    ),
    seen(
        "interpolation",
        "4 per output, bilinear",
        where=operation("interpolate", mode="bilinear"),
        units={outputs: 4},
    ),
    seen(
        "grid sampling",
        "4 per output, bilinear",
        where=operation("grid_sample", mode="bilinear"),
        units={outputs: 4},
    ),
    seen(
        "grid sampling",
        "16 per output, bicubic",
        where=operation("grid_sample", mode="bicubic"),
        units={outputs: 16},
    ),
)


_OF_SIZES = (
    "aten::mul",
    "aten::add",
    "aten::sub",
    "aten::div",
    "aten::floor_divide",
    "aten::floor",
)


def _products_of_sizes(graph: Any) -> int:
    """Products of sizes in its graph: ``torch.jit.trace`` has what code asks of them as tensors."""
    sizes, constants, products = set(), set(), 0
    for node in graph.nodes:
        outputs = set(map(id, node.outputs))
        tensors = {id(given) for given in node.inputs if given.shape is not None}
        if node.operator == "prim::numtotensor":
            sizes |= outputs
        elif node.operator == "prim::constant":
            constants |= outputs
        elif node.operator in _OF_SIZES and tensors & sizes and tensors <= sizes | constants:
            sizes |= outputs
            products += node.operator == "aten::mul"
    return products


def total(module: nn.Module, inputs: tuple[Tensor, ...]) -> CounterTotal:
    """What ``torchprofile.profile_macs`` gives. Raises ``ImportError`` if it is not installed."""
    import warnings

    profile = import_module("torchprofile.profile")
    graphs, trace = [], profile.trace

    def kept(*args: Any) -> Any:
        graphs.append(trace(*args))
        return graphs[-1]

    profile.trace = kept  # type: ignore[attr-defined]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            counted = profile.profile_macs(module, inputs)
    finally:
        profile.trace = trace  # type: ignore[attr-defined]
    sizes = _products_of_sizes(graphs[0])
    beside = (("products of sizes", "which its trace has as tensors", sizes),)
    return CounterTotal(version_of("torchprofile"), int(counted), beside=beside)


COUNTER = Counter(
    "torchprofile",
    package="torchprofile",
    versions=("0.1",),
    total=total,
    convention=_CONVENTION,
)
