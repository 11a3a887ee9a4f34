"""What forward returns that computes when it is asked is asked, or refused."""

from __future__ import annotations

import asyncio
import itertools
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

import costlab
from costlab.errors import TraceError
from costlab.trace.lazy_results import MOST_ITEMS


class Fn(nn.Module):
    """A linear layer of 20 MACs a row, and what is done with it."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 5)
        self.function = function

    def forward(self, x: Tensor) -> Any:
        return self.function(self.linear, x)


def generator(layer: nn.Module, x: Tensor) -> Any:
    for row in x:
        yield layer(row)


class Rows:
    """A sequence whose items are computed when they are asked for."""

    def __init__(self, layer: nn.Module, x: Tensor) -> None:
        self.layer, self.x = layer, x

    def __getitem__(self, row: int) -> Any:
        return self.layer(self.x[row])


class Iterable(Rows):
    def __iter__(self) -> Any:
        return map(self.layer, self.x)


class Mapping(Rows):
    def keys(self) -> Any:
        return range(len(self.x))


class Named(NamedTuple):
    rows: Any


class Later:
    def __init__(self, *compute: Any) -> None:
        self.compute = compute[0]
        self.computed = compute[1:]


def future(layer: nn.Module, x: Tensor) -> Any:
    one: Future[Any] = Future()
    one.set_result(layer(x[:1]))
    other: Any = torch.futures.Future()
    other.set_result(layer(x[1:]))
    return {"one": one, "other": other}


async def coroutine(layer: nn.Module, x: Tensor) -> Any:
    async def half(part: Tensor) -> Any:
        await asyncio.sleep(0)
        return layer(part)

    return await asyncio.gather(half(x[:1]), half(x[1:]))


async def async_generator(layer: nn.Module, x: Tensor) -> Any:
    for row in x:
        yield layer(row)


@pytest.mark.parametrize(
    "function",
    {
        "generator": generator,
        "generator expression": lambda layer, x: (layer(row) for row in x),
        "map": map,
        "filter": lambda layer, x: filter(lambda row: layer(row) is not None, x),
        "zip": lambda layer, x: zip(map(layer, x), "abc", strict=True),
        "enumerate": lambda layer, x: enumerate(map(layer, x)),
        "itertools": lambda layer, x: itertools.chain(map(layer, x[:1]), map(layer, x[1:])),
        "iterator": lambda layer, x: iter([layer(x)]),
        "in a tuple": lambda layer, x: ("rows", map(layer, x)),
        "in a list in a dict": lambda layer, x: {"rows": [generator(layer, x)]},
        "iterators of iterators": lambda layer, x: (map(layer, part) for part in x.split(2)),
        "values of a dict": lambda layer, x: {"y": layer(x)}.values(),
        "coroutine": coroutine,
        "generator of coroutines": lambda layer, x: (coroutine(layer, part) for part in (x,)),
        "asynchronous generator": async_generator,
        "sequence": Rows,
        "iterable": Iterable,
        "mapping": Mapping,
        "named tuple": lambda layer, x: Named(generator(layer, x)),
        "ordered dict": lambda layer, x: OrderedDict(rows=generator(layer, x)),
        "futures": future,
    }.values(),
)
@pytest.mark.parametrize("real", [False, True])
def test_what_is_returned_lazily_is_counted(function: Callable[..., Any], real: bool) -> None:
    module = Fn(function)
    table = costlab.analyze(module, inputs=torch.zeros(3, 4), real=real)
    assert (table.total.macs, table.total.params, table.complete) == (60, 25, True)
    assert table.graph.outputs
    table.graph.check()
    checked = costlab.crosscheck(module, inputs=torch.zeros(3, 4), real=real, counters="torch")
    assert {check.verdict for check in checked.rows if check.ours} == {"agrees"}


def endless(layer: nn.Module, x: Tensor) -> Any:
    while True:
        yield x


async def endless_too(layer: nn.Module, x: Tensor) -> Any:
    while True:
        yield x


FUNCTION = "forward returns a function, which has computed nothing yet: give a module whose"
ENDLESS = f"forward returns an iterator that gives more than {MOST_ITEMS:,} items: give a module"


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda layer, x: lambda: layer(x), FUNCTION),
        (lambda layer, x: {"later": lambda: layer(x)}, FUNCTION),
        (lambda layer, x: [Later(lambda: layer(x))], "forward returns a Later, which has computed"),
        (endless, ENDLESS),
        (endless_too, ENDLESS),
        (lambda layer, x: itertools.count(), ENDLESS),
    ],
)
def test_what_gives_nothing_of_itself_is_refused(
    function: Callable[..., Any], message: str
) -> None:
    with pytest.raises(TraceError, match=f"^{message}"):
        costlab.analyze(Fn(function), (3, 4))


def test_a_function_beside_tensors_is_a_result() -> None:
    table = costlab.analyze(Fn(lambda layer, x: (layer(x), lambda: None)), (3, 4))
    assert (table.total.macs, table.graph.outputs) == (60, ((3, 5),))


@pytest.mark.parametrize("real", [False, True])
@pytest.mark.parametrize(
    "forward",
    [
        lambda layer, x: Later(lambda: layer(x), layer(x)),
        lambda layer, x: (layer(x), Later(lambda: layer(x))),  # such as an empty cache
    ],
)
def test_an_object_with_or_beside_what_was_computed_is_a_result(
    forward: Callable[..., Any], real: bool
) -> None:
    table = costlab.analyze(Fn(forward), (3, 4), real=real)
    assert (table.total.macs, table.graph.outputs) == (60, ((3, 5),))


def test_a_coroutine_needs_a_loop_of_its_own() -> None:
    async def inside() -> None:
        costlab.analyze(Fn(coroutine), (3, 4))

    with pytest.raises(TraceError, match=r"^forward is a coroutine, and an event loop is running"):
        asyncio.run(inside())
