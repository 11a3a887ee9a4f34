"""Rules of users' own, for operations and modules that costlab does not know."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

from costlab.errors import ChoiceError, place_of
from costlab.graph.op import Op, Shape
from costlab.graph.opcount import OpCount

Counting: TypeAlias = Callable[..., "OpCount | Op"]

_COUNTING: dict[Any, Counting] = {}


def counting(target: Any) -> Callable[[Counting], Counting]:
    """Count a function or a kind of module by the decorated rule.

    ``target`` is a function that torch dispatches (one of torch's, or ``torch.ops.mylib.scan``),
    or a subclass of ``nn.Module``. The rule is called with the output and the arguments of the
    call, or with the module, the output's shape and the inputs' shapes; tensors have shapes and no
    values. It gives an ``OpCount``. Registering again replaces the rule.

    >>> import costlab, torch
    >>> @costlab.counting(torch.cdist)
    ... def cdist(output, x1, x2, p=2.0, **more):
    ...     n = output.numel() * x1.shape[-1]
    ...     return costlab.OpCount(mul=n, add=2 * n - output.numel(), special=output.numel())

    Raises ``ChoiceError`` for what is neither.
    """
    if not callable(target):
        raise ChoiceError(f"{target!r} is neither a function of torch nor a kind of module")

    def register(rule: Counting) -> Counting:
        _COUNTING[target] = rule
        return rule

    return register


def rule_of(target: Any) -> Counting | None:
    """The user's rule for a function or a kind of module, if there is one."""
    found = _COUNTING.get(target)
    if found is None:
        found = _COUNTING.get(getattr(target, "overloadpacket", None))
    return found


def operation(what: str, shape: Shape, rule: Counting, *args: Any, **kwargs: Any) -> Op:
    """What a rule gives for these arguments, as an operation. Raises ``ChoiceError``."""
    try:
        answer = rule(*args, **kwargs)
    except Exception as error:
        said = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise ChoiceError(f"the rule for {what} raised {said}{place_of(error)}") from error
    if isinstance(answer, Op):
        return answer
    if not isinstance(answer, OpCount):
        raise ChoiceError(f"the rule for {what} gave {answer!r}, not an OpCount")
    if not all(type(number) is int and number >= 0 for number in answer):
        raise ChoiceError(f"the rule for {what} gave {answer!r}: give whole numbers from 0")
    return Custom(what, shape, answer)


@dataclass(frozen=True, slots=True)
class Custom(Op):
    """What a rule of a user's own says (see ``costlab.counting``)."""

    what: str
    shape: Shape
    count: OpCount

    name: ClassVar[str] = "custom"
    arity: ClassVar[int | None] = None

    def label(self, *inputs: Shape) -> str:
        return self.what

    def output(self, *inputs: Shape) -> Shape:
        return self.shape

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        return self.count
