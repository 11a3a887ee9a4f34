"""fvcore: counts on the graph of ``torch.jit.trace``, one unit per MAC.

Only its contraction operators are read. Its total adds other units (2 per element of batch norm, 1
per input element of adaptive average pooling), which no setting turns off: ``set_op_handle`` with
None leaves the default handle in place.
"""

from __future__ import annotations

import warnings
from importlib.metadata import version

from torch import Tensor, nn

from costlab.counters import Line, Measurement, Params, Total

PACKAGE = "fvcore.nn"

CONVENTION = (
    Line("contractions, 1 per MAC", "contraction", {"macs": 1}),
    Line("norms, 2 per element of batch norm", "batch_norm[affine=True]", {"outputs": 2}),
    Line(
        "norms, 1 per element of batch norm without scale",
        "batch_norm[affine=False]",
        {"outputs": 1},
    ),
    Line(
        "norms, 4 per element of layer, group and instance norm",
        "layer_norm group_norm instance_norm",
        {"outputs": 4},
    ),
    Line(
        "scale and shift of norms, 1 per element",
        "layer_norm[affine=True] group_norm[affine=True] instance_norm[affine=True]",
        {"outputs": 1},
    ),
    Line(
        "adaptive average pooling, 1 per input, of images only",
        "adaptive_avg_pool2d",
        {"inputs": 1},
    ),
    Line(
        "interpolation, 1 per output, of images to the nearest",
        "interpolate[mode=nearest]",
        {"images": 1},
    ),
    Line("interpolation, 4 per output, bilinear", "interpolate[mode=bilinear]", {"images": 4}),
    Line(
        'no rule for padding="same", or "valid"',
        "conv[padding=same] conv[padding=valid]",
        {"macs": -1},
        fault=True,
    ),
    Line("no rule for attention", "attention", {"macs": -1}, fault=True),
    Line(
        "no rule for recurrent layers, but for cells",
        "*.lstm *.gru *.rnn_tanh *.rnn_relu",
        {"macs": -1},
        fault=True,
    ),
    Line("no rule for baddbmm", "*.baddbmm:matmul", {"macs": -1}, fault=True),
    Line("no rule for products with a vector", "*.mv *.dot *.vdot", {"macs": -1}, fault=True),
    Line(
        "no rule for grouped products, of a mixture of experts",
        "*.grouped_mm *._grouped_mm",
        {"macs": -1},
        fault=True,
    ),
    Line("no rule for bilinear", "*.bilinear", {"macs": -1}, fault=True),
    Line(
        "products of stacks, as many as the first has",
        "matmul",
        {"macs of the first stack": 1, "macs": -1},
        fault=True,
        but="*.einsum *.baddbmm *.mv *.dot *.vdot *.bilinear *.grouped_mm *._grouped_mm",
    ),
    Line(
        "einsum in four digits, as numpy prints it",
        "*.einsum:matmul",
        {"macs in four digits": 1, "macs": -1},
        fault=True,
    ),
)

PARAMS = Params("all")

CONTRACTIONS = ("conv", "linear", "addmm", "mm", "matmul", "bmm", "einsum")


def total(module: nn.Module, inputs: tuple[Tensor, ...]) -> Total:
    """All that it counts, contractions and the rest."""
    from fvcore.nn import FlopCountAnalysis, parameter_count

    analysis = FlopCountAnalysis(module, inputs)
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    places = {path: int(count) for path, count in analysis.by_module().items()}
    return Total(version("fvcore"), places[""], parameter_count(module)[""], places)


def measure(module: nn.Module, inputs: tuple[Tensor, ...]) -> Measurement:
    """MACs of contractions by module path; gaps are the operators fvcore has no handle for."""
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
        version("fvcore"),
        {
            "macs": {
                path: sum(int(operators.get(name, 0)) for name in CONTRACTIONS)
                for path, operators in counted.items()
            }
        },
        {path: f"it has no rule for {', '.join(ops)}" for path, ops in unsupported.items() if ops},
    )
