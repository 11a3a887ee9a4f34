"""Operators that only an exporter knew: what they give was noted, what they cost is not known."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function

from costlab.ops.uncounted import Uncounted
from costlab.trace.registry import rule
from costlab.trace.tape import Tape
from costlab.trace.tensors import META


def operator_without_rule(what: str, kinds: Any, *inputs: Tensor) -> Any:
    """Tensors of these shapes and types: what an operator of that name gives."""
    if has_torch_function(inputs):
        return handle_torch_function(operator_without_rule, inputs, what, kinds, *inputs)
    return tuple(torch.zeros(shape, dtype=dtype) for shape, dtype in kinds)


@rule("operator_without_rule", checked=True)
def without_rule(tape: Tape, what: str, kinds: Any, *inputs: Tensor) -> Any:
    results = tuple(torch.empty(shape, dtype=dtype, device=META) for shape, dtype in kinds)
    weights = [tensor for tensor in inputs if tape.is_weight(tensor)]
    operands = [tensor for tensor in inputs if not tape.is_weight(tensor)]
    first, *others = results
    tape.record(Uncounted(what, tuple(first.shape)), operands, weights, result=first)
    for result in others:
        tape.further(first, result)
    return results
