"""What losses take, by their definitions, as a module calls them and as an operator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from wrapped import Fn

import costlab
from costlab.graph.opcount import OpCount

aten = torch.ops.aten
MEAN = OpCount(add=11, div=1)
SUM = OpCount(add=11)
DISTANCE = OpCount(add=12, cmp=12)
NEAR_AND_FAR = OpCount(mul=2 * 12, add=12, cmp=12)
Loss = Callable[[Tensor, Tensor], Any]


@pytest.mark.parametrize(
    ("losses", "taken"),
    [
        ((nn.MSELoss(), lambda x, y: aten.mse_loss(x, y, 1)), OpCount(add=12, mul=12) + MEAN),
        (
            (nn.SmoothL1Loss(beta=0.5), lambda x, y: aten.smooth_l1_loss(x, y, 1, 0.5)),
            DISTANCE + NEAR_AND_FAR + MEAN,
        ),
        (
            (nn.SmoothL1Loss(beta=0.0), lambda x, y: aten.smooth_l1_loss(x, y, 1, 0.0)),
            DISTANCE + MEAN,
        ),
        (
            (nn.HuberLoss("sum", delta=2.0), lambda x, y: aten.huber_loss(x, y, 2, 2.0)),
            DISTANCE + NEAR_AND_FAR + OpCount(mul=12) + SUM,
        ),
        (
            (nn.SoftMarginLoss(), lambda x, y: aten.soft_margin_loss(x, y, 1)),
            OpCount(mul=2 * 12, special=2 * 12, add=12) + MEAN,
        ),
        (
            (nn.SoftMarginLoss(reduction="none"), lambda x, y: aten.soft_margin_loss(x, y, 0)),
            OpCount(mul=2 * 12, special=2 * 12, add=12),
        ),
    ],
)
def test_what_losses_take_of_each_element(losses: tuple[Loss, Loss], taken: OpCount) -> None:
    x, y = torch.zeros(3, 4), torch.zeros(3, 4)
    for loss in losses:
        table = costlab.analyze(Fn(lambda m, x, y, loss=loss: loss(x, y)), inputs=(x, y))
        assert table.complete
        assert table.total.count == taken


@pytest.mark.parametrize("real", [False, True])
def test_the_loss_of_sequences_needs_no_values_of_lengths(real: bool) -> None:
    """Of 2 sequences of 5 steps and 3 labels; ``tests/oracle`` has the recursion."""
    logs, labels = torch.zeros(5, 2, 4).log_softmax(2), torch.ones(2, 3, dtype=torch.int64)
    given = logs, labels, torch.tensor([5, 4]), torch.tensor([3, 2])
    recursion = OpCount(mul=2, add=4 * 5 * 6 + 2, special=4 * (7 * 6 - 2) + 6)
    for reduction, more in {"none": OpCount(), "mean": OpCount(div=2 + 1, add=1)}.items():
        table = costlab.analyze(nn.CTCLoss(reduction=reduction), inputs=given, real=real)
        assert table.complete
        assert table.total.count == recursion + more
    alone = logs[:, 0], labels[0], torch.tensor(5), torch.tensor(3)
    assert costlab.analyze(nn.CTCLoss(reduction="none"), inputs=alone).data()["output"] == [[]]


@pytest.mark.parametrize("function", [torch.cumsum, torch.logcumsumexp, F.softmax, F.log_softmax])
def test_a_single_element_is_a_row_of_one(function: Callable[..., Tensor]) -> None:
    alone, row = (
        costlab.analyze(Fn(lambda m, x: function(x, 0)), inputs=(x,))
        for x in (torch.zeros(()), torch.zeros(1))
    )
    assert alone.complete
    assert alone.total.count == row.total.count


def test_a_copy_of_a_view_moves_what_a_view_does_not() -> None:
    x = torch.zeros(3, 4)
    view, copy = (
        costlab.analyze(Fn(lambda m, x, view=view: view(x, [4, 3])), inputs=(x,))
        for view in (aten.view, aten.view_copy)
    )
    assert copy.complete
    assert (view.total.read_bytes, copy.total.read_bytes) == (0, 48)
