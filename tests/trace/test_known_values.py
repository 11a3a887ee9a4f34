"""Values that are known decide as they would in a real run; others are asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from command_line import Run
from torch import Tensor, nn
from torch.nn import functional as F
from wrapped import Fn

import costlab as library
from costlab.errors import TraceError

BYTES = torch.zeros(2, 5, 4)


class Net(nn.Module):
    """A function of itself and its inputs, with a layer to count, counters and a mask."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function
        self.layer = nn.Linear(4, 4)
        self.wide = nn.Linear(100, 100)
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))
        self.register_buffer("mask", torch.tensor([True, False]))
        self.queue = torch.arange(4)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(self, *args, **kwargs)


def counting_up(net: Any, x: Tensor) -> Tensor:
    for _ in range(3):
        net.steps += 1
    return times(net, x, int(net.steps))


def times(net: Any, x: Tensor, number: int) -> Tensor:
    for _ in range(number):
        x = net.layer(x)
    return x


def filled(net: Any, x: Tensor) -> Tensor:
    net.steps.data.fill_(2)
    return times(net, x, int(net.steps.item()))


def through_a_view(net: Any, x: Tensor) -> Tensor:
    net.queue[1:3].add_(5)
    return times(net, x, int(net.queue[2]))


def out(net: Any, x: Tensor) -> Tensor:
    torch.add(net.steps, 4, out=net.steps)
    return times(net, x, int(net.steps))


def by_mask(net: Any, x: Tensor, mask: Tensor) -> Tensor:
    return times(net, x, 1 if mask.all() else 2)


def by_lengths(net: Any, x: Tensor, lengths: Tensor) -> Tensor:
    parts = [net.layer(row[:n]) for row, n in zip(x, lengths.tolist(), strict=True)]
    return torch.cat(parts)


def loop(net: Any, x: Tensor, steps: Tensor) -> Tensor:
    while steps.sum() > 0:
        steps = (steps - 1).clamp(min=0)
        x = net.layer(x)
    return x


def _set(x: Tensor, n: Tensor) -> Tensor:
    x[:n] = 1
    return x


