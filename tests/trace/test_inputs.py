"""What a module may be called with, and what it may give."""

from __future__ import annotations

from collections import OrderedDict, UserDict, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from wrapped import Applied, Fn

import costlab
from costlab.trace.tensors import held


class Pair(NamedTuple):
    a: Tensor
    b: Tensor


@dataclass
class Batch:
    a: Tensor
    b: Tensor
    name: str = ""


class AttributeDict(dict[str, Any]):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # or nobody could copy it
            raise AttributeError(name)
        return self[name]


class Tagged(Tensor):
    tag = 3


def tagged(x: Tensor) -> Any:
    made: Any = x.as_subclass(Tagged)
    made.own = 2
    return made


def mirrored(a: Tensor, b: Tensor) -> AttributeDict:
    """As outputs of transformers are: attributes are what the keys are."""
    made = AttributeDict(a=a, b=b)
    vars(made)["last"] = b
    return made


ONE, TWO = torch.ones(2, 3), torch.ones(4, 3)
CONTAINERS: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
    "a named tuple": (lambda: Pair(ONE, TWO), lambda c: c.a @ c.b.mT),
    "a dataclass": (lambda: Batch(ONE, TWO), lambda c: c.a @ c.b.mT),
    "a namespace": (lambda: SimpleNamespace(a=ONE, b=TWO), lambda c: c.a @ c.b.mT),
    "a UserDict": (lambda: UserDict(a=ONE, b=TWO), lambda c: c["a"] @ c["b"].mT),
    "nested ones": (
        lambda: Batch(ONE, SimpleNamespace(all=[Pair(TWO, ONE)])),  # type: ignore[arg-type]
        lambda c: c.a @ c.b.all[0].a.mT,
    ),
    "a defaultdict": (
        lambda: defaultdict(list, a=ONE, b=TWO),
        lambda c: c["a"] @ c["b"].mT if c["none"] == [] else None,
    ),
    "a dict with attributes": (lambda: AttributeDict(a=ONE, b=TWO), lambda c: c.a @ c.b.mT),
    "a mirrored dict": (lambda: mirrored(ONE, TWO), lambda c: c.a @ c.last.mT),
    "an ordered dict": (
        lambda: OrderedDict(a=ONE, b=TWO),
        lambda c: next(iter(c.values())) @ c.popitem()[1].mT,
    ),
    "a tensor with a tag": (
        lambda: (tagged(ONE), TWO),
        lambda c: c[0] @ c[1].mT if c[0].tag + c[0].own == 5 else None,
    ),
}


@pytest.mark.parametrize("real", [False, True])
@pytest.mark.parametrize("name", CONTAINERS)
def test_what_holds_tensors_is_an_input_and_is_an_output(name: str, real: bool) -> None:
    make, product = CONTAINERS[name]
    given = make()
    table = costlab.analyze(Fn(lambda m, c: product(c)), inputs=(given,), real=real)
    assert table.total.macs == 2 * 4 * 3
    assert [value.kind for value in table.graph.values].count("input") == len(table.graph.inputs)
    assert set(table.graph.inputs) == {(2, 3), (4, 3)}
    assert "constant" not in {row.label for row in table.rows}
    assert list(map(torch.Tensor.sum, held(given))) == list(map(torch.Tensor.sum, held(make())))
    gives = costlab.analyze(Fn(lambda m, x: make()), (1, 2), real=real)
    assert set(gives.graph.outputs) == {(2, 3), (4, 3)}


@pytest.mark.parametrize("name", CONTAINERS)
def test_other_counters_are_given_what_holds_tensors(name: str) -> None:
    make, product = CONTAINERS[name]
    module = Applied(lambda c, f: f(product(c)), nn.Linear(4, 5))
    check = costlab.crosscheck(module, inputs=(make(),), counters="torch,fvcore")
    assert check.agrees, check.to_text(200)
    assert len(check.of("fvcore", "agrees")) == 2


def test_one_named_tuple_is_one_input() -> None:
    def product(m: Any, pair: Pair) -> Tensor:
        return pair.a @ pair.b.mT

    assert costlab.analyze(Fn(product), inputs=Pair(ONE, TWO)).total.macs == 24
    packed = nn.utils.rnn.pack_padded_sequence(torch.zeros(5, 2, 3), [5, 2])
    assert costlab.analyze(nn.LSTM(3, 4), inputs=packed).total.macs == 7 * 16 * 7


MISFITS: dict[str, tuple[Any, str]] = {
    "names": (
        {"x": ONE, "yy": TWO},
        "takes no 'yy': did you mean 'y'? (inputs by name; one that has names itself is "
        "inputs=({...},))",
    ),
    "other names": ({"a": ONE}, "takes no 'a': known are x, y (inputs by name"),
    "too few names": ({"y": ONE}, "takes x, y, and x is missing (inputs by name"),
    "a list": (
        [ONE, TWO],
        "takes x, y, and y is missing (a list is one input: several are inputs=(x, y))",
    ),
    "a tensor": (ONE, "takes x, y, and y is missing (several are inputs=(x, y), or by name"),
    "too many": ((ONE, TWO, TWO), "takes x, y, and 3 inputs are given (several are"),
    "shapes": ([(1, 4), (1, 4)], "takes x, y, and y is missing; shapes are given as input_size=[("),
    "nothing": ((), "takes x, y, and x, y are missing (several are"),
}


@pytest.mark.parametrize("name", MISFITS)
def test_arguments_that_forward_does_not_take_are_an_error_that_says_what_to_give(
    name: str,
) -> None:
    class Two(nn.Module):
        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            return x @ y.mT

    given, hint = MISFITS[name]
    with pytest.raises(costlab.TraceError) as raised:
        costlab.analyze(Two(), inputs=given)
    assert str(raised.value).startswith(f"Two cannot be run: forward {hint}")

    def mistaken(m: Any, x: Any) -> Any:
        raise TypeError("of another kind")

    with pytest.raises(costlab.TraceError, match=r"of another kind \(at [^)]*\)$"):
        costlab.analyze(Fn(mistaken), inputs=(given,))
