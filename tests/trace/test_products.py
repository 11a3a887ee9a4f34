"""Products of matrices in the spellings that torch has for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from agreeing import FLOATS, agrees
from torch import Tensor, nn
from wrapped import Applied

from costlab.costs.table import costs
from costlab.trace import trace

PRODUCTS: dict[str, tuple[Callable[[Tensor], Any], int]] = {
    "addmm": (lambda x: torch.addmm(torch.zeros(5), x[0], x[0].T, beta=2, alpha=3), 75),
    "addmm in place": (lambda x: torch.zeros(5, 5).addmm_(x[0], x[0].T), 75),
    "baddbmm": (lambda x: torch.baddbmm(torch.zeros(5, 5), x, x.mT, alpha=0.5), 150),
    "addbmm": (lambda x: torch.addbmm(torch.zeros(5, 5), x, x.mT, beta=0), 150),
    "addmv": (lambda x: torch.addmv(torch.zeros(5), x[0], x[0, 0]), 15),
    "addr": (lambda x: torch.addr(torch.zeros(3, 3), x[0, 0], x[0, 1]), 0),
    "conv_tbc": (lambda x: torch.conv_tbc(x, torch.zeros(2, 3, 4), torch.zeros(4)), 1 * 5 * 2 * 12),
    "attention": (lambda x: nn.functional.scaled_dot_product_attention(x[:1], x, x), 2 * 25 * 6),
    "tensordot": (lambda x: torch.tensordot(x, x, dims=([0, 1], [0, 1])), 10 * 9),
    "kron": (lambda x: torch.kron(x[0], x[0]), 0),
    "chain": (lambda x: torch.linalg.multi_dot([x[0], x[0].T, x[0]]), 2 * 3 * 5 * 3),
    "inner": (lambda x: torch.inner(x, x[0]), 2 * 5 * 3 * 5),
    "einsum of dots": (lambda x: torch.einsum("...ij,...kj->...ik", x, x), 150),
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_a_product_has_its_macs(name: str) -> None:
    """MACs by hand: torch's counter has none for many of these."""
    function, macs = PRODUCTS[name]
    assert agrees(function, FLOATS)
    assert costs(trace(Applied(function), inputs=FLOATS)).total.macs == macs


Q = torch.rand(2, 3, 4, 8)


ATTENTIONS: dict[str, Callable[[Tensor], Any]] = {
    "flash on the CPU": lambda x: torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
        x, x, x
    )[0],
    "efficient": lambda x: torch.ops.aten._scaled_dot_product_efficient_attention(
        x, x, x, None, False
    )[0],
    "flash": lambda x: torch.ops.aten._scaled_dot_product_flash_attention(x, x, x)[0],
    "math": lambda x: torch.ops.aten._scaled_dot_product_attention_math(x, x, x)[0],
    "length first": lambda x: torch.ops.aten._flash_attention_forward(
        x.mT.transpose(1, 3).transpose(2, 3),
        x.mT.transpose(1, 3).transpose(2, 3),
        x.mT.transpose(1, 3).transpose(2, 3),
        None,
        None,
        4,
        4,
        0.0,
        False,
        False,
    )[0],
}


@pytest.mark.parametrize("name", ATTENTIONS)
def test_attention_under_its_own_names(name: str) -> None:
    table = costs(trace(Applied(ATTENTIONS[name]), inputs=Q))
    assert table.complete
    assert table.total.macs == 2 * 3 * 4 * 4 * 16


def test_products_that_give_another_type_are_traced() -> None:
    x = torch.rand(4, 8).half()
    for call in (
        lambda x: torch.mm(x, x.T, out_dtype=torch.float32),
        lambda x: torch.addmm(x[:, :4], x, x.T, out_dtype=torch.float32),
        lambda x: torch.baddbmm(x[None, :, :4], x[None], x.T[None], out_dtype=torch.float32),
    ):
        graph = trace(Applied(call), inputs=x)
        assert graph.values[graph.returns[0]].dtype.name == "float32"
        assert costs(graph).complete


ENDS = torch.tensor([3, 8], dtype=torch.int32)


GROUPS: dict[str, tuple[tuple[int, ...], tuple[int, ...], int]] = {
    "rows": ((8, 16), (2, 16, 24), 8 * 16 * 24),
    "columns": ((2, 4, 16), (16, 8), 4 * 16 * 8),
    "what is summed over": ((4, 8), (8, 16), 4 * 8 * 16),
    "stacks": ((2, 4, 8), (2, 8, 16), 2 * 4 * 8 * 16),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", GROUPS)
def test_grouped_products_of_every_type(name: str, dtype: torch.dtype) -> None:
    """On meta torch refuses float32, which it computes."""
    one, other, macs = GROUPS[name]
    ends = None if name == "stacks" else ENDS

    def grouped(pair: Any) -> Tensor:
        first, second = pair
        return torch._grouped_mm(first, second, offs=ends)

    pair = (torch.zeros(one, dtype=dtype), torch.zeros(other, dtype=dtype))
    graph = trace(Applied(grouped), inputs=(pair,))
    assert (costs(graph).total.macs, costs(graph).complete) == (macs, True)
    assert graph.outputs == (tuple(grouped(pair).shape),)
