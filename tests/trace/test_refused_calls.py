"""What torch refuses is refused, and nothing else: every rule with drawn wrong arguments.

Torch itself says which calls are wrong. `ROUNDS` wrong calls for each right one; more with
``COSTLAB_WRONG_CALLS=30``.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from functools import cache
from random import Random
from typing import Any

import pytest
import torch
from cases import moved_calls
from cases.calls import Call, mutated, right
from torch import nn

from costlab.errors import CostlabError
from costlab.trace import trace
from costlab.trace.classification import Call as Known
from costlab.trace.recorder import Recorder
from costlab.trace.registry import CHECKED, rules
from costlab.trace.tensors import nested

pytestmark = pytest.mark.filterwarnings("ignore")  # of torch, about what it takes all the same

ROUNDS = int(os.environ.get("COSTLAB_WRONG_CALLS", "2"))
OF_TORCH = (RuntimeError, TypeError, ValueError, IndexError, AssertionError, ArithmeticError)
"""What it raises for a wrong call."""
OF_VALUES = (
    *("RuntimeError: ZeroDivision", "offsets[-1] can not", "strides should be multiple of 16"),
    "INTERNAL ASSERT FAILED",
)
"""Errors of torch about values and strides, which nobody knows on shapes, and its own faults."""
OF_THE_CPU = (
    *("for 'Half'", "for 'BFloat16'", "pad1d\" not implemented for 'Bool'"),
    "kernel size should be greater than zero, but got",  # of fractional pools, since torch 2.14
)
"""What it lacks, or refuses, and other devices do not."""


class Calls(nn.Module):
    """A function of torch, or a module of it, called with all that it is given."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, args: Any, named: Any) -> Any:
        return self.function(*args, **named)


def error_of(function: Callable[[], Any]) -> str:
    try:
        function()
    except (CostlabError, *OF_TORCH) as error:
        return f"{type(error).__name__}: {error}"
    return ""


def given(call: Call, device: str = "cpu") -> tuple[Any, Any]:
    """What it is called with, as tensors of their own."""
    values = (call.args, dict(call.named))
    args, named = nested(lambda tensor: tensor.clone().to(device), values)
    return args, named


def by_torch(call: Call, device: str = "cpu") -> str:
    function = call.function
    if isinstance(function, nn.Module):
        function = copy.deepcopy(function).to(device).eval()
    args, named = given(call, device)
    return error_of(lambda: function(*args, **named))


def by_costlab(call: Call, kind: type[Recorder] = Recorder) -> str:
    return error_of(lambda: trace(Calls(call.function), inputs=given(call), kind=kind))


def described(value: Any) -> Any:
    return nested(lambda t: f"{t.dtype}{list(t.shape)}", value)  # type: ignore[arg-type,return-value]


@cache
def calls() -> dict[str, Call]:
    """Right ones, with the same tensors in each order of the tests."""
    torch.manual_seed(0)
    return right() | moved_calls.right()


@pytest.mark.parametrize("name", [*right(), *moved_calls.right()])
def test_what_torch_refuses_is_refused_and_nothing_else(name: str) -> None:
    random, call = Random(name), calls()[name]
    torch.manual_seed(0)
    assert (by_torch(call), by_costlab(call)) == ("", "")
    for _ in range(ROUNDS):
        wrong = mutated(call, random)
        torchs, ours = by_torch(wrong), by_costlab(wrong)
        about = f"{name}{described((wrong.args, dict(wrong.named)))}"
        if torchs and not ours:
            tolerated = OF_VALUES if name.startswith("bitwise") else OF_VALUES + OF_THE_CPU
            assert any(text in torchs for text in tolerated), f"{about}: torch says {torchs}"
        if ours and not torchs:  # where torch is of two minds, so may we be
            assert "needs the values" in ours or by_torch(wrong, "meta"), f"{about}: {ours}"


TYPES = (torch.float32, torch.float64, torch.float16)
STATISTICS = [
    (own, mean, variance, weight)
    for own in TYPES
    for mean in (*TYPES, torch.int64)
    for variance in TYPES
    for weight in (None, torch.float32, torch.float64)
]


@pytest.mark.parametrize("from_input", [True, False])
def test_types_of_running_statistics_are_refused_as_by_torch(from_input: bool) -> None:
    for own, mean, variance, weight in STATISTICS:
        affine = (None, None) if weight is None else (torch.ones(3, dtype=weight),) * 2
        statistics = (torch.zeros(3, dtype=mean), torch.ones(3, dtype=variance))
        args = (torch.ones(2, 3, 4, 4, dtype=own), *statistics, *affine, from_input)
        call = Call(nn.functional.instance_norm, args, {})
        refusals = (by_torch(call), by_costlab(call))
        assert bool(refusals[0]) == bool(refusals[1]), (own, mean, variance, weight, refusals)


@pytest.mark.parametrize("own", [*TYPES, torch.complex64])
@pytest.mark.parametrize("other", [*TYPES, torch.complex64])
def test_types_of_attention_and_of_grids_are_refused_as_by_torch(
    own: torch.dtype, other: torch.dtype
) -> None:
    queries, keys = torch.ones(2, 3, 4, dtype=own), torch.ones(2, 3, 4, dtype=other)
    images, grid = torch.ones(1, 2, 3, 3, dtype=own), torch.zeros(1, 2, 2, 2, dtype=other)
    attend = Call(nn.functional.scaled_dot_product_attention, (queries, keys, keys), {})
    sample = Call(nn.functional.grid_sample, (images, grid), {"align_corners": False})
    for call in (attend, sample):
        torchs, ours = by_torch(call), by_costlab(call)
        assert bool(torchs) == bool(ours), (torchs, ours)


@pytest.mark.parametrize("mode", ["reflect", "mirror"])
def test_what_torch_lacks_everywhere_is_said_by_torch(mode: str) -> None:
    call = Call(nn.functional.pad, (torch.ones(1, 2, 4, 4), (1, 1)), {"mode": mode})
    assert by_torch(call).split(".")[0] in by_costlab(call)


def test_every_rule_that_checks_by_itself_is_called() -> None:
    """But for those of basic operations, which torch has run before the rule is asked."""
    called: set[Any] = set()

    class Noting(Recorder):
        def answer(self, made: Known, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
            called.add(made.rule)
            return super().answer(made, func, args, kwargs)

    for call in right().values():
        assert not by_costlab(call, Noting)
    alone = {name: rule for name, rule in rules().items() if name in CHECKED}
    assert {name for name, rule in alone.items() if rule not in called} == {
        *("logsigmoid", "gelu_tanh"),  # names of basic operations
        "operator_without_rule",  # of programs and files, of which torch knows nothing
        *("radd", "rmul"),  # torch itself calls `add` and `mul`
        *("_scaled_mm", "_scaled_mm_v2"),  # see test_quantized
    }
