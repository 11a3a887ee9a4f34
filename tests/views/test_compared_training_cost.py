"""Comparisons of what a training step costs."""

from __future__ import annotations

import re

import pytest
from chains import compared, conv
from command_line import Run
from torch import Tensor, nn
from torch.autograd import Function
from torch.utils.checkpoint import checkpoint

import costlab as library
from costlab.errors import ChoiceError


class Repeated(nn.Module):
    """One block called twice, its work again in the backward pass if it is in checkpoints."""

    def __init__(self, checkpointed: bool = False, frozen: bool = False) -> None:
        super().__init__()
        self.stem = conv(3, 8).requires_grad_(not frozen)
        self.block = nn.Sequential(conv(8, 8), nn.ReLU(), conv(8, 8), nn.ReLU())
        self.checkpointed = checkpointed

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for _ in range(2):
            x = (
                checkpoint(self.block, x, use_reentrant=True)
                if self.checkpointed
                else self.block(x)
            )
        return x


def test_what_training_costs_is_compared_where_the_forward_pass_is_the_same() -> None:
    """A shared block in checkpoints runs again at each call; what is frozen learns nothing."""
    models = Repeated(), Repeated(checkpointed=True), Repeated(frozen=True)
    assert "training" not in compared(*models).to_text()
    comparison = compared(*models, training_cost=True)
    costs = [table.total for table in comparison.tables]
    a_conv = 16 * 16 * 8 * 3 * 3 * 8
    assert [cost.training_macs - costs[0].training_macs for cost in costs] == [
        *(0, 4 * a_conv, -(16 * 16 * 8 * 3 * 3 * 3) - a_conv)
    ]
    text = comparison.to_text()
    table = text[text.index("what differs") :]
    assert table.split("\n", 1)[0].split() == [
        "what",
        "differs",
        "model",
        "MACs",
        "training",
        "MACs",
    ]
    assert re.search(r"\nstem +A, B ", table)
    assert re.search(r"\nblock +A ", table)
    assert "recomputed MACs" in compared(*models, training_cost=True, everything=True).to_text()


def test_tables_that_say_what_training_costs_are_compared_by_it() -> None:
    tables = [library.analyze(name, training_cost=True) for name in ("naive", "reduced")]
    assert library.compare(*tables, trace=False).training_cost
    assert not library.compare(tables[0], "reduced", trace=False).training_cost
    with pytest.raises(ChoiceError, match="naive is a table without training_cost"):
        library.compare(library.analyze("naive"), "reduced", trace=False, training_cost=True)


def test_training_cost_on_the_command_line(costlab: Run) -> None:
    done = costlab(
        "compare", "naive/branch5x5", "reduced/branch5x5", "--training-cost", "--no-trace"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(
        r"\ntraining MACs +240,844,800 +34,922,496 +−205,922,304 +÷6.90\n", done.stdout
    )


class Unknown(nn.Module):
    """A layer, and code of the user's own, of whose backward pass nobody knows."""

    class Twice(Function):
        @staticmethod
        def forward(ctx: object, x: Tensor) -> Tensor:
            return x * 2

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv(3, 8)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.Twice.apply(self.stem(x))  # type: ignore[no-untyped-call]
        return result


def test_a_backward_pass_that_is_not_known_is_said_of_its_model() -> None:
    told = "Lower bound: what the backward pass of 1 layer of Unknown computes is not known"
    models = Repeated(), Unknown()
    text = " ".join(compared(*models, training_cost=True).to_text().split())
    assert told in text
    assert "operations of" not in text
    assert told not in " ".join(compared(*models).to_text().split())
