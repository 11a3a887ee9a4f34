"""Equations, inverses and determinants: what their factors and triangles take together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from oracle import Array, Tally, selecting
from wrapped import Fn

import costlab
from costlab.graph.opcount import OpCount

BATCH, N, K = 2, 4, 3


def by_lu(t: Tally, a: Array, b: Array) -> Array:
    """The solution of the equations whose rows have changed places."""
    both = selecting.eliminated(t, a)
    half = selecting.solved(t, both, b, True)
    backwards = selecting.solved(t, both[..., ::-1, ::-1], half[..., ::-1, :], False)
    return backwards[..., ::-1, :]


def multiplied(t: Tally, values: list[float]) -> float:
    first, *others = values
    for value in others:
        first = t.times(first, value)
    return first


def determinants(t: Tally, a: Array) -> Array:
    factors = selecting.eliminated(t, a)
    return np.array([multiplied(t, list(np.diag(both))) for both in factors])


@pytest.mark.parametrize(
    ("calls", "executed"),
    [
        ([torch.linalg.solve, lambda a, b: torch.linalg.solve_ex(a, b)[0]], by_lu),
        (
            [lambda a, b: torch.linalg.inv(a), lambda a, b: a.inverse()],
            lambda t, a, b: by_lu(t, a, np.broadcast_to(np.eye(N), a.shape)),
        ),
        ([lambda a, b: torch.det(a), lambda a, b: torch.linalg.det(a)], None),
    ],
)
def test_by_the_factors(
    calls: list[Callable[..., Any]], executed: Callable[[Tally, Array, Array], Array] | None
) -> None:
    random = np.random.default_rng(0)
    a, b = random.random((BATCH, N, N)) + N * np.eye(N), random.random((BATCH, N, K))
    tally = Tally()
    values = determinants(tally, a) if executed is None else executed(tally, a, b)
    for call in calls:
        inputs = torch.from_numpy(a), torch.from_numpy(b)
        table = costlab.analyze(Fn(lambda m, a, b, call=call: call(a, b)), inputs=inputs)
        assert table.complete
        assert table.total.count == OpCount(**vars(tally))
        assert np.allclose(call(*inputs), values)  # no rows change places: the diagonal is large


def test_what_goes_back_through_factors_is_not_known() -> None:
    a = torch.eye(N, requires_grad=True)
    table = costlab.analyze(Fn(lambda m, a: torch.linalg.det(a)), inputs=a, training_cost=True)
    assert table.total.backward_ops_bound


@pytest.mark.parametrize(
    ("call", "macs"),
    [
        (torch.linalg.solve, BATCH * N * N * K),
        (lambda a, b: torch.linalg.solve(a, b[..., 0]), BATCH * N * N),
        (lambda a, b: torch.linalg.solve(a, b[0]), BATCH * N * N * K),
        (lambda a, b: torch.linalg.solve(a, b.mT, left=False), BATCH * N * N * K),
        (lambda a, b: torch.linalg.inv(a), 2 * BATCH * N**3),
    ],
)
def test_the_products_that_go_back_to_a_matrix_are_those_of_torch(
    call: Callable[..., Any], macs: int
) -> None:
    inputs = torch.eye(N).expand(BATCH, N, N).clone().requires_grad_(), torch.zeros(BATCH, N, K)
    module = Fn(lambda m, a, b: call(a, b))
    result = costlab.reconcile(module, inputs=inputs, training_cost=True)
    assert result.explained
    assert (result.macs, [term.units for term in result.accounts[0].terms]) == (macs, [2 * macs])
