"""Calls of ``torch.autograd.Function.apply`` are seen, in Python (to torch 2.13) and compiled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import Function
from wrapped import own_rules

import costlab


class Double(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x * 2


class Plus(Double):
    """Its forward calls another's, which is no call of that one's ``apply``."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return Double.forward(ctx, x) + 1


class Later(Function):
    @staticmethod
    def forward(x: Tensor, by: float = 3.0) -> Tensor:
        return x * by

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        pass


KINDS = [Double, Plus, Later]
HELD: dict[type[Function], Callable[..., Any]] = {kind: kind.apply for kind in KINDS}


class Calls(nn.Module):
    def __init__(self, kind: type[Function], held: bool) -> None:
        super().__init__()
        self.kind, self.held = kind, held

    def forward(self, x: Tensor) -> Any:
        apply: Any = HELD[self.kind] if self.held else self.kind.apply
        return apply(x)


@pytest.fixture
def rules() -> Iterator[None]:
    """A rule for each kind, which is taken away again."""
    with own_rules():
        for kind in KINDS:
            costlab.counting(kind, replace=True)(lambda output, *_: costlab.OpCount(special=7))
        yield


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("held", [False, True])
@pytest.mark.parametrize("real", [False, True])
def test_a_rule_is_asked_once_however_apply_is_held(
    rules: None, kind: type[Function], held: bool, real: bool
) -> None:
    table = costlab.analyze(Calls(kind, held), (2, 3), real=real)
    assert [(row.label, row.count.special) for row in table.rows] == [(kind.__name__, 7)]


@pytest.mark.parametrize("held", [False, True])
def test_without_a_rule_the_forward_is_followed(held: bool) -> None:
    table = costlab.analyze(Calls(Plus, held), (2, 3))
    assert [row.label for row in table.rows] == ["scale", "add"]


@pytest.mark.parametrize("kind", KINDS)
def test_functions_are_afterwards_what_they_were(rules: None, kind: type[Function]) -> None:
    before = dict(vars(type(kind))), kind.apply, kind.forward
    costlab.analyze(Calls(kind, True), (2, 3))
    assert (dict(vars(type(kind))), kind.apply, kind.forward) == before
    apply: Any = kind.apply
    assert torch.equal(apply(torch.ones(2)), HELD[kind](torch.ones(2)))
