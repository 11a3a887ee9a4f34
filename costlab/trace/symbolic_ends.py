"""Between which numbers the elements of a tensor are, where these are made of symbols.

So that positions that are looked up in a table say how long it lets a sequence be. What is not
known has no ends: elements that follow from inputs, or that are made in another way than here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import torch
from torch import Tensor

from costlab.torch_private import SymInt
from costlab.trace.classification import Call
from costlab.trace.tensors import tensors

Ends: TypeAlias = "tuple[Any, Any]"
"""The least and the largest number that an element can be, both ints or made of symbols."""

_KEPT = frozenset(
    (
        *("view", "reshape", "view_as", "reshape_as", "expand", "expand_as", "broadcast_to"),
        *("unsqueeze", "squeeze", "flatten", "unflatten", "transpose", "permute", "movedim"),
        *("swapaxes", "swapdims", "moveaxis", "t", "T", "mT", "H", "mH", "contiguous", "clone"),
        *("detach", "to", "long", "int", "type", "type_as", "cpu", "cuda", "repeat", "tile"),
        *("repeat_interleave", "flip", "fliplr", "flipud", "roll", "index", "narrow", "select"),
        *("chunk", "split", "tensor_split", "unbind", "index_select", "gather", "alias"),
    )
)
"""What gives elements of its first argument and no others."""


class EndsOfTensors:
    """The ends of tensors of whole numbers, by their identity, and the tensors, to keep them."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Tensor, Ends]] = {}

    def __bool__(self) -> bool:
        return bool(self._known)

    def of(self, value: Any) -> Ends | None:
        """The ends of a tensor, or a number twice; None if they are not known."""
        if isinstance(value, Tensor):
            return self._known[id(value)][1] if id(value) in self._known else None
        return (value, value) if type(value) in (int, SymInt) else None

    def follow(self, made: Call, args: Any, kwargs: Mapping[str, Any], result: Any) -> None:
        """Note the ends of what a call gives, if they follow."""
        if made.in_place or kwargs.get("out") is not None:
            self._known.clear()  # some tensor, and its views, have other elements now
            return
        ends = self._ends(made.name, args, kwargs, result)
        if ends is not None:
            whole = [t for t in tensors(result) if t.dtype in (torch.int64, torch.int32)]
            self._known |= {id(tensor): (tensor, ends) for tensor in whole}

    def _ends(self, name: str, args: Any, kwargs: Mapping[str, Any], result: Any) -> Ends | None:
        if name in _KEPT:
            return self.of(args[0]) if isinstance(args[0], Tensor) else None
        rule = _RULES.get(name)
        if rule is None:
            return None
        try:
            return rule(self.of, result, *args, **kwargs)
        except TypeError:  # it is called in another way
            return None


_Of: TypeAlias = Callable[[Any], "Ends | None"]
_Rule: TypeAlias = "Callable[..., Ends | None]"


def _arange(of: _Of, result: Tensor, start: Any, end: Any = None, step: Any = 1, **_: Any) -> Any:
    first = 0 if end is None else start
    if type(first) not in (int, SymInt) or type(step) is not int:
        return None
    last = first + (result.shape[0] - 1) * step
    return (first, last) if step > 0 else (last, first)


def _filled(number: int) -> _Rule:
    return lambda of, result, *_, **__: (number, number)


def _full(of: _Of, result: Tensor, size: Any, fill_value: Any, **_: Any) -> Ends | None:
    return of(fill_value)


def _cumsum(of: _Of, result: Tensor, x: Any, dim: int, **_: Any) -> Ends | None:
    ends = of(x)
    if ends is None or type(ends[0]) is not int or ends[0] < 0:
        return None
    return ends[0], ends[1] * result.shape[dim]


def _add(of: _Of, result: Tensor, x: Any, y: Any) -> Ends | None:
    a, b = of(x), of(y)
    return None if a is None or b is None else (a[0] + b[0], a[1] + b[1])


def _sub(of: _Of, result: Tensor, x: Any, y: Any) -> Ends | None:
    a, b = of(x), of(y)
    return None if a is None or b is None else (a[0] - b[1], a[1] - b[0])


def _mul(of: _Of, result: Tensor, x: Any, y: Any) -> Ends | None:
    ends, factor = (of(x), y) if isinstance(x, Tensor) else (of(y), x)
    if ends is None or type(factor) not in (int, SymInt):
        return None
    least, most = ends[0] * factor, ends[1] * factor
    return (least, most) if factor >= 0 else (most, least)


def _floor_divide(of: _Of, result: Tensor, x: Any, y: Any) -> Ends | None:
    ends = of(x)
    if ends is None or type(y) is not int or y <= 0:
        return None
    return ends[0] // y, ends[1] // y


def _remainder(of: _Of, result: Tensor, x: Any, y: Any) -> Ends | None:
    return (0, y - 1) if type(y) in (int, SymInt) and y > 0 else None


_RULES: dict[str, _Rule] = {
    "arange": _arange,
    **dict.fromkeys(("zeros", "zeros_like", "new_zeros"), _filled(0)),
    **dict.fromkeys(("ones", "ones_like", "new_ones"), _filled(1)),
    **dict.fromkeys(("full", "full_like", "new_full"), _full),
    "cumsum": _cumsum,
    "add": _add,
    "sub": _sub,
    "rsub": lambda of, result, x, y: _sub(of, result, y, x),
    "neg": lambda of, result, x: _sub(of, result, 0, x),
    "mul": _mul,
    "floor_divide": _floor_divide,
    "remainder": _remainder,
}
