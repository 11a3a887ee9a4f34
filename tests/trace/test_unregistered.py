"""Parameters that are used and no module has registered: no params, and said."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import costlab as library


class Kept(nn.Module):
    """Uses layers that it keeps in something."""

    def __init__(self, kept: Any, layers: Any = None) -> None:
        super().__init__()
        self.kept = kept
        self.head = nn.Linear(4, 2)
        self.layers = layers or (lambda kept: kept)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers(self.kept):
            x = layer(x)
        return self.head(x)  # type: ignore[no-any-return]


def linear() -> nn.Linear:
    return nn.Linear(4, 4)


class Scale:
    def __init__(self) -> None:
        self.by = nn.Parameter(torch.ones(4))

    def __call__(self, x: Tensor) -> Tensor:
        return x @ self.by[:, None].expand(4, 4).t()


FOREIGN = linear()
KEPT = {
    "a list": (Kept([linear(), linear()]), "kept.0 (20), kept.1 (20)"),
    "a dict": (Kept({"a": linear()}, dict.values), "kept.a (20)"),
    "a tuple in a list": (Kept([(linear(),)], lambda kept: kept[0]), "kept.0.0 (20)"),
    "an object": (Kept(SimpleNamespace(a=linear()), lambda kept: [kept.a]), "kept.a (20)"),
    "an object with a parameter": (Kept([Scale()]), "kept.0 (4)"),
    "nothing": (Kept(None, lambda kept: [FOREIGN]), "elsewhere (20)"),
}


@pytest.mark.parametrize("real", [False, True])
@pytest.mark.parametrize("name", KEPT)
def test_parameters_that_no_module_has_registered_are_named(name: str, real: bool) -> None:
    module, named = KEPT[name]
    table = library.analyze(module, (3, 4), real=real)
    assert table.total.params == sum(p.numel() for p in module.parameters()) == 10
    words = " ".join(table.to_text().split())
    assert f"No params, since no module has registered them: {sum_of(named)} params of" in words
    assert f"{named}. model.parameters() lacks them too" in words
    names = [entry["name"] for entry in table.data()["unregistered"]]
    again = library.analyze(table)
    assert [name for name, _ in again.graph.unregistered] == names


def sum_of(named: str) -> int:
    return sum(int(part.partition(")")[0]) for part in named.split("(")[1:])


def test_nothing_is_said_of_what_is_registered() -> None:
    module = Kept(None, lambda kept: [])
    assert not library.analyze(module, (3, 4)).graph.unregistered
    constant = Kept(None, lambda kept: [lambda x: x + torch.arange(4)])
    assert not library.analyze(constant, (3, 4)).graph.unregistered
