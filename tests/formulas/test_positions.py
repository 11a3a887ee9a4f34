"""Positions that are looked up in a table say in a formula how long a sequence may be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import costlab
from costlab.errors import CostlabError

ROWS = 20


class Looking(nn.Module):
    """Looks up ``positions`` of a sequence in a table."""

    def __init__(self, positions: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.positions = positions
        self.table = nn.Embedding(ROWS, 4)
        self.linear = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Any:
        return self.linear(x) + self.linear(self.positions(x)(self.table)).sum()


def by(places: Tensor) -> Callable[[nn.Embedding], Tensor]:
    return lambda table: table(places)


POSITIONS: dict[str, tuple[Callable[[Tensor], Any], str]] = {
    "in order": (lambda x: by(torch.arange(x.shape[1])), "T ≤ 20"),
    "from 2 on": (lambda x: by(torch.arange(x.shape[1]).unsqueeze(0) + 2), "T ≤ 18"),
    "every third": (lambda x: by(torch.arange(0, x.shape[1], 3)), "⌊(T + 2)/3⌋ ≤ 7"),
    "backwards": (lambda x: by(x.shape[1] - torch.arange(x.shape[1], device=x.device)), "T ≤ 19"),
    "counted": (lambda x: by(torch.ones_like(x[..., 0], dtype=torch.int64).cumsum(1)), "T ≤ 19"),
    "of pairs": (
        lambda x: by(
            (torch.arange(x.shape[1])[None] - torch.arange(x.shape[1])[:, None]) + x.shape[1] - 1
        ),
        "T ≤ 10",
    ),
    "of a grid": (
        lambda x: by(torch.arange(x.shape[1])[:, None] * 3 + torch.arange(3)),
        "T ≤ 6",
    ),
    "halved": (lambda x: by(torch.arange(x.shape[1]) // 2), "⌊(T + 1)/2⌋ ≤ 20"),
    "the last": (lambda x: by(torch.full((2, 1), x.shape[1] - 1)), "T ≤ 20"),
    "by an index": (
        lambda x: lambda table: table.weight[torch.arange(x.shape[1]).long()],
        "T ≤ 20",
    ),
    "selected": (
        lambda x: lambda table: table.weight.index_select(0, torch.arange(x.shape[1])),
        "T ≤ 20",
    ),
    "gathered": (
        lambda x: (
            lambda table: table.weight.gather(0, torch.arange(x.shape[1])[:, None].expand(-1, 4))
        ),
        "T ≤ 20",
    ),
    "again and again": (lambda x: by(torch.arange(x.shape[1]) % ROWS), ""),
}


@pytest.mark.parametrize("name", POSITIONS)
def test_a_table_says_how_long_a_sequence_may_be(name: str) -> None:
    positions, condition = POSITIONS[name]
    module = Looking(positions)
    formula = costlab.formula(module, input_size="2,T,4", near={"T": 5})
    lengths = [text for text in formula.requires if "≤" in text]
    assert lengths == ([condition] if condition else [])
    for length in (5, 6, 7, 10, 11, 18, 19, 20, 21, 40, 41, 60, 61):
        try:
            module(torch.zeros(2, length, 4))
        except (IndexError, RuntimeError):
            with pytest.raises(CostlabError):
                formula.at(T=length)
        else:
            counted = costlab.analyze(module, (2, length, 4)).total.macs
            assert formula.at(T=length).macs == counted


def test_what_is_changed_in_place_is_not_known() -> None:
    def changed(x: Tensor) -> Any:
        places = torch.arange(x.shape[1])
        places += 1
        places %= ROWS
        return by(places)

    formula = costlab.formula(Looking(changed), input_size="2,T,4", near={"T": 5})
    assert not [text for text in formula.requires if "≤" in text]
    assert formula.at(T=50).macs == costlab.analyze(Looking(changed), (2, 50, 4)).total.macs
