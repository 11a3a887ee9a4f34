"""Rules that users give: for a function, for a kind of module, and those that are wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from wrapped import Fn

import costlab
from costlab.ops.custom import _COUNTING


def test_an_unknown_operation_is_uncounted_until_the_user_gives_a_rule() -> None:
    module = Fn(lambda m, x: torch.cdist(x, x))
    table = costlab.analyze(module, (1, 4, 3))
    assert not table.complete
    assert [(row.path, row.label) for row in table.uncounted] == [
        ("_cdist_forward", "_cdist_forward")
    ]
    assert "Lower bound" in table.to_text()

    @costlab.counting(torch.cdist)
    def cdist(
        output: Tensor, x1: Tensor, x2: Tensor, p: float = 2.0, **more: Any
    ) -> costlab.OpCount:
        n = output.numel()
        return costlab.OpCount(mul=n * x1.shape[-1], add=n * (2 * x1.shape[-1] - 1), special=n)

    try:
        table = costlab.analyze(module, (1, 4, 3))
    finally:
        del _COUNTING[torch.cdist]
    assert table.complete
    (row,) = table.rows
    assert (row.path, row.label) == ("cdist", "cdist")
    assert row.count == costlab.OpCount(mul=48, add=80, special=16)


def test_a_rule_for_a_kind_of_module() -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            return torch.relu(self.linear(x)) + x

    @costlab.counting(Block)
    def block(module: Block, output: tuple[int, ...], *inputs: tuple[int, ...]) -> costlab.OpCount:
        return costlab.OpCount(macs=module.linear.weight.numel() * output[0])

    one = Block()
    module = nn.Sequential(nn.Linear(4, 4), one, one, nn.Linear(4, 2))
    table = costlab.analyze(module, (3, 4))
    assert [(row.path, row.label, row.params, row.macs) for row in table.rows] == [
        ("0", "linear", 20, 48),
        ("1", "Block", 20, 48),
        ("1@2", "Block", 0, 48),
        ("3", "linear", 10, 24),
    ]
    assert [layer.operands for layer in table.graph.layers] == [(0,), (3,), (6,), (7,)]
    (row,) = costlab.analyze(one, (3, 4)).rows
    assert (row.path, row.label, row.params, row.macs) == ("Block", "Block", 20, 48)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda: costlab.OpCount(mul=2.5), r"OpCount\(.*mul=2.5.*give whole numbers"),  # type: ignore[arg-type]
        (lambda: costlab.OpCount(mul=-1), "give whole numbers from 0"),
        (lambda: 3, "gave 3, not an OpCount"),
        (
            lambda: dict[str, int]()["width"],
            r"raised KeyError: 'width' \(at .*test_rules_of_users.py:\d+\)",
        ),
    ],
    ids=["fraction", "negative", "number", "raises"],
)
@pytest.mark.parametrize("whole", [False, True])
def test_a_wrong_rule_is_named(answer: Callable[[], Any], said: str, whole: bool) -> None:
    class Far(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.cdist(x, x)

    target = Far if whole else torch.cdist
    costlab.counting(target)(lambda *args, **kwargs: answer())
    try:
        with pytest.raises(costlab.CostlabError, match=f"the rule for {target.__name__} .*{said}"):
            costlab.analyze(Far(), (3, 4))
    finally:
        del _COUNTING[target]


def test_a_rule_that_raises_is_named() -> None:
    class Plain(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x + 1

    @costlab.counting(Plain)
    def plain(module: Plain, output: Any, *inputs: Any) -> costlab.OpCount:
        raise KeyError("what\nnow")

    module = nn.Sequential(nn.ReLU(), Plain())
    try:
        with pytest.raises(
            costlab.TraceError, match=r"^1 \(Plain\) .* KeyError: 'what\\nnow' \(at "
        ):
            costlab.analyze(module, (1, 3))
    finally:
        del _COUNTING[Plain]


def test_a_rule_for_what_is_neither_function_nor_module_is_refused() -> None:
    assert costlab.OpCount(mul=1).other == 1
    with pytest.raises(costlab.ChoiceError, match="neither a function"):
        costlab.counting(3)
