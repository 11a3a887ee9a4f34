"""Values that are known decide as they would in a real run; others are asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from command_line import Run
from torch import Tensor, nn

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
    assert table.trace is not None
    (decision,) = table.trace.decisions
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
