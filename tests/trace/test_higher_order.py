"""Functions of torch that take functions: flex_attention, cond."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.attention.flex_attention import create_block_mask, flex_attention
from wrapped import Fn

import costlab

Q = torch.rand(2, 8, 16, 32)
PAST = create_block_mask(lambda b, h, q, k: q >= k, 1, 1, 16, 16, device="cpu")
flex: Any = flex_attention


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("real", [False, True])
def test_flex_attention_is_attention(real: bool) -> None:
    scores = 2 * 8 * 16 * 16
    for call, masked in (
        (lambda q: flex(q, q, q), 0),
        (lambda q: flex(q, q, q, block_mask=PAST), scores),
        (lambda q: flex(q, q[:, :2], q[:, :2], enable_gqa=True), 0),
        (lambda q: flex(q, q, q, return_lse=True)[0], 0),
    ):
        table = costlab.analyze(Fn(lambda m, q, call=call: call(q)), inputs=Q, real=real)
        assert table.complete
        row = next(row for row in table.rows if row.label == "attention")
        assert row.macs == 2 * scores * 32
        assert row.count is not None
        assert row.count.add == 2 * scores - 2 * 8 * 16 + masked
        assert table.graph.outputs == ((2, 8, 16, 32),)
    plain = flex(Q, Q, Q)
    assert torch.allclose(plain, nn.functional.scaled_dot_product_attention(Q, Q, Q), atol=1e-5)


def test_what_changes_the_scores_of_flex_attention_is_uncounted() -> None:
    def forward(module: Any, q: Tensor) -> Any:
        slopes = module.slopes
        return flex(q, q, q, score_mod=lambda score, b, h, i, j: score + slopes[h] * (i - j))

    table = costlab.analyze(Fn(forward, slopes=torch.rand(8)), inputs=Q)
    assert [row.label for row in table.uncounted] == ["score_mod"]
    assert table.graph.unused == ()
    assert table.total.macs == 262144


class Chooses(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.small, self.large = nn.Linear(4, 4), nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 4))

    def forward(self, x: Tensor, pred: Any = None) -> Tensor:
        pred = x.sum() < 0 if pred is None else pred
        chosen: Tensor = torch.cond(pred, self.small, self.large, (x,))
        return chosen + 1


def test_of_two_branches_the_dearer_one_counts_and_it_is_said() -> None:
    table = costlab.analyze(Chooses(), (2, 4))
    assert [(row.path, row.macs) for row in table.rows] == [
        ("sum", 0),
        ("lt", 0),
        ("large.0", 64),
        ("large.1", 64),
        ("cond_dearer_branch", 0),
        ("add", 0),
    ]
    assert "cond_dearer_branch" in table.to_text()
    table.graph.check()


def test_a_branch_that_is_known_is_followed() -> None:
    x = torch.ones(2, 4)
    assert costlab.analyze(Chooses(), inputs=(x, True)).total.macs == 32
    assert costlab.analyze(Chooses(), inputs=(x, False)).total.macs == 128
    given = costlab.analyze(Chooses(), inputs=(x, torch.tensor(True)))
    assert given.total.macs == 32
    assert given.trace is not None
    assert [decision.inputs for decision in given.trace.graph.decisions] == [("input 2",)]
    assert costlab.analyze(Chooses(), inputs=x, real=True).total.macs == 128
    assert costlab.analyze(Chooses(), inputs=-x, real=True).total.macs == 32
