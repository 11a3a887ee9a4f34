"""fvcore: counts on the graph of ``torch.jit.trace``, one unit per MAC.

Only its contraction operators are read. Its total adds other units (2 per element of batch norm, 1
per input element of adaptive average pooling), which no setting turns off: ``set_op_handle`` with
None leaves the default handle in place.
"""

from __future__ import annotations

import warnings
from importlib.metadata import version

from torch import Tensor, nn

from costlab.counters import Measurement

CONTRACTIONS = ("conv", "linear", "addmm", "mm", "matmul", "bmm", "einsum")


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
