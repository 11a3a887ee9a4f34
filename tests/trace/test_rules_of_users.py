"""Rules that users give: for a function, for a kind of module, and those that are wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import prod
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


@pytest.mark.parametrize("real", [False, True])
@pytest.mark.parametrize("name", ["svdvals", "eigvalsh", "eigh"])
def test_without_a_rule_it_gives_what_torch_gives(name: str, real: bool) -> None:
    function = getattr(torch.linalg, name)  # which makes more, and keeps it
    module = Fn(lambda m, x: function(x))
    given = function(torch.eye(4).unsqueeze(0))
    shapes = [tuple(t.shape) for t in ([given] if isinstance(given, Tensor) else given)]
    table = costlab.analyze(module, inputs=torch.eye(4).unsqueeze(0), real=real)
    (row,) = table.rows
    assert (row.label, row.output, row.uncounted) == (name, shapes[0], 1)
    assert table.graph.outputs == tuple(shapes)
    assert row.activations == sum(map(prod, shapes))
    text = " ".join(table.to_text().split())
    assert "At least 0 MACs, 0 params, at least 0 FLOPs" in text


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


def _on_a_gpu(x: Tensor) -> Tensor:
    raise RuntimeError("only on a GPU")


@pytest.mark.parametrize("times", [0, 1, 2])
@pytest.mark.parametrize(
    "function", [lambda x: x.topk(2)[0] + 1, lambda x: x.sin() + 1, lambda x: _on_a_gpu(x) + 1]
)
def test_a_rule_inside_of_vmap_counts_for_each_of_the_batch(
    function: Callable[[Tensor], Tensor], times: int
) -> None:
    for target, output in (
        (torch.topk, None),
        (torch.sin, torch.empty_like),
        (_on_a_gpu, lambda x: x.new_empty(x.shape[0])),
    ):
        costlab.counting(target, output=output)(lambda _, x, *more: costlab.OpCount(mul=x.numel()))
    for _ in range(times):
        function = torch.vmap(function)
    sizes = (3, 5)[:times]
    table = costlab.analyze(Fn(lambda m, x: function(x)), (*sizes, 4, 8))
    own, add = table.rows
    assert table.complete
    assert own.count == costlab.OpCount(mul=prod(sizes) * 32)
    assert add.inputs == (own.output,)
    assert own.output[:times] == sizes
    table.graph.check()


def test_a_rule_where_torch_func_differentiates_is_refused() -> None:
    costlab.counting(torch.sin)(lambda _, x: costlab.OpCount(mul=x.numel()))
    module = Fn(lambda m, x: torch.func.grad(lambda y: y.sin().sum())(x))
    with pytest.raises(costlab.TraceError, match=r"sin at .* has a rule, and is called where"):
        costlab.analyze(module, (3, 4))


@pytest.mark.parametrize("real", [False, True])
def test_a_rule_for_sort_is_asked_by_what_sorts(real: bool) -> None:
    def places(x: Tensor) -> Any:
        return x.sort(), x.argsort(0), torch.argsort(x, stable=True), torch.msort(x)

    costlab.counting(torch.sort)(lambda output, x, *_, **__: costlab.OpCount(cmp=x.numel()))
    table = costlab.analyze(Fn(lambda m, x: places(x)), (2, 3), real=real)
    assert [row.count.cmp for row in table.rows] == [6] * 4