ONES, SOME = torch.tensor([True, True]), torch.tensor([True, False])
CASES: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "a counter in place": (counting_up, ()),
    "a buffer filled by its data": (filled, ()),
    "a view changed in place": (through_a_view, ()),
    "an output argument": (out, ()),
    "a mask of ones": (by_mask, (ONES,)),
    "a mask of some": (by_mask, (SOME,)),
    "a buffer's mask": (lambda net, x: by_mask(net, x, net.mask), ()),
    "lengths": (by_lengths, (torch.tensor([3, 2]),)),
    "rows picked by a mask": (lambda net, x, m: net.layer(x[m]), (SOME,)),
    "rows picked by where": (lambda net, x, m: net.layer(x[torch.where(m)[0]]), (SOME,)),
    "nonzero": (lambda net, x, m: net.layer(x[m.nonzero()[:, 0]]), (SOME,)),
    "masked_select": (
        lambda net, x, m: net.layer(x.masked_select(m[:, None, None]).view(-1, 4)),
        (SOME,),
    ),
    "a loop until all is done": (loop, (torch.tensor([2, 5]),)),
    "the largest id": (
        lambda net, x, ids: net.layer(x).repeat(int(ids.max()) + 1, 1, 1),
        (torch.tensor([1, 3]),),
    ),
    "one_hot": (
        lambda net, x, ids: nn.functional.one_hot(ids).float() @ net.layer(x[0])[:4],
        (torch.tensor([1, 3]),),
    ),
    "positions made inside": (
        lambda net, x: times(net, x, int(torch.arange(x.shape[1]).flip(0)[0])),
        (),
    ),
    "repeats": (
        lambda net, x, n: net.layer(x.repeat_interleave(n, 0)),
        (torch.tensor([2, 3]),),
    ),
    "a slice to a constant": (lambda net, x: net.layer(x[:, : torch.tensor(2)]), ()),
    "a slice to a buffer": (lambda net, x: net.layer(x[:, : net.steps + 1]), ()),
    "a slice by numbers that are given": (
        lambda net, x, n: net.layer(x[..., n - 1 : 2 * n, :]),
        (torch.tensor(1),),
    ),
    "a slice that is set": (
        lambda net, x, n: times(net, x, int(_set(torch.zeros(9), n).sum())),
        (torch.tensor(2),),
    ),
    "a place by a constant": (lambda net, x: net.layer(x[torch.tensor(1)]), ()),
    "a dict of flags": (
        lambda net, x, flags: by_mask(net, x, flags["mask"]),
        ({"mask": SOME},),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_known_values_decide_as_in_a_real_run(name: str) -> None:
    function, more = CASES[name]
    net = Net(function)
    before = {key: tensor.clone() for key, tensor in net.state_dict().items()}
    queue = net.queue.clone()
    on_shapes = library.analyze(net, inputs=(BYTES, *more))
    real = library.analyze(net, inputs=(BYTES, *more), real=True)
    assert on_shapes.total.macs == real.total.macs > 0
    assert on_shapes.graph.outputs == real.graph.outputs
    assert all(torch.equal(tensor, before[key]) for key, tensor in net.state_dict().items())
    assert torch.equal(net.queue, queue)


UNKNOWN: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "a computed float": (lambda net, x: net.layer(x) if net.layer(x).sum() > 0 else x, ()),
    "a mask computed from floats": (
        lambda net, x, m: by_mask(net, x, m & (net.layer(x)[:, 0, 0] > 0)),
        (ONES,),
    ),
    "a mask that was overwritten": (
        lambda net, x, m: by_mask(net, x, m.copy_(net.layer(x)[:, 0, 0] > 0)),
        (ONES.clone(),),
    ),
    "a counter that was overwritten": (
        lambda net, x: times(net, x, int(net.steps.copy_(net.layer(x).sum().long()))),
        (),
    ),
    "a weight that was filled": (
        lambda net, x: x * float(net.wide.weight.data.fill_(2) is None or net.wide.weight[0, 0]),
        (),
    ),
    "a slice to what is computed": (
        lambda net, x: net.layer(x[:, : net.layer(x).sum().long()]),
        (),
    ),
    "what is drawn": (lambda net, x: times(net, x, int(torch.randint(9, ()))), ()),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_values_that_are_not_known_are_asked_for(name: str) -> None:
    function, more = UNKNOWN[name]
    with pytest.raises(TraceError, match="needs the values of a tensor"):
        library.analyze(Net(function), inputs=(BYTES, *more))


def test_a_size_of_ids_is_a_size() -> None:
    """No ids are invented."""
    net = Net(lambda net, ids: times(net, net.layer.weight, int(ids.max())))
    with pytest.raises(TraceError, match="needs the values of a tensor"):
        library.analyze(net, (2, 5), input_type="int64")


def test_a_result_says_which_given_values_decided() -> None:
    table = library.analyze(Net(by_mask), inputs={"x": BYTES, "mask": SOME})
    (decision,) = table.graph.decisions
    assert decision.inputs == ("mask",)
    assert decision.question == "__bool__"
    assert "test_known_values.py:" in decision.where
    text = " ".join(table.to_text().split())
    assert "Values of mask decided what is computed, at 1 place" in text
    assert table.data()["decided"][0]["inputs"] == ("mask",)
    assert "decided" not in library.analyze(Net(counting_up), inputs=BYTES).to_text()


CODE = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(50, 8)
        self.layer = nn.Linear(8, 8)

    def forward(self, ids, mask=None):
        x = self.embed(ids)
        if mask is not None and not mask.all():
            x = self.layer(x)
        return self.layer(x)

def inputs(kept=4):
    return {"ids": torch.arange(6).view(1, 6), "mask": torch.arange(6).view(1, 6) < kept}

IDS = torch.arange(6).view(1, 6)
"""


@pytest.mark.parametrize(
    ("inputs", "macs"),
    [("mine.py:inputs", 768), ("mine.py:inputs(kept=6)", 384), ("mine.py:IDS", 384)],
)
def test_inputs_on_the_command_line(costlab: Run, tmp_path: Any, inputs: str, macs: int) -> None:
    (tmp_path / "mine.py").write_text(CODE, encoding="utf-8")
    done = costlab("show", "mine.py:Net", "--inputs", inputs, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{macs} MACs" in done.stdout


@pytest.mark.parametrize(
    ("inputs", "problem"),
    [
        ("mine.py:inpts", "did you mean 'inputs'"),
        ("mine.py", "cannot read the inputs 'mine.py': write FILE.py:NAME"),
        ("other.py:inputs", "there is no file other.py"),
    ],
)
def test_inputs_of_the_command_line_that_are_not_there_are_an_error(
    costlab: Run, tmp_path: Any, inputs: str, problem: str
) -> None:
    (tmp_path / "mine.py").write_text(CODE, encoding="utf-8")
    done = costlab("show", "mine.py:Net", "--inputs", inputs, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert problem in done.stderr


TABLE = torch.rand(5, 4)
LOOKED_UP: dict[str, tuple[Callable[[Any, Tensor], Any], tuple[int, ...], tuple[int, ...]]] = {
    "embedding": (lambda m, i: F.embedding(i, TABLE), (0, 4), (5, -1)),
    "embedding_bag": (lambda m, i: F.embedding_bag(i[None], TABLE), (0, 4), (5, -1)),
    "index_select": (lambda m, i: TABLE.index_select(1, i), (0, 3), (4, -1)),
    "index_add": (lambda m, i: TABLE.index_add(0, i, TABLE[:2]), (0, 4), (5, -1)),
    "gather": (lambda m, i: TABLE.gather(-1, i[None]), (0, 3), (4, -1)),
    "scatter": (lambda m, i: TABLE.scatter(0, i[None], 1.0), (0, 4), (5, -1)),
    "scatter_add": (lambda m, i: TABLE.scatter_add(0, i[None], TABLE), (0, 4), (5, -1)),
    "take": (lambda m, i: TABLE.take(i), (19, -20), (20, -21)),
    "one_hot": (lambda m, i: F.one_hot(i, 5), (0, 4), (5, -1)),
    "an item": (lambda m, i: TABLE[i], (4, -5), (5, -6)),
    "an item of a row": (lambda m, i: TABLE[1:, i], (3, -4), (4, -5)),
    "two items": (lambda m, i: TABLE[i, i], (3, -4), (4, -5)),
    "items of a number": (lambda m, i: TABLE[2, i], (3, -4), (4, -5)),
    "beside a new axis": (lambda m, i: TABLE[None, i], (4, -5), (5, -6)),
    "behind the others": (lambda m, i: TABLE[..., i], (3, -4), (4, -5)),
    "what is set": (lambda m, i: TABLE.clone().__setitem__(i, 1.0), (4, -5), (5, -6)),
    "a set column": (lambda m, i: TABLE.clone().__setitem__((..., i), 1.0), (3, -4), (4, -5)),
    "index_put": (lambda m, i: TABLE.index_put((i,), TABLE[0]), (4, -5), (5, -6)),
    "index_fill": (lambda m, i: TABLE.index_fill(0, i, 1.0), (4, -5), (5, -6)),
    "index_reduce": (lambda m, i: TABLE.index_reduce(0, i, TABLE[:2], "amax"), (), (5, -1)),
    "put": (lambda m, i: TABLE.put(i, TABLE[0, :2]), (19, -20), (20, -21)),
    "max_unpool2d": (
        lambda m, i: F.max_unpool2d(torch.zeros(1, 1, 2), i[None, None], (1, 2)),
        *((0, 3), (4, -1)),
    ),
    "cross_entropy": (lambda m, i: F.cross_entropy(TABLE[:2], i), (3, -100), (4, -1)),
    "cross_entropy of images": (
        lambda m, i: F.cross_entropy(torch.zeros(1, 4, 1, 2), i[None, None]),
        *((3, -100), (4, -1)),
    ),
    "cross_entropy that ignores": (
        lambda m, i: F.cross_entropy(TABLE[:2], i, ignore_index=7),
        *((3, 7), (4, -100)),
    ),
    "nll_loss": (lambda m, i: F.nll_loss(TABLE[:2], i), (3, -100), (4, -1)),
    "offsets of bags": (
        lambda m, i: F.embedding_bag(torch.zeros(3, dtype=torch.int64), TABLE, i),
        *((0, 3), (4,)),
    ),
    "of a computed index": (lambda m, i: TABLE[i + 1], (3, -6), (4, -7)),
}


@pytest.mark.parametrize("name", LOOKED_UP)
def test_indices_that_are_known_are_refused_where_torch_refuses_them(name: str) -> None:
    function, right, wrong = LOOKED_UP[name]
    for value in right:
        index = torch.tensor([value, max(value, 0)] if name != "offsets of bags" else [0, value])
        function(None, index)
        assert library.analyze(Fn(function), inputs=index).complete
    for value in wrong:
        index = torch.tensor([0, value])
        with pytest.raises((IndexError, RuntimeError)):
            function(None, index)
        with pytest.raises(library.TraceError, match=r"index -?\d+ is out of range: there are \d+"):
            library.analyze(Fn(function), inputs=index)
        if name != "one_hot":  # which asks for values itself
            library.analyze(Fn(function), inputs=index.to("meta"))  # of which nothing is known


PLACES: dict[str, Callable[[Any, Tensor], Any]] = {
    "a list": lambda m, x: x[[0, 5]],
    "a list beside an axis": lambda m, x: x[None, [5]],
    "a number that is set": lambda m, x: x.clone().__setitem__(5, 1.0),
    "a number from the end": lambda m, x: x.clone().__setitem__((0, -5), 1.0),
    "select_scatter": lambda m, x: x.select_scatter(x[0], 0, 5),
    "the first bag": lambda m, x: F.embedding_bag(torch.zeros(2).long(), x, torch.tensor([1, 1])),
    "padding": lambda m, x: F.embedding(torch.tensor([0]), x, padding_idx=5),
    "several margins": lambda m, x: F.multilabel_margin_loss(x[:1], torch.tensor([[1, 4, -1, 0]])),
    "one margin": lambda m, x: F.multi_margin_loss(x[:1], torch.tensor([4])),
    "multinomial": lambda m, x: torch.multinomial(x.abs() + 1, 5),
    "beta": lambda m, x: F.smooth_l1_loss(x, x, beta=-1),
    "delta": lambda m, x: F.huber_loss(x, x, delta=0),
    "target": lambda m, x: F.binary_cross_entropy(x, torch.full((5, 4), 2.0)),
    "shares": lambda m, x: F.binary_cross_entropy(torch.full((5, 4), -0.5), x),
    "probability": lambda m, x: x + torch.bernoulli(torch.tensor([1.5])),
    "weights": lambda m, x: torch.multinomial(torch.tensor([-1.0, 2.0]), 1),
    "deviation": lambda m, x: torch.normal(x, torch.tensor(-1.0)),
    "division by 0": lambda m, x: torch.arange(3) // torch.arange(3),
    "power of a whole number": lambda m, x: torch.arange(3) ** -1,
    "classes of images": lambda m, x: F.cross_entropy(
        x.view(1, 5, 2, 2), torch.zeros(1, 2, 1, dtype=torch.int64)
    ),
}


@pytest.mark.parametrize("name", PLACES)
def test_numbers_in_the_code_are_refused_where_torch_refuses_them(name: str) -> None:
    with pytest.raises((IndexError, RuntimeError, AssertionError)):
        PLACES[name](None, TABLE)
    with pytest.raises(library.TraceError):
        library.analyze(Fn(PLACES[name]), inputs=TABLE)


DISTINCT: dict[str, tuple[Callable[[Any, Any], Any], int | None]] = {
    "unique": (lambda m, x: torch.unique(x), 11 + 5),
    "a method": (lambda m, x: x.unique(sorted=False), 11 + 5),
    "neighbours": (lambda m, x: x.unique_consecutive(), 5),
    "places too": (lambda m, x: torch.unique(x, return_inverse=True), None),
    "counts by position": (lambda m, x: torch.unique(x, True, False, True), None),
    "rows": (lambda m, x: torch.unique(x, dim=0), None),
}


@pytest.mark.parametrize("real", [False, True])
@pytest.mark.parametrize("name", DISTINCT)
def test_elements_that_differ_are_found_by_sorting(name: str, real: bool) -> None:
    function, comparisons = DISTINCT[name]
    x = torch.tensor([[3, 1, 3], [2, 2, 1]])
    table = library.analyze(Fn(function), inputs=x, real=real)
    assert table.complete == (comparisons is not None)
    assert table.total.other == (comparisons or 0)
    table.graph.check()
