"""Torch is what it was when a counter has run: its functions, and the classes of modules."""

from __future__ import annotations

import sys
import time
from importlib import import_module
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, from_numpy, nn

import costlab
from costlab.counters import reconcilable
from costlab.torch_private import unseen_by_modes

pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # the counters' own
    pytest.mark.usefixtures("quiet"),
]


class Own(nn.Linear):
    """A class of a user's, whose forward may raise, but not where it is followed on shapes."""

    raises = False
    calls: list[int] = []  # noqa: RUF012

    def forward(self, x: Tensor) -> Tensor:
        with unseen_by_modes():
            followed = x.is_meta
        if self.raises and not followed:
            raise ValueError("no more")
        self.calls.append(1)
        y: Tensor = torch.linalg.vector_norm(super().forward(x).relu()[0]) + x.T.mT
        return y


CLASSES = (Own, nn.Linear, nn.Sequential, nn.Module, Tensor, torch.nn.Parameter)


def names() -> dict[tuple[str, str], Any]:
    """Functions of torch's modules, and all that classes have."""
    homes = {
        name: home
        for name, home in sys.modules.items()
        if name.partition(".")[0] == "torch" and isinstance(home, ModuleType)
    }
    functions = {
        (home, name): value
        for home, module in homes.items()
        for name, value in dict(vars(module)).items()
        if callable(value)
    }
    own = {(kind.__name__, name): value for kind in CLASSES for name, value in vars(kind).items()}
    return functions | own | {(__name__, "from_numpy"): from_numpy}  # a user's: torchlens finds it


def changed(before: dict[tuple[str, str], Any]) -> list[tuple[str, str]]:
    now = names()
    hiding = {kind.__name__ for kind in CLASSES} | {"torch._VF"}
    other = [name for name, value in before.items() if now.get(name) is not value]
    return other + [name for name in now if name not in before and name[0] in hiding]


@pytest.mark.parametrize("raises", [False, True])
@pytest.mark.parametrize("name", reconcilable())
def test_torch_is_what_it_was_when_a_counter_has_run(
    name: str, raises: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Own, "raises", raises)
    module = nn.Sequential(Own(4, 4), nn.ReLU())
    table = costlab.analyze(module, (4, 4))
    before, calls, finders = names(), [*Own.calls], [*sys.meta_path]
    (account,) = costlab.reconcile(module, (4, 4), counters=[name]).accounts
    if not account.absent:
        assert (account.total is None) == raises, account.problem
    assert changed(before) == []
    assert (Own.calls, sys.meta_path) == (calls, finders)
    costlab.crosscheck(module, (4, 4), counters=[name])
    assert changed(before) == []
    assert costlab.analyze(module, (4, 4)).total == table.total


def test_torchlens_takes_its_functions_away_when_it_is_late(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also if it is interrupted while it does; and it counts again afterwards."""
    pytest.importorskip("torchlens")
    module = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    costlab.reconcile(module, (4, 4), counters="torchlens")  # imported
    wrappers: Any = import_module("torchlens.backends.torch.wrappers")
    taken = wrappers._setattr_ignoring_advisories

    def slowly(*args: Any) -> None:
        taken(*args)
        if args[1] == "softmax":
            time.sleep(1)

    before = names()
    memory = costlab.memory(module, (4, 4))
    monkeypatch.setattr(wrappers, "_setattr_ignoring_advisories", slowly)
    (account,) = costlab.reconcile(module, (4, 4), counters="torchlens", timeout=0.5).accounts
    assert account.problem == "it was not done after 0.5 seconds"
    assert changed(before) == []
    monkeypatch.undo()
    assert costlab.memory(module, (4, 4)).to_text() == memory.to_text()
    (account,) = costlab.reconcile(module, (4, 4), counters="torchlens").accounts
    assert (account.total and account.total.total, account.residual) == (64, 0)
