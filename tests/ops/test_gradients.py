"""The contractions of backward passes against the definition that is executed, and torch.

A backward pass by the chain rule: of each multiply-add ``total + a·b`` of the forward pass, the
gradient of ``a`` is one more, with ``b``, and that of ``b`` one more, with ``a``, if it is wanted.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from cases import CASES, operations
from hypothesis import HealthCheck, given, settings
from oracle import Tally
from sampled import examples

from costlab.graph.op import Op, Shape
from costlab.ops.attention import Attention, PackedAttention
from costlab.ops.conv import Conv
from costlab.ops.conv_transpose import ConvTranspose
from costlab.ops.dense import Linear, Matmul
from costlab.ops.recurrent import Projection, Recurrent
from costlab.ops.sample import DeformConv
from costlab.ops.sparse import SparseProduct

EXAMPLES = settings(
    max_examples=examples(20),
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

Tensor = tuple[str, int]
"""A tensor of an operation: ``("operand", 0)`` or ``("weight", 1)``."""

OF = {  # what else a factor may be, and which tensors go into it
    Conv: [("operand", 0)],  # padding
    ConvTranspose: [],
    Linear: [],
    Matmul: [],
    SparseProduct: [],
    Attention: [("operand", 0), ("operand", 1), ("weight", 0)],  # probabilities
    PackedAttention: [("operand", 0), ("operand", 1), ("weight", 0)],
    DeformConv: [("operand", 0), ("operand", 1), ("operand", 2)],  # samples
}


@dataclass
class Products(Tally):
    """Remembers the factors of each multiply-add."""

    factors: list[tuple[float, float]] = field(default_factory=list)

    def mac(self, total: float, a: float, b: float) -> float:
        self.factors.append((a, b))
        return super().mac(total, a, b)


def executed(
    op: Op, shapes: tuple[Shape, ...]
) -> tuple[list[tuple[float, float]], dict[float, Tensor], Any, list[Any]]:
    """The products of an operation, and which tensor each number is an element of."""
    torch.manual_seed(0)
    make = CASES[type(op)].module
    module = (make(op, shapes) if make else op.module(*shapes)).double().eval()
    with torch.no_grad():
        for tensor in module.parameters():
            tensor.uniform_(0.5, 1.5)
    random = np.random.default_rng(0)
    inputs = [random.uniform(-1, 1, shape) for shape in shapes]
    tally = Products()
    CASES[type(op)].execute(tally, op, module, inputs)
    elements: dict[float, Tensor] = {}
    for number, array in enumerate(inputs):
        elements |= dict.fromkeys(array.ravel().tolist(), ("operand", number))
    for number, parameter in enumerate(module.parameters()):
        elements |= dict.fromkeys(parameter.detach().ravel().tolist(), ("weight", number))
    return tally.factors, elements, module, inputs


def counted(op: Op, shapes: tuple[Shape, ...], wanted: set[Tensor]) -> int:
    """What the rule says, where these tensors want a gradient."""
    gradients = op.gradients(op.output(*shapes), *shapes)
    assert gradients is not None
    return sum(
        gradient.contraction.macs
        for gradient in gradients
        if any(("operand", n) in wanted for n in gradient.operands or ())
        or any(("weight", n) in wanted for n in gradient.weights or ())
    )


def subsets(op: Op, shapes: tuple[Shape, ...]) -> list[set[Tensor]]:
    parameters = len(tuple(op.parameters(*shapes)))
    tensors = [("operand", n) for n in range(len(shapes))] + [
        ("weight", n) for n in range(parameters)
    ]
    if isinstance(op, (Attention, PackedAttention)) and op.masked:  # even if it has no elements
        tensors.append(("weight", 0))
    choices = product((False, True), repeat=len(tensors))
    return [{t for t, chosen in zip(tensors, choice, strict=True) if chosen} for choice in choices]


def test_every_operation_with_multiply_adds_has_a_rule() -> None:
    contracting = {kind for kind in operations() if kind.contraction is not Op.contraction}
    assert contracting == {*OF, Recurrent, Projection}  # see also test_backward_states
    assert not [kind for kind in contracting if kind.gradients is Op.gradients]


@pytest.mark.parametrize("kind", OF, ids=lambda kind: kind.__name__)
def test_a_gradient_is_a_product_for_each_factor(kind: type[Op]) -> None:
    @EXAMPLES
    @given(CASES[kind].draw)
    def draws(drawn: tuple[Op, tuple[Shape, ...]]) -> None:
        op, shapes = drawn
        factors, elements, _, _ = executed(op, shapes)
        computed = set(OF[kind])
        by_tensor = Counter(elements.get(factor) for pair in factors for factor in pair)
        for wanted in subsets(op, shapes):
            products = sum(
                number
                for tensor, number in by_tensor.items()
                if (tensor in wanted if tensor else computed & wanted)
            )
            assert counted(op, shapes, wanted) == products

    draws()


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn_tanh", "rnn_relu"])
def test_a_recurrent_layer_goes_back_through_its_steps(cell: str) -> None:
    """States but the first are computed of everything; the first is given: zeros, or one."""

    @EXAMPLES
    @given(CASES[Recurrent].draw)
    def draws(drawn: tuple[Recurrent, tuple[Shape, ...]]) -> None:
        op, shapes = drawn
        steps, batch, _ = shapes[0]
        op = Recurrent(op.cell, op.hidden, op.bias, 0, batch)
        factors, elements, _, _ = executed(op, shapes)
        by_tensor = Counter(elements.get(factor) for pair in factors for factor in pair)
        states = by_tensor.pop(None, 0)
        assert states % steps == 0  # at every step as many products, at the first with zeros
        after_the_first = states // steps * (steps - 1)
        for wanted in subsets(op, shapes):
            products = sum(n for tensor, n in by_tensor.items() if tensor in wanted)
            assert counted(op, shapes, wanted) == products + (after_the_first if wanted else 0)

    draws()


@pytest.mark.parametrize("kind", [Conv, Linear, Matmul], ids=lambda kind: kind.__name__)
def test_the_products_are_torchs_gradients(kind: type[Op]) -> None:
    """Of the sum of the outputs: that of an element is the sum of what it is multiplied by."""

    @settings(EXAMPLES, max_examples=15)
    @given(CASES[kind].draw)
    def draws(drawn: tuple[Op, tuple[Shape, ...]]) -> None:
        op, shapes = drawn
        factors, _, module, inputs = executed(op, shapes)
        gradient: defaultdict[float, float] = defaultdict(float)
        for a, b in factors:
            gradient[a] += b
            gradient[b] += a
        tensors = [torch.from_numpy(array).requires_grad_() for array in inputs]
        module(*tensors).sum().backward()
        weights = [weight for name, weight in module.named_parameters() if name != "bias"]
        for tensor in (*tensors, *weights):
            ours = [gradient[value] for value in tensor.detach().ravel().tolist()]
            torch.testing.assert_close(torch.tensor(ours, dtype=torch.float64), tensor.grad.ravel())

    draws()
