"""Modules that read the values of tensors: an error with its place, and counted with real=True."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from wrapped import Fn

import costlab


def test_control_flow_on_shapes_works_and_on_values_says_where() -> None:
    def by_shape(m: Any, x: Tensor) -> Tensor:
        for _ in range(x.shape[1]):
            x = x + 1 if x.dim() == 2 and len(x) == 2 else x
        return x

    assert len(costlab.analyze(Fn(by_shape), (2, 3)).rows) == 3
    for by_value in (
        lambda m, x: x * 2 if x.sum() > 0 else x,
        lambda m, x: x * x.max().item(),
        lambda m, x: x[x > 0],
        lambda m, x: x[:, torch.nonzero(x[0])[:, 0]],
    ):
        module = nn.Sequential(Fn(by_value))
        with pytest.raises(costlab.TraceError, match=r"0 .*test_values\.py:\d+.* real=True"):
            costlab.analyze(module, (2, 3))
        table = costlab.analyze(module, inputs=torch.ones(2, 3), real=True)
        assert all(row.path.startswith("0.") for row in table.rows)


@pytest.mark.parametrize(
    "by_value",
    [
        lambda m, x: f"{x.sum():.1f}" and x,
        lambda m, x: x.repeat_interleave(x[:, 0].long(), 0),
        lambda m, x: F.one_hot(x.long()),
        lambda m, x: x[:, : x.sum().long()],
        lambda m, x: F.gaussian_nll_loss(x, x, x),
        lambda m, x: torch.where(x > 0)[0],
        lambda m, x: x.new_zeros(x.long().max()),
    ],
)
def test_hidden_needs_for_values_are_told(by_value: Any) -> None:
    """Where torch itself only says that a tensor is on meta."""
    with pytest.raises(costlab.TraceError, match=r"test_values\.py:\d+.* real=True, or --real"):
        costlab.analyze(Fn(by_value), (2, 3))
    assert costlab.analyze(Fn(by_value), inputs=torch.ones(2, 3), real=True).graph.inputs
