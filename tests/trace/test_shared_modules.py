"""A scope's rows are what runs inside its call, wherever its modules are registered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import costlab
from costlab.errors import TraceError
from costlab.graph import Graph


class Stage(nn.Module):
    def __init__(self, act: nn.Module) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 8)
        self.act = act

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.linear(x))  # type: ignore[no-any-return]


class Given(nn.Module):
    """Is given what it calls, and has it not."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 8)

    def forward(self, x: Tensor, block: nn.Module) -> Tensor:
        return block(self.linear(x))  # type: ignore[no-any-return]


class Giving(nn.Module):
    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block, self.a, self.b = block, Given(), Given()

    def forward(self, x: Tensor) -> Tensor:
        return self.b(self.a(x, self.block), self.block)  # type: ignore[no-any-return]


class Scale(nn.Module):
    """Takes its parameter as a value."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(8))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gain


class Child(nn.Module):
    """Calls the block that it is in, some times."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 8)
        self.block: list[nn.Module] = []

    def forward(self, x: Tensor, times: int) -> Tensor:
        x = self.linear(x)
        return self.block[0](x, times - 1) if times else x


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.child, self.out = Child(), nn.Linear(8, 8)
        self.child.block.append(self)

    def forward(self, x: Tensor, times: int = 1) -> Tensor:
        return self.out(self.child(x, times))  # type: ignore[no-any-return]


