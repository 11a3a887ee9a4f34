"""Basic operations: what the calls of torch that no rule knows consist of."""

from __future__ import annotations

from types import NoneType
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from costlab.ops.uncounted import Uncounted
from costlab.trace.classification import (
    MAKES,
    MOVES,
    accumulates,
    is_for_profiling,
    is_others,
)
from costlab.trace.registry import Rule, costs_of_results, plain_name, rules
from costlab.trace.tape import Tape
from costlab.trace.tensors import META, tensors
from costlab.trace.users import label, name_of, rule_for
from costlab.trace.users_answers import changed_arguments, note


def by_rule(tape: Tape, rule: Rule, args: Any, kwargs: dict[str, Any]) -> Any:
    """What a rule gives, or ``NotImplemented`` for arguments that it does not take."""
    if "axis" in kwargs or "out" in kwargs:
        kwargs = {"dim" if key == "axis" else key: value for key, value in kwargs.items()}
        out = kwargs.pop("out", None)
        if not isinstance(out, (Tensor, NoneType)):
            return NotImplemented
    mark = tape.mark()
    try:
        return rule(tape, *args, **kwargs)
    except TypeError:  # what is right is said by torch itself
        tape.forget(mark)
        return NotImplemented


def by_result(tape: Tape, function: Any, result: Tensor, args: Any, kwargs: Any) -> bool:
    """Note a call by the rule for what it gave, if it has one."""
    name = name_of(function) if hasattr(function, "__name__") else ""
    cost = costs_of_results().get(name)
    if cost is None:
        return False
    answer = cost(tuple(result.shape), *args, **kwargs)
    if answer is NotImplemented:
        return False
    op, operands = answer
    tape.record(op, operands, result=result)
    return True


_READ = "aten::_local_scalar_dense"
_ASKS = {_READ, "aten::equal"}
_REFUSES = {"istft"}
"""Calls that ask for one truth about values, only to refuse them: whether windows add up to 0."""


class Basic(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes the basic operations that a call on ``meta`` consists of.

    Those without a rule are called what the user called.
    """

    def __init__(self, tape: Tape, called: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._tape, self._called = tape, called
        self._mark, self._taken = tape.mark(), tensors(())

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func._schema.name == _READ and not isinstance(args[0], Tensor):
            return args[0]  # a constant of a scripted graph
        if func._schema.name in _ASKS and self._called in _REFUSES and args[0].device == META:
            return False
        result = func(*args, **kwargs)
        if is_for_profiling(func):
            return result
        rule, leaves = rule_for(func), tensors(result)
        if rule is not None or not leaves:
            changed = changed_arguments(func, False, args, kwargs)
            changed = [t for t in changed if not any(t is leaf for leaf in leaves)]
            if rule is not None or changed or is_others(func):
                note(self._tape, label(func), rule, result, args, kwargs, changed)
        else:
            name, in_place = plain_name(func._schema.name.partition("::")[2])
            if is_others(func) and self._by_rule(name_of(func), args, kwargs, leaves):
                return result
            if not self._note(name, in_place, args, kwargs, leaves, is_others(func)):
                self._without_rule(name, func, args, kwargs, leaves)
        return result

    def _note(
        self,
        name: str,
        in_place: bool,
        args: Any,
        kwargs: dict[str, Any],
        leaves: list[Tensor],
        others: bool,
    ) -> bool:
        """Note what moves or makes elements, or has a rule; whether it is such a call."""
        tape, inputs = self._tape, tensors((args, kwargs))
        if others:
            return False
        if name in MOVES and not accumulates(name, args, kwargs):
            for leaf in leaves:
                if in_place:
                    own = torch.empty(leaf.shape, dtype=leaf.dtype, device=META)
                    tape.renewed(leaf, tape.moved(name, inputs, own))
                elif not any(leaf is tensor for tensor in inputs):
                    tape.moved(name, inputs, leaf)
            return True
        by_number = name == "mul" and type(args[1]) in (int, float)
        if by_number and args[1] == 1 and self._called == "linear":
            tape.moved(name, inputs, leaves[0])  # of the bias, by 1, inside of vmap
            return True
        return not inputs or name in MAKES or self._by_rule(name, args, kwargs, leaves)

    def _without_rule(
        self, name: str, func: Any, args: Any, kwargs: dict[str, Any], leaves: list[Tensor]
    ) -> None:
        if not by_result(self._tape, func, leaves[0], args, kwargs):
            name = name if is_others(func) else self._called
            op = Uncounted(name, tuple(leaves[0].shape))
            self._taken = tensors((args, kwargs))
            self._tape.record(op, self._taken, result=leaves[0])
        for leaf in leaves[1:]:
            self._tape.further(leaves[0], leaf)

    def given(self, result: Any) -> None:
        """What the call gives: of one without a rule, the rest that torch made was never asked for.

        ``svdvals`` is an ``svd`` of which only the values are given.
        """
        tape = self._tape
        noted = tape.records[self._mark[0] :]
        if len(noted) != 1 or not isinstance(noted[0].op, Uncounted) or not self._taken:
            return
        leaves, results = tensors(result), noted[0].results
        numbers = [tape.number(leaf) for leaf in leaves]
        if not numbers or len(numbers) == len(results) or not {*numbers} <= {*results}:
            return
        tape.forget(self._mark)
        what = noted[0].op.what
        tape.record(Uncounted(what, tuple(leaves[0].shape)), self._taken, result=leaves[0])
        for leaf in leaves[1:]:
            tape.further(leaves[0], leaf)

    def _by_rule(self, name: str, args: Any, kwargs: dict[str, Any], leaves: list[Tensor]) -> bool:
        """Note it by the rule of its name, if there is one that gives the shapes that came out."""
        rule, mark = rules().get(name), self._tape.mark()
        noted = NotImplemented if rule is None else by_rule(self._tape, rule, args, kwargs)
        if noted is NotImplemented:
            return False
        own = tensors(noted)
        if [result.shape for result in own] != [leaf.shape for leaf in leaves[: len(own)]]:
            self._tape.forget(mark)
            return False
        for leaf, result in zip(leaves, own, strict=False):
            self._tape.alike(leaf, result)
        for leaf in leaves[len(own) :]:  # statistics and the like
            self._tape.further(own[0], leaf)
        return True
