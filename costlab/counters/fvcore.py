"""fvcore: counts on the graph of ``torch.jit.trace``, one unit per MAC.

Only its contraction operators are read to cross-check. Its total adds other units (2 per element of
batch norm, 1 per input element of adaptive average pooling), which no setting turns off:
``set_op_handle`` with None leaves the default handle in place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costlab.counters import Counter, CounterTotal, Measurement
from costlab.counters.events import Event
from costlab.counters.installed import version_of
from costlab.counters.quantities import (
    flops_of_einsum,
    inputs,
    is_rounded,
    macs,
    macs_of_the_first_stack,
    outputs,
)
from costlab.counters.terms import (
    Macs,
    Params,
    Term,
    function,
    has_contraction,
    is_einsum,
    operation,
)
from costlab.counters.traced import COMMON, UNSEEN, no_rule, seen

if TYPE_CHECKING:
    from torch import Tensor, nn

_CONTRACTIONS = ("conv", "linear", "addmm", "mm", "matmul", "bmm", "einsum")
"""Its names of contractions."""

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
    *COMMON,
    no_rule("attention", where=operation("attention"), named="aten::scaled_dot_product_attention"),
    no_rule(
        "recurrent layers", "but for cells", where=function("lstm", "gru", "rnn_tanh", "rnn_relu")
    ),
    no_rule("baddbmm", where=_SUMS_OF_PRODUCTS),
    no_rule(
        "products by other names", "tensordot, multi_dot, inner, matrix_power", where=_PRODUCTS
    ),
    no_rule("conv_tbc", where=function("conv_tbc")),
    no_rule("products with a vector", where=_VECTORS),
    no_rule("grouped products", "of a mixture of experts", where=_GROUPED),
    no_rule("bilinear", where=function("bilinear")),
    Term(
        "products of stacks",
        "as many as the first has",
        where=operation("matmul"),
        but=function("einsum", "bilinear")
        + _SUMS_OF_PRODUCTS
        + _VECTORS
        + _GROUPED
        + _PRODUCTS
        + UNSEEN,
        units={macs_of_the_first_stack: 1, macs: -1},
        fault=True,
    ),
    seen(
        "einsum in four digits",
        "as numpy prints it",
        where=(is_einsum,),
        units={_rounded: 1},
        fault=True,
    ),
    seen(
        "einsum as numpy counts it",
        "half of its operations: in its own order, and where there is no product",
        where=(is_einsum,),
        units={_beyond_products: 1},
        fault=True,
    ),
    Term(
        "norms",
        "2 per element of batch norm",
        where=operation("batch_norm", affine=True),
        but=_INSTANCE_NORM + UNSEEN,
        units={outputs: 2},
    ),
    Term(
        "norms",
        "1 per element of batch norm without scale",
        where=operation("batch_norm", affine=False),
        but=_INSTANCE_NORM + UNSEEN,
        units={outputs: 1},
    ),
    seen(
        "norms",
        "4 per element of layer, group and instance norm",
        where=operation("layer_norm", "group_norm", "instance_norm") + _INSTANCE_NORM,
        units={outputs: 4},
    ),
    seen(
        "scale and shift of norms",
        "1 per element",
        where=operation("layer_norm", "group_norm", "instance_norm", affine=True)
        + function("instance_norm", consists_of="batch_norm", affine=True),
        units={outputs: 1},
    ),
    seen(
        "adaptive average pooling",
        "1 per input, of images only",
        where=operation("adaptive_avg_pool"),
        units={_inputs_of_images: 1},
    ),
    seen(
        "interpolation",
        "1 per output, of images to the nearest",
        where=operation("interpolate", mode="nearest"),
        units={_outputs_of_images: 1},
    ),
    seen(
        "interpolation",
        "4 per output, bilinear",
        where=operation("interpolate", mode="bilinear"),
        units={_outputs_of_images: 4},
    ),
    seen(
        "grid sampling",
        "4 per output, whatever the mode",
        where=operation("grid_sample"),
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
