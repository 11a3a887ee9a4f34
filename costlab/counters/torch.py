"""torch's own counter, ``FlopCounterMode``: counts at dispatch, two units per MAC."""

from __future__ import annotations

import torch
from torch import Tensor, __version__, nn
from torch.utils.flop_counter import FlopCounterMode

from costlab.counters import Measurement


def measure(module: nn.Module, inputs: tuple[Tensor, ...]) -> Measurement:
    """MACs of contractions by module path: half of its count, which is even."""
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        module(*inputs)
    flops = {path: sum(ops.values()) for path, ops in counter.get_flop_counts().items()}
    root = type(module).__name__
    macs = {path: 0 for path, _ in module.named_modules()}
    for path, count in flops.items():
        if path == root or path.startswith(f"{root}."):
            macs[path[len(root) + 1 :]] = _half(int(count))
    return Measurement("torch", __version__.partition("+")[0], {"macs": macs})


def _half(flops: int) -> int:
    macs, rest = divmod(flops, 2)
    if rest:
        raise ArithmeticError(f"FlopCounterMode gave {flops}, which is not 2 per multiply-add")
    return macs
