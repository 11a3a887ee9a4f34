"""Rules that users give: for a function, for a kind of module, and those that are wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from wrapped import Fn, own_rules

import costlab


@pytest.fixture(autouse=True)
def _no_rules_are_left() -> Iterator[None]:
    with own_rules():
        yield


def test_an_unknown_operation_is_uncounted_until_the_user_gives_a_rule() -> None:
    module = Fn(lambda m, x: torch.linalg.svdvals(x))
    table = costlab.analyze(module, (1, 4, 3))
    assert not table.complete
    assert [(row.path, row.label) for row in table.uncounted] == [("svdvals", "svdvals")]
    assert "Lower bound" in table.to_text()

    @costlab.counting(torch.linalg.svdvals)
    def svdvals(output: Tensor, x: Tensor, **more: Any) -> costlab.OpCount:
        return costlab.OpCount(mul=4 * x.numel(), special=output.numel())

    table = costlab.analyze(module, (1, 4, 3))
    assert table.complete
    (row,) = table.rows
    assert (row.path, row.label) == ("svdvals", "svdvals")
    assert row.count == costlab.OpCount(mul=48, special=3)


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
    graph = table.graph
    given = [0, *(layer.results[0] for layer in graph.layers)]
    assert [layer.operands for layer in graph.layers] == [(number,) for number in given[:-1]]
    assert graph.layers[1].weights == graph.layers[2].weights
    assert [graph.values[number].name for number in graph.layers[1].weights] == [
        "1.linear.weight",
        "1.linear.bias",
    ]
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
    with pytest.raises(costlab.CostlabError, match=f"the rule for {target.__name__} .*{said}"):
        costlab.analyze(Far(), (3, 4))


def test_a_rule_that_raises_is_named() -> None:
    class Plain(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x + 1

    @costlab.counting(Plain)
    def plain(module: Plain, output: Any, *inputs: Any) -> costlab.OpCount:
        raise KeyError("what\nnow")

    module = nn.Sequential(nn.ReLU(), Plain())
    with pytest.raises(costlab.TraceError, match=r"^1 \(Plain\) .* KeyError: 'what\\nnow' \(at "):
        costlab.analyze(module, (1, 3))
