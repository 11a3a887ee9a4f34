"""Which rule answers a call of torch: by the function's name, however it is spelled.

``F.relu``, ``torch.relu``, ``Tensor.relu``, ``Tensor.relu_`` and ``aten::relu`` are one name. A
file in ``rules/`` holds the rules of one kind of calls.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, TypeAlias

Rule: TypeAlias = "Callable[..., Any]"
"""``rule(tape, *args, **kwargs)`` records operations and gives what the call would give; or
``NotImplemented`` for arguments that it does not know."""

_RULES: dict[str, Rule] = {}
CHECKED: set[str] = set()
"""Calls whose rules refuse every shape that torch refuses. Of others, torch itself is asked."""


def rule(*names: str, checked: bool = False) -> Callable[[Rule], Rule]:
    """The decorated function answers calls of these names, which it has ``checked`` or not."""

    def register(function: Rule) -> Rule:
        for name in names:
            _RULES[name] = function
        if checked:
            CHECKED.update(names)
        return function

    return register


_COSTS: dict[str, Rule] = {}


def rule_of_results(*names: str) -> Callable[[Rule], Rule]:
    """The decorated function says which operation a call was whose values decide what it gives.

    It gets the shape of the first result, and what the call got.
    """

    def register(function: Rule) -> Rule:
        for name in names:
            _COSTS[name] = function
        return function

    return register


def costs_of_results() -> dict[str, Rule]:
    """All of these by name."""
    rules()
    return _COSTS


@cache
def rules() -> dict[str, Rule]:
    """All rules by name."""
    from costlab.trace import rules as rooms

    for module in iter_modules(rooms.__path__):
        import_module(f"{rooms.__name__}.{module.name}")
    return _RULES


_ALIASES = {
    "true_divide": "div",
    "truediv": "div",
    "rdiv": "rdiv",
    "rtruediv": "rdiv",
    "divide": "div",
    "floordiv": "floor_divide",
    "multiply": "mul",
    "subtract": "sub",
    "absolute": "abs",
    "negative": "neg",
    "clip": "clamp",
    "mod": "remainder",
    "invert": "bitwise_not",
    "and": "bitwise_and",
    "or": "bitwise_or",
    "xor": "bitwise_xor",
    "greater": "gt",
    "less": "lt",
    "greater_equal": "ge",
    "less_equal": "le",
    "not_equal": "ne",
    "getitem": "index",
    "setitem": "index_put",
    "concat": "cat",
    "concatenate": "cat",
    "swapaxes": "transpose",
    "expit": "sigmoid",
    "_unsafe_view": "view",
    "_reshape_alias": "view",
    "_to_copy": "to",
    "_safe_softmax": "softmax",
    "_cdist_forward": "cdist",
    "grid_sampler": "grid_sample",
    "grid_sampler_2d": "grid_sample",
    "grid_sampler_3d": "grid_sample",
    "_grid_sampler_2d_cpu_fallback": "grid_sample",
    "_upsample_bilinear2d_aa": "upsample_bilinear2d_aa",
    "_upsample_bicubic2d_aa": "upsample_bicubic2d_aa",
    **{
        f"{view}_copy": view
        for view in (
            *("alias", "as_strided", "detach", "diagonal", "expand", "narrow", "permute", "select"),
            *("slice", "split", "split_with_sizes", "squeeze", "t", "transpose", "unbind"),
            *("unfold", "unsqueeze", "view"),
        )
    },
}


def plain_name(name: str) -> tuple[str, bool]:
    """A function's name without what its spelling adds, and whether it works in place."""
    if name.startswith("__") and name.endswith("__"):
        bare = name[2:-2]
        in_place = bare.startswith("i") and bare[1:] in _IN_PLACE_OPERATORS
        bare = bare[1:] if in_place else bare
        in_place = in_place or bare == "setitem"
    else:
        in_place = name.endswith("_") and not name.startswith("__")
        bare = name.rstrip("_") if in_place else name
    if bare != "linalg_norm":  # of matrices, where `norm` is of all elements
        bare = bare.removeprefix("special_").removeprefix("linalg_")
    return _ALIASES.get(bare, bare), in_place


_IN_PLACE_OPERATORS = frozenset(
    [
        "add",
        "sub",
        "mul",
        "div",
        "truediv",
        "floordiv",
        "mod",
        "pow",
        "matmul",
        "and",
        "or",
        "xor",
        "lshift",
        "rshift",
    ]
)
