"""What goes back through calls that move elements: sums where an element went to several places.

And to masks of attention that learn.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from training import by_torch, step
from wrapped import Fn

from costlab.graph.opcount import OpCount
from costlab.ops.movement import Movement
from costlab.trace.classification import CUTS, MOVES, PICKED, SPARSE, TENSOR_ATTRIBUTES

PLACES = torch.tensor([0, 1, 1])
SOME = torch.tensor([True, False, True, True])


@pytest.mark.parametrize("name", sorted(MOVES | TENSOR_ATTRIBUTES | CUTS | SPARSE | PICKED))
def test_what_moves_elements_has_a_rule(name: str) -> None:
    assert Movement(name, (3,)).gradient_scalars((3,), (3,)) is not None


def test_a_movement_of_another_name_has_none() -> None:
    assert Movement("carried", (3,)).gradient_scalars((3,), (3,)) is None


@pytest.mark.parametrize(
    ("forward", "added"),
    [
        (lambda x: x[:, 0], 0),
        (lambda x: x[1], 0),
        (lambda x: x[..., None, 1:], 0),
        (lambda x: (x[:1], x[1:]), 0),
        (lambda x: (x[:3], x[1:]), 2 * 5),  # rows 1 and 2 are in both
        (lambda x: x[PLACES], 3 * 5),
        (lambda x: x[1, PLACES], 3),
        (lambda x: x[[0, 2]], 2 * 5),
        (lambda x: x[SOME], 0),
        (lambda x: x[SOME, 1:], 0),
        (lambda x: x[SOME, PLACES], 3),
        (lambda x: torch.ops.aten.index(x, [SOME]), 0),
        (lambda x: x.masked_select(SOME[:, None]), 0),
        (lambda x: x.T + x.mT, 4 * 5),
    ],
)
def test_slices_move_back_and_what_is_looked_up_is_added(
    forward: Callable[[Tensor], Any], added: int
) -> None:
    x = torch.zeros(4, 5, requires_grad=True)
    total = step(Fn(lambda m, x: forward(x)), x).total
    assert not total.backward_ops_bound
    assert total.input_gradient_ops == OpCount(add=added)


class Own(nn.Module):
    """Parameters that are joined, repeated, looked up and sliced before something takes them."""

    def __init__(self, forward: Callable[..., Any]) -> None:
        super().__init__()
        self.first, self.second = nn.Parameter(torch.zeros(4, 5)), nn.Parameter(torch.zeros(4, 5))
        self.own = forward

    def forward(self, x: Tensor) -> Any:
        return self.own(self, x)


@pytest.mark.parametrize(
    ("forward", "added"),
    [
        (lambda m, x: torch.stack([m.first, m.second]) + x, 0),
        (lambda m, x: m.first[None].expand(2, 4, 5) + x, 4 * 5),
        (lambda m, x: m.first.repeat(2, 1, 1) + x, 4 * 5),
        (lambda m, x: m.first[PLACES].T[0] + x[0, 0, :3], 3 * 5),
        (lambda m, x: (m.first[:2] + x[0, :2], m.first[2:] + x[0, 2:]), 0),
        (lambda m, x: (m.first[:3] + x[0, :3], m.first[2:] + x[0, 2:]), 5),
        (lambda m, x: m.first[SOME] + x[0, :3], 0),
        (lambda m, x: m.first.masked_select(SOME[:, None]) + x.flatten()[:15], 0),
        (lambda m, x: (m.first + x[0], torch.stack([m.first, x[0]])), 4 * 5),  # it is in both
    ],
)
def test_what_a_parameter_went_to_is_summed(forward: Callable[..., Any], added: int) -> None:
    total = step(Own(forward), torch.zeros(2, 4, 5)).total
    assert total.params in (20, 40)
    assert total.input_gradient_ops + total.weight_gradient_ops == OpCount(add=added)


def test_a_bias_that_is_looked_up_gets_the_gradient_of_scores() -> None:
    """As in a Swin transformer: two heads, windows of 4, a table of 9 rows."""
    table_places = torch.randint(0, 9, (4, 4))

    class Window(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Parameter(torch.zeros(9, 2))

        def forward(self, x: Tensor) -> Tensor:
            bias = self.table[table_places.view(-1)].view(4, 4, 2).permute(2, 0, 1)
            return nn.functional.scaled_dot_product_attention(x, x, x, bias[None])

    x, scores, rows = torch.zeros(5, 2, 4, 3), 5 * 2 * 16, 5 * 2 * 4
    table = step(Window(), x)
    assert not table.total.backward_ops_bound
    softmax = OpCount(mul=2 * scores, add=2 * scores - rows)
    of_bias = OpCount(add=scores - 2 * 16) + OpCount(add=16 * 2)  # over windows; to the table
    total = table.total
    assert total.input_gradient_ops + total.weight_gradient_ops == softmax + of_bias
    assert total.training_macs == by_torch(Window(), x)


@pytest.mark.parametrize("both", [False, True])
def test_a_mask_that_is_padding_gets_its_sums(both: bool) -> None:
    layer = nn.MultiheadAttention(4, 2, bias=False).requires_grad_(False)
    x, padding = torch.zeros(3, 5, 4), torch.zeros(5, 3, requires_grad=True)

    def forward(m: Any, x: Tensor, padding: Tensor) -> Any:
        mask = torch.zeros(3, 3) if both else None
        return layer(x, x, x, padding, need_weights=False, attn_mask=mask)[0]

    total = step(Fn(forward), x, padding).total
    assert not total.backward_ops_bound
    scores, rows = 5 * 2 * 9, 5 * 2 * 3
    sums = OpCount(add=scores - 5 * 3)
    assert total.input_gradient_ops + total.weight_gradient_ops == (
        OpCount(mul=2 * scores, add=2 * scores - rows) + sums
    )
