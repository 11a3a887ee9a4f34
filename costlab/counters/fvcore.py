"""fvcore: counts on the graph of ``torch.jit.trace``, one unit per MAC.

Only its contraction operators are read to cross-check. Its total adds other units (2 per element of
batch norm, 1 per input element of adaptive average pooling), which no setting turns off:
``set_op_handle`` with None leaves the default handle in place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costlab.counters import Counter, CounterTotal, Measurement
from costlab.counters.installed import version_of
from costlab.counters.quantities import (
    flops_of_einsum,
    in_torch_sparse,
    inputs,
    is_rounded,
    macs,
    macs_of_the_first_stack,
    outputs,
)
from costlab.counters.terms import (
    Event,
    Macs,
    Params,
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

_CONTRACTIONS = ("conv", "linear", "addmm", "mm", "matmul", "bmm", "einsum")
"""Its names of contractions."""

_IN_FUNCTIONS = (in_autograd_function,)
_NOWHERE = (leads_nowhere,)
_UNSEEN = _IN_FUNCTIONS + _NOWHERE
"""What it does not see: ``torch.jit.trace`` leaves out what no output depends on."""
_VECTORS = function("mv", "dot", "vdot", "addmv")
_PRODUCTS = function(
    "tensordot",
    "linalg_multi_dot",
    "chain_matmul",
    "inner",
    "linalg_matrix_power",
    "matrix_power",
)
_SUMS_OF_PRODUCTS = function("baddbmm", "addbmm", consists_of="matmul")
_INSTANCE_NORM = function("instance_norm", consists_of="batch_norm")
"""With statistics that it has tracked: a batch norm, by its operation."""
_GROUPED = function("grouped_mm", "_grouped_mm")


def _outputs_of_images(event: Event) -> int:
    return outputs(event) if len(event.output) == 4 else 0


def _inputs_of_images(event: Event) -> int:
    return inputs(event) if len(event.output) == 4 else 0


_BY_HEART = ("abc,abd->acd", "abc,adc->adb")
"""The equations, by their letters in order, that it counts itself and not as numpy does."""


def _more_of_einsum(event: Event) -> int:
    """What it counts of an einsum beside our MACs."""
    einsum = event.operations[0].einsum
    if einsum is None:
        return 0
    equation = einsum.equation.replace(" ", "")
    letters = list(dict.fromkeys(filter(str.isalpha, equation)))
    by_order = {ord(letter): 97 + number for number, letter in enumerate(letters)}
    if equation.translate(by_order) in _BY_HEART:
        return 0
    return int(flops_of_einsum(event) // 2) - einsum.macs


@Macs
def _rounded(event: Event) -> int:
    return _more_of_einsum(event) if is_rounded(event) else 0


@Macs
def _beyond_products(event: Event) -> int:
    return 0 if is_rounded(event) else _more_of_einsum(event)


_CONVENTION = (
    Term("contractions", "1 per MAC", where=(has_contraction,), units={macs: 1}),
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
        "no rule for attention",
        where=operation("attention"),
        but=_UNSEEN,
        units={macs: -1},
        fault=True,
        named="aten::scaled_dot_product_attention",
    ),
    Term(
        "no rule for recurrent layers",
        "but for cells",
        where=function("lstm", "gru", "rnn_tanh", "rnn_relu"),
        but=_UNSEEN,
        units={macs: -1},
        fault=True,
    ),
    Term(
        "no rule for baddbmm",
        where=_SUMS_OF_PRODUCTS,
        but=_UNSEEN,
        units={macs: -1},
        fault=True,
    ),
    Term(
        "no rule for products by other names",
        "tensordot, multi_dot, inner, matrix_power",
        where=_PRODUCTS,
        but=_UNSEEN,
        units={macs: -1},
        fault=True,
    ),
    Term(
        "no rule for conv_tbc",
        where=function("conv_tbc"),
        but=_UNSEEN,
        units={macs: -1},
        fault=True,
    ),
    Term(
        "no rule for products with a vector",
        where=_VECTORS,
        but=_UNSEEN,
        units={macs: -1},
        fault=True,
    ),
    Term(
        "no rule for grouped products",
        "of a mixture of experts",
        where=_GROUPED,
        but=_UNSEEN,
        units={macs: -1},
        fault=True,
    ),
    Term(
        "no rule for bilinear",
        where=function("bilinear"),
        but=_UNSEEN,
        units={macs: -1},
        fault=True,
    ),
    Term(
        "no rule for products of torch.sparse",
        where=(in_torch_sparse,),
        units={macs: -1},
        fault=True,
    ),
    Term(
        "products of stacks",
        "as many as the first has",
        where=operation("matmul"),
        but=function("einsum", "bilinear")
        + _SUMS_OF_PRODUCTS
        + _VECTORS
        + _GROUPED
        + _PRODUCTS
        + _UNSEEN,
        units={macs_of_the_first_stack: 1, macs: -1},
        fault=True,
    ),
    Term(
        "einsum in four digits",
        "as numpy prints it",
        where=(is_einsum,),
        but=_UNSEEN,
        units={_rounded: 1},
        fault=True,
    ),
    Term(
        "einsum without a product of matrices",
        "half of the operations that numpy finds",
        where=(is_einsum,),
        but=_UNSEEN,
        units={_beyond_products: 1},
        fault=True,
    ),
    Term(
        "no rule for autograd.Functions",
        where=_IN_FUNCTIONS,
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
        "2 per element of batch norm",
        where=operation("batch_norm", affine=True),
        but=_INSTANCE_NORM + _UNSEEN,
        units={outputs: 2},
    ),
    Term(
        "norms",
        "1 per element of batch norm without scale",
        where=operation("batch_norm", affine=False),
        but=_INSTANCE_NORM + _UNSEEN,
        units={outputs: 1},
    ),
    Term(
        "norms",
        "4 per element of layer, group and instance norm",
        where=operation("layer_norm", "group_norm", "instance_norm") + _INSTANCE_NORM,
        but=_UNSEEN,
        units={outputs: 4},
    ),
    Term(
        "scale and shift of norms",
        "1 per element",
        where=operation("layer_norm", "group_norm", "instance_norm", affine=True)
        + function("instance_norm", consists_of="batch_norm", affine=True),
        but=_UNSEEN,
        units={outputs: 1},
    ),
    Term(
        "adaptive average pooling",
        "1 per input, of images only",
        where=operation("adaptive_avg_pool"),
        but=_UNSEEN,
        units={_inputs_of_images: 1},
    ),
    Term(
        "interpolation",
        "1 per output, of images to the nearest",
        where=operation("interpolate", mode="nearest"),
        but=_UNSEEN,
        units={_outputs_of_images: 1},
    ),
    Term(
        "interpolation",
        "4 per output, bilinear",
        where=operation("interpolate", mode="bilinear"),
        but=_UNSEEN,
        units={_outputs_of_images: 4},
    ),
    Term(
        "grid sampling",
        "4 per output, whatever the mode",
        where=operation("grid_sample"),
        but=_UNSEEN,
        units={outputs: 4},
    ),
)


def total(module: nn.Module, inputs: tuple[Tensor, ...]) -> CounterTotal:
    """All that it counts, contractions and the rest."""
    from fvcore.nn import FlopCountAnalysis, parameter_count

    analysis = FlopCountAnalysis(module, inputs)
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    by_path = {path: int(count) for path, count in analysis.by_module().items()}
    return CounterTotal(version_of("fvcore"), by_path[""], parameter_count(module)[""], by_path)


def measure(module: nn.Module, inputs: tuple[Tensor, ...]) -> Measurement:
    """MACs of contractions by module path; gaps are the operators fvcore has no handle for."""
    import warnings

    with warnings.catch_warnings():
        # fvcore imports and calls what torch has deprecated; that is no news to our users.
        warnings.simplefilter("ignore", DeprecationWarning)
        from fvcore.nn import FlopCountAnalysis

        analysis = FlopCountAnalysis(module, inputs)
        analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        counted = analysis.by_module_and_operator()
    unsupported = {path: sorted(analysis.unsupported_ops(path)) for path in counted}
    return Measurement(
        "fvcore",
        version_of("fvcore"),
        {
            "macs": {
                path: sum(int(operators.get(name, 0)) for name in _CONTRACTIONS)
                for path, operators in counted.items()
            }
        },
        {path: f"it has no rule for {', '.join(ops)}" for path, ops in unsupported.items() if ops},
    )


COUNTER = Counter(
    "fvcore",
    package="fvcore.nn",
    versions=("0.1.5",),
    measure=measure,
    total=total,
    by_module=True,
    convention=_CONVENTION,
    params=Params("all"),
)
