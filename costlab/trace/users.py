"""Rules that users give: what they are for, and which rule a call or a module has."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import (
    BuiltinFunctionType,
    FunctionType,
    MethodDescriptorType,
    MethodType,
    ModuleType,
    WrapperDescriptorType,
)
from typing import Any, NamedTuple, TypeAlias

from torch import Tensor, nn
from torch.autograd import Function
from torch.jit import ScriptFunction
from torch.overrides import get_testing_overrides

from costlab.errors import ChoiceError
from costlab.isolation.autograd_functions import class_applied
from costlab.ops.custom import Counting
from costlab.torch_private import (
    CONTROL_FLOW,
    CustomOpDef,
    HigherOrderOperator,
    OpOverload,
    OpOverloadPacket,
)
from costlab.trace.registry import plain_name

Key: TypeAlias = Any
"""What a rule is for: the name of a function of torch or of an operator, in all its spellings; a
Python function that torch does not see; a kind of module or of ``torch.autograd.Function``."""


class UsersRule(NamedTuple):
    """A rule of a user's.

    ``cost`` says what a call costs. ``output`` says what it gives, so that it is not run; without
    it the call is run on shapes.
    """

    cost: Counting
    output: Callable[..., Any] | None = None


RULES: dict[Key, UsersRule] = {}
"""The rule for each target that has one."""


def register(
    target: Any, *, output: Callable[..., Any] | None = None, replace: bool = False
) -> Callable[[Counting], Counting]:
    """See ``costlab.counting``."""
    key, what = key_of(target), label(target)
    if output is not None and not callable(output):
        raise ChoiceError(
            f"output={output!r} of the rule for {what} is no function: give one that takes the "
            "arguments of the call and gives tensors, such as lambda x: torch.empty_like(x)"
        )

    def add(rule: Counting) -> Counting:
        if not callable(rule):
            raise ChoiceError(f"the rule for {what} is {rule!r}, not a function")
        first = RULES.get(key)
        if first is not None and not replace and not _is_made_again(first.cost, rule):
            raise ChoiceError(
                f"{what} has a rule already: give replace=True if this one is to take its place"
            )
        RULES[key] = UsersRule(rule, output)
        return rule

    return add


def _is_made_again(first: Any, second: Any) -> bool:
    """Whether two rules are one function, whose file or cell was run twice."""
    names = [
        (getattr(rule, "__module__", None), getattr(rule, "__qualname__", "<lambda>"))
        for rule in (first, second)
    ]
    return names[0] == names[1] and "<lambda>" not in names[0][1]


def key_of(target: Any) -> Key:
    """What a rule for this target is found by. Raises ``ChoiceError`` if it never could be."""
    if isinstance(target, type):
        if issubclass(target, (nn.Module, Function)):
            return target
        raise ChoiceError(
            f"{label(target)} is a class that is neither an nn.Module nor a "
            "torch.autograd.Function: give a rule for the function or module that uses it"
        )
    if function := class_applied(target):
        return function
    if isinstance(target, MethodType):
        raise ChoiceError(
            f"{label(target)} is a method of one object: give a rule for the function, or for the "
            "kind of module"
        )
    if is_dispatched(target):
        return name_of(target)
    if isinstance(target, (FunctionType, ScriptFunction)):
        return target
    if callable(target):
        raise ChoiceError(
            f"costlab cannot see calls of {label(target)}, which is neither a function of torch "
            "nor written in Python: give a rule for the Python function, the "
            "torch.autograd.Function or the kind of module that calls it"
        )
    raise ChoiceError(f"{target!r} is neither a function nor a kind of module")


_OPERATORS = (OpOverload, OpOverloadPacket, CustomOpDef, HigherOrderOperator)


def is_dispatched(target: Any) -> bool:
    """Whether torch asks modes about calls of it: it is torch's own, or an operator."""
    if isinstance(target, _OPERATORS):
        return True
    if isinstance(target, (MethodDescriptorType, WrapperDescriptorType)):
        return issubclass(Tensor, target.__objclass__)
    if isinstance(target, FunctionType):
        return target in get_testing_overrides()
    if isinstance(target, BuiltinFunctionType):
        home = target.__self__
        room = home.__name__ if isinstance(home, ModuleType) else target.__module__ or ""
        return room == "torch" or room.startswith("torch._C._")
    return False


def name_of(function: Any) -> str:
    """The name of a function of torch, however it is spelled; of an operator, with its library."""
    if isinstance(function, CustomOpDef):
        return str(function._qualname)
    if isinstance(function, HigherOrderOperator):
        return f"higher_order::{function._name}"
    if isinstance(function, OpOverload):
        name = function._schema.name
    elif isinstance(function, OpOverloadPacket):
        name = function._qualified_op_name
    else:
        return plain_name(function.__name__)[0]
    library, _, bare = name.partition("::")
    return plain_name(bare)[0] if library in ("aten", "prims", "prim") else name


def label(target: Any) -> str:
    """What a target is called in tables and messages: by its name, without its library."""
    if kind := class_applied(target):
        return kind.__name__
    if isinstance(target, (type, FunctionType)) and target not in get_testing_overrides():
        return target.__name__
    if is_dispatched(target):
        return name_of(target).rpartition("::")[2]
    return str(getattr(target, "__qualname__", "") or target)


def rule_for(function: Any) -> UsersRule | None:
    """The rule for a function that was called, if there is one."""
    if kind := class_applied(function):
        return rule_for_kind(kind)
    rule = RULES.get(function)
    if rule is None and not isinstance(function, type):
        name = name_of(function) if hasattr(function, "__name__") else None
        rule = RULES.get(name)
    return rule


def rule_for_kind(kind: type) -> UsersRule | None:
    """The rule for a kind of module or ``autograd.Function``, or for what it is a kind of."""
    if RULES.keys().isdisjoint(kind.__mro__):  # as of nearly all
        return None
    return next(RULES[base] for base in kind.__mro__ if base in RULES)


def asked_by_code() -> list[FunctionType]:
    """Python functions that torch asks no mode about: those with rules, and some of torch's own."""
    return [
        function for function in (*RULES, *asked_of_torch()) if isinstance(function, FunctionType)
    ]


def asked_of_torch() -> tuple[Any, ...]:
    """Those of torch's own."""
    flex = sys.modules.get("torch.nn.attention.flex_attention")
    return (*CONTROL_FLOW, getattr(flex, "flex_attention", None))
