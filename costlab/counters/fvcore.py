"""fvcore: counts on the graph of ``torch.jit.trace``, one unit per MAC.

Only its contraction operators are read to cross-check. Its total adds other units (2 per element of
batch norm, 1 per input element of adaptive average pooling), which no setting turns off:
``set_op_handle`` with None leaves the default handle in place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costlab.counters import Counter, CounterTotal, Measurement
from costlab.counters.installed import version_of
from costlab.counters.quantities import inputs, macs, macs_of_the_first_stack, outputs
from costlab.counters.terms import Event, Params, Term, function, has_contraction, operation

if TYPE_CHECKING:
    from torch import Tensor, nn

_CONTRACTIONS = ("conv", "linear", "addmm", "mm", "matmul", "bmm", "einsum")
"""Its names of contractions."""

_VECTORS = function("mv", "dot", "vdot")
_GROUPED = function("grouped_mm", "_grouped_mm")


def _outputs_of_images(event: Event) -> int:
    return outputs(event) if len(event.output) == 4 else 0


def _inputs_of_images(event: Event) -> int:
    return inputs(event) if len(event.output) == 4 else 0


def _macs_in_four_digits(event: Event) -> int:
    """As numpy prints twice their number, halved."""
    return int(float(f"{2 * macs(event):.3e}") / 2)


_CONTRACTION_TERMS = (
    Term("contractions", "1 per MAC", where=(has_contraction,), units={macs: 1}),
    Term(
        'no rule for padding="same"',
        'or "valid"',
        where=operation("conv", padding="same") + operation("conv", padding="valid"),
        units={macs: -1},
        fault=True,
        named="aten::_convolution_mode",
    ),
    Term(
        "no rule for attention",
        where=operation("attention"),
        units={macs: -1},
        fault=True,
        named="aten::scaled_dot_product_attention",
    ),
    Term(
        "no rule for recurrent layers",
        "but for cells",
        where=function("lstm", "gru", "rnn_tanh", "rnn_relu"),
        units={macs: -1},
        fault=True,
    ),
    Term(
        "no rule for baddbmm",
        where=function("baddbmm", consists_of="matmul"),
        units={macs: -1},
        fault=True,
    ),
    Term("no rule for products with a vector", where=_VECTORS, units={macs: -1}, fault=True),
    Term(
        "no rule for grouped products",
        "of a mixture of experts",
        where=_GROUPED,
        units={macs: -1},
        fault=True,
    ),
    Term("no rule for bilinear", where=function("bilinear"), units={macs: -1}, fault=True),
    Term(
        "products of stacks",
        "as many as the first has",
        where=operation("matmul"),
        but=function("einsum", "baddbmm", "bilinear") + _VECTORS + _GROUPED,
        units={macs_of_the_first_stack: 1, macs: -1},
        fault=True,
    ),
    Term(
        "einsum in four digits",
        "as numpy prints it",
        where=function("einsum", consists_of="matmul"),
        units={_macs_in_four_digits: 1, macs: -1},
        fault=True,
    ),
)
"""What it counts of contractions, which is what it measures."""

_OTHER_TERMS = (
    Term(
        "norms",
        "2 per element of batch norm",
        where=operation("batch_norm", affine=True),
        units={outputs: 2},
    ),
    Term(
        "norms",
        "1 per element of batch norm without scale",
        where=operation("batch_norm", affine=False),
        units={outputs: 1},
    ),
    Term(
        "norms",
        "4 per element of layer, group and instance norm",
        where=operation("layer_norm", "group_norm", "instance_norm"),
        units={outputs: 4},
    ),
    Term(
        "scale and shift of norms",
        "1 per element",
        where=operation("layer_norm", "group_norm", "instance_norm", affine=True),
        units={outputs: 1},
    ),
    Term(
        "adaptive average pooling",
        "1 per input, of images only",
        where=operation("adaptive_avg_pool"),
        units={_inputs_of_images: 1},
    ),
    Term(
        "interpolation",
        "1 per output, of images to the nearest",
        where=operation("interpolate", mode="nearest"),
        units={_outputs_of_images: 1},
    ),
    Term(
        "interpolation",
        "4 per output, bilinear",
        where=operation("interpolate", mode="bilinear"),
        units={_outputs_of_images: 4},
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
    convention=_CONTRACTION_TERMS + _OTHER_TERMS,
    measured=_CONTRACTION_TERMS,
    params=Params("all"),
)
