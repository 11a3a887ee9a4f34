"""What ``reconcile`` explains to the last unit is no difference to ``crosscheck``."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from explained_layers import LAYERS, X
from hypothesis import given, settings
from hypothesis import strategies as st
from sampled import sampled
from torch import Tensor, nn
from wrapped import Applied

import costlab as library
from costlab.checks import asking, by_terms
from costlab.checks.account import Account
from costlab.checks.verdicts import EXPLAINED

pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # the counters' own
    pytest.mark.usefixtures("quiet"),
]


def one_verdict(model: Any, size: tuple[int, ...], counters: Any = None) -> list[tuple[str, str]]:
    """The layers that are explained in another way than by equality, if none differs."""
    found = library.reconcile(model, size, counters=counters)
    told = [account for account in found.accounts if account.total is not None]
    check = library.crosscheck(model, size, counters=[account.counter for account in told])
    for account in told:
        differing = check.of(account.counter, "differs")
        assert not differing or account.residual, (account, differing)
        left = check.unexplained.get(account.counter)
        assert not left or "by no term" in check.notes[account.counter]
        assert not account.residual or differing or left, account
    assert not check.agrees or not any(account.residual for account in told)
    return [(row.verdict, row.because) for row in check.rows if row.verdict in EXPLAINED]


OTHERS = ["einsum bchw,wv->bchwv", "einsum bchw,wv,v->bc", "einsum in four digits", "transposed"]


@pytest.mark.parametrize("name", sampled(LAYERS, *OTHERS))
def test_both_say_the_same_of_each_kind_of_layer(name: str) -> None:
    one_verdict(nn.Sequential(LAYERS[name]), X)


@settings(max_examples=25, derandomize=True)
@given(
    equation=st.sampled_from(
        ("ij,jk->ik", "ij,jk,k->i", "ij,jk,k->ik", "ij,j->ij", "ij,ij->", "ij->i", "ij->ji")
    ),
    sizes=st.tuples(*[st.integers(1, 70)] * 3),
)
def test_an_einsum_as_numpy_counts_it_is_no_difference(
    equation: str, sizes: tuple[int, int, int]
) -> None:
    letters = dict(zip("ijk", sizes, strict=True))
    shapes = [[letters[c] for c in term] for term in equation.partition("->")[0].split(",")]

    def computed(x: Tensor, layer: nn.Module) -> Tensor:
        y: Tensor = layer(x).sum()
        return y + torch.einsum(equation, *(y.expand(shape) for shape in shapes))

    model = Applied(computed, nn.Linear(8, 4))
    others = one_verdict(model, (2, 8), "calflops_flops,fvcore")
    assert all("einsum" in because for _, because in others)


def test_a_known_rule_that_is_no_fault_has_a_verdict_of_its_own() -> None:
    layer = LAYERS["einsum in four digits"]
    check = library.crosscheck(nn.Sequential(layer), X, counters="calflops_flops")
    if any(row.because.startswith("not installed") for row in check.rows):
        pytest.skip("calflops is not installed")
    said = [(row.verdict, row.because) for row in check.rows if row.ours]
    assert said == [("another rule", "einsum, as numpy counts it, in its own order, −10")]
    assert check.agrees
    assert "1 it counts by another rule (einsum, as numpy counts it" in " ".join(
        check.to_text().split()
    )


def test_units_that_no_layer_has_are_a_difference_for_both(monkeypatch: pytest.MonkeyPatch) -> None:
    """A total that is 5 more than its modules come to."""
    pytest.importorskip("torchinfo")
    known = asking.account_of

    def more(*args: Any, **how: Any) -> Account:
        account = known(*args, **how)
        assert account.total is not None
        return replace(account, total=replace(account.total, total=account.total.total + 5))

    model = nn.Sequential(nn.Linear(4, 4))
    assert library.crosscheck(model, (1, 4), counters="torchinfo").agrees
    monkeypatch.setattr(by_terms, "account_of", more)
    check = library.crosscheck(model, (1, 4), counters="torchinfo")
    assert not check.agrees
    assert not check.of("torchinfo", "differs")
    assert check.unexplained == {"torchinfo": 5}
    assert "+5 of its total by no term" in check.to_text()