class Kept(nn.Module):
    """Calls what it keeps in a list."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.kept = [block]

    def forward(self, x: Tensor) -> Tensor:
        return self.kept[0](x)  # type: ignore[no-any-return]


def graph(module: nn.Module, real: bool = False) -> Graph:
    found = costlab.analyze(module, (4, 8), real=real).graph
    found.check()
    return found


def macs(found: Graph) -> list[tuple[str, int]]:
    return [(row.path, row.macs) for row in costlab.analyze(found).rows]


def shared_block() -> nn.Module:
    block = nn.Sequential(nn.Linear(8, 8), nn.ReLU())
    return nn.Sequential(nn.Sequential(block), nn.Sequential(block, nn.Linear(8, 2)))


def two_blocks() -> nn.Module:
    first, second = (nn.Sequential(nn.Linear(8, 8), nn.ReLU()) for _ in range(2))
    return nn.Sequential(nn.Sequential(first), nn.Sequential(second, nn.Linear(8, 2)))


@pytest.mark.parametrize("real", [False, True])
def test_stages_that_share_a_block_cost_what_they_cost(real: bool) -> None:
    shared, alone = graph(shared_block(), real), graph(two_blocks())
    assert macs(shared) == macs(alone)
    for part in ("0", "1", "1.0", "1.0.0"):
        one, other = (costlab.analyze(each.part(part)) for each in (shared, alone))
        assert one.total.count == other.total.count
        assert one.total.params == other.total.params
        assert (one.graph.inputs, one.graph.outputs) == (other.graph.inputs, other.graph.outputs)
    assert costlab.analyze(shared).total.params == 72 + 18  # those of the block once


def test_stages_that_share_an_activation_cost_what_they_cost() -> None:
    act = nn.SiLU()
    shared = costlab.analyze(nn.Sequential(*[Stage(act) for _ in range(3)]), (4, 8))
    alone = costlab.analyze(nn.Sequential(*[Stage(nn.SiLU()) for _ in range(3)]), (4, 8))
    assert [(row.path, row.count) for row in shared.rows] == [
        (row.path, row.count) for row in alone.rows
    ]
    assert shared.at("1").graph.entering == "4×8"


SILU, GELU = nn.SiLU(), nn.GELU()


@pytest.mark.parametrize(
    ("module", "paths"),
    {
        "twice in a row": (
            nn.Sequential(two := nn.Sequential(nn.Linear(8, 8), nn.ReLU()), two),
            ["0.0", "0.1", "0.0@2", "0.1@2"],
        ),
        "of a caller that is given it": (
            Giving(nn.Sequential(nn.Linear(8, 8), nn.ReLU())),
            ["a.linear", "a.block.0", "a.block.1", "b.linear", "b.block.0", "b.block.1"],
        ),
        "one layer of a caller that is given it": (
            Giving(nn.SiLU()),
            ["a.linear", "a.block", "b.linear", "b.block"],
        ),
        "of a caller that keeps it": (
            nn.Sequential(kept := nn.Sequential(nn.Linear(8, 8)), Kept(kept), Kept(kept)),
            ["0.0", "1.0.0", "2.0.0"],
        ),
        "from its own child": (
            nn.Sequential(Block()),
            ["0.child.linear", "0.child.0.child.linear", "0.child.0.out", "0.out"],
        ),
        "the model from its child": (
            Block(),
            ["child.linear", "child.Block.child.linear", "child.Block.out", "out"],
        ),
        "the shortest way": (
            nn.Sequential(nn.Sequential(Stage(SILU), Stage(GELU)), SILU),
            ["0.0.linear", "0.0.act", "0.1.linear", "0.1.act", "1"],
        ),
        "a parameter as a value": (
            nn.Sequential(nn.Sequential(scale := Scale()), nn.Sequential(scale)),
            ["0.0.gain", "0.0", "1.0"],
        ),
    }.values(),
)
@pytest.mark.parametrize("real", [False, True])
def test_paths_are_those_of_calls(module: nn.Module, paths: list[str], real: bool) -> None:
    assert [layer.path for layer in graph(module, real).layers] == paths


def test_one_path_is_not_two_modules() -> None:
    class Both(nn.Module):
        def __init__(self, other: nn.Module) -> None:
            super().__init__()
            self.linear = nn.Linear(8, 8)
            self.other = [other]

        def forward(self, x: Tensor) -> Tensor:
            return self.other[0](self.linear(x))  # type: ignore[no-any-return]

    root = nn.Module()
    root.linear = nn.Linear(8, 8)
    root.both = Both(root.linear)
    root.forward = root.both.forward
    assert [layer.path for layer in graph(nn.Sequential(root)).layers] == [
        "0.both.linear",
        "0.both.linear_2",
    ]


def test_a_part_has_all_calls_of_a_layer_and_the_parameters_that_it_takes() -> None:
    linear = nn.Linear(8, 8)
    twice = graph(nn.Sequential(linear, nn.ReLU(), linear))
    assert macs(twice.part("0")) == [("0", 256), ("0@2", 256)]
    assert macs(twice.part("0@2")) == [("0@2", 256)]
    scale = Scale()
    part = graph(nn.Sequential(nn.Sequential(scale), nn.Sequential(scale))).part("1")
    part.check()
    assert part.inputs == ((4, 8),)
    assert costlab.analyze(part).total.params == 8


def test_what_a_rule_counts_as_a_whole_is_where_it_is_called(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Counted(nn.Module):
        def __init__(self, act: nn.Module) -> None:
            super().__init__()
            self.act = act

        def forward(self, x: Tensor) -> Tensor:
            return self.act(x) + 1  # type: ignore[no-any-return]

    monkeypatch.setattr("costlab.trace.users.RULES", {})

    @costlab.counting(Counted)
    def counted(module: nn.Module, output: Any, *inputs: Any) -> costlab.OpCount:
        return costlab.OpCount(mul=7)

    act = nn.SiLU()
    one = Counted(act)
    module = nn.Sequential(nn.Sequential(act), nn.Sequential(one), nn.Sequential(one))
    table = costlab.analyze(module, (4, 8))
    assert [(row.path, row.count.mul) for row in table.rows] == [
        ("0.0", 64),
        ("1.0", 7),
        ("2.0", 7),
    ]


def test_an_error_says_where_the_module_was_called() -> None:
    class Odd(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.view(4, -1) if x.shape[-1] == 8 else x.view(7)

    odd = Odd()
    with pytest.raises(TraceError, match=r"^1\.1 \(Odd\) cannot be run"):
        graph(nn.Sequential(nn.Sequential(odd), nn.Sequential(nn.Linear(8, 2), odd)))


@pytest.mark.parametrize("part", ["", "0", "1"])
def test_other_counters_are_compared_by_calls_or_by_registered_paths(part: str) -> None:
    module = shared_block()
    known = ["fvcore", "torch", "thop"]
    accounts = costlab.reconcile(module, (4, 8), against=known, path=part).accounts
    assert [(each.counter, each.residual) for each in accounts] == [(name, 0) for name in known]
    checked = costlab.crosscheck(module, (4, 8))
    assert {check.verdict for check in checked.rows if check.ours} == {"agrees"}


def test_modules_have_their_classes_under_every_path_that_calls_them() -> None:
    """In the order in which they are registered, so that a report is the same each time."""
    act = nn.ReLU()
    classes = costlab.analyze(nn.Sequential(Stage(act), Stage(act)), (2, 8)).graph.classes
    assert list(classes.items()) == [
        ("", "Sequential"),
        *(("0", "Stage"), ("0.linear", "Linear"), ("0.act", "ReLU")),
        *(("1", "Stage"), ("1.linear", "Linear"), ("1.act", "ReLU")),
    ]
    given = costlab.analyze(Giving(Stage(act)), (2, 8)).graph
    assert given.class_of("a.block") == given.class_of("b.block") == "Stage"
    assert given.class_of("b.block.linear") == "Linear"


def test_classes_of_a_saved_report_are_read_and_written_again(tmp_path: Path) -> None:
    table = costlab.analyze(Giving(Stage(nn.ReLU())), (2, 8))
    file = tmp_path / "saved.json"
    file.write_text(table.to_json(), encoding="utf-8")
    again = costlab.analyze(str(file))
    assert again.graph.classes == table.graph.classes
    assert again.data()["graph"]["classes"] == table.data()["graph"]["classes"]
    assert [row["class"] for row in again.records()] == [row["class"] for row in table.records()]
