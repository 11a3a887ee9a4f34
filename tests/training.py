"""A training step by costlab, and by torch's counter."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

import costlab
from costlab.costs.table import CostTable


def step(module: nn.Module, *inputs: Tensor, **how: Any) -> CostTable:
    return costlab.analyze(module, inputs=inputs, training_cost=True, **how)


def by_torch(module: nn.Module, *inputs: Tensor) -> int:
    """MACs of forward and backward of the sum of the outputs, on `meta`."""
    on_meta = [x.detach().to("meta").requires_grad_(x.requires_grad) for x in inputs]
    with FlopCounterMode(display=False) as counter:
        outputs = module.to("meta")(*on_meta)
        tensors = outputs if isinstance(outputs, tuple) else (outputs,)
        learnt = [y for y in tensors if isinstance(y, Tensor) and y.requires_grad]
        if learnt:
            sum(y.sum() for y in learnt).backward()  # type: ignore[union-attr]
    total: int = counter.get_total_flops()
    return total // 2


def with_torchs_fault(table: CostTable) -> int:
    """Torch 2.13 multiplies the weight's gradient of a grouped convolution by the groups."""
    more: int = sum(
        (row.layer.op.attribute("groups") - 1) * row.weight_gradient_macs
        for row in table.rows
        if row.layer.op.kind in ("conv", "conv_transpose")
    )
    return table.total.training_macs + more
