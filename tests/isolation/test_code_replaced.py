"""Functions whose code asks modes for the time of a run."""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType, TracebackType
from typing import Any

import pytest
from torch.overrides import TorchFunctionMode

from costlab.isolation.code_replaced import asking


def function(cells: int) -> Callable[[int], tuple[int, ...]]:
    """A function with that many variables of the function around it."""
    one, two, three = 1, 2, 3
    if cells == 0:
        return lambda x: (x,)
    if cells == 1:
        return lambda x: (x, one)
    return lambda x: (x, one, two, three)


class Refuses(TorchFunctionMode):
    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise ValueError(f"asked of {args}")


def variables(traceback: TracebackType | None) -> dict[str, dict[str, Any]]:
    """What a debugger shows: the variables of each function on the way."""
    found = {}
    while traceback is not None:
        found[traceback.tb_frame.f_code.co_name] = dict(traceback.tb_frame.f_locals)
        traceback = traceback.tb_next
    return found


@pytest.mark.parametrize("cells", [0, 1, 3])
def test_who_looks_at_the_variables_of_such_a_function_sees_them(cells: int) -> None:
    """Python itself failed where the function has variables of another one."""
    called = function(cells)
    assert isinstance(called, FunctionType)
    before, expected = called.__code__, called(5)
    with asking([called]):
        assert called(5) == expected  # there is no mode
        with pytest.raises(ValueError, match="asked of") as caught, Refuses():
            called(5)
    shown = variables(caught.tb)[before.co_name]
    assert shown["args"] == (5,)
    assert {shown[name] for name in before.co_freevars} == set(expected[1:])
    assert called.__code__ is before
