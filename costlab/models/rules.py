"""Rules of users' own: for what costlab does not know, and for what it shall count otherwise."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from costlab.errors import CodeError
from costlab.models.python_code import module_of, require_file

if TYPE_CHECKING:
    from costlab.ops.custom import Counting


def counting(
    target: Any, *, output: Callable[..., Any] | None = None, replace: bool = False
) -> Callable[[Counting], Counting]:
    """Count a function or a kind of module by the decorated rule.

    ``target`` is a function of torch, in any spelling, an operator of another library
    (``torch.ops.mylib.scan``), a ``torch.autograd.Function``, a Python function of any package, or
    a subclass of ``nn.Module``, which stands for its own subclasses too. The rule is called with
    the output and the arguments of the call, or with the module, the output's shape and the inputs'
    shapes; tensors have shapes and no values. It gives an ``OpCount``, or with what the backward
    pass takes a ``StepCount``.

    With ``output`` the function, or the module's forward, is not run: ``output`` is called with its
    arguments (for a module, with the module and these) and gives what it would give, in tensors
    that have the right shapes and types: ``x.new_empty(x.shape[0], 10)``.

    A target has one rule: another one is an error unless it is to ``replace`` the first. A rule
    whose file or cell is run again replaces itself.

    >>> import costlab, torch
    >>> @costlab.counting(torch.cdist)
    ... def cdist(output, x1, x2, p=2.0, **more):
    ...     n = output.numel() * x1.shape[-1]
    ...     return costlab.OpCount(mul=n, add=2 * n - output.numel(), special=output.numel())

    Raises ``ChoiceError`` for a rule that could never be asked, or a second one.
    """
    from costlab.trace.users import register

    return register(target, output=output, replace=replace)


def load_rules(*places: str) -> None:
    """Import the rules in Python files. Raises ``CodeError``, also for a file without a rule."""
    for place in places:
        if not place.endswith(".py"):
            raise CodeError(
                f"{place!r} is no Python file: give that of your rules, such as rules.py"
            )
        require_file(place)
        from costlab.trace.users import RULES  # without rules nobody waits for torch

        before = dict(RULES)
        home = module_of(place).__name__
        is_known = any(getattr(rule.cost, "__module__", "") == home for rule in RULES.values())
        if before == RULES and not is_known:
            raise CodeError(
                f"{place} has no rule: give one with @costlab.counting(TARGET) above a function "
                "that gives a costlab.OpCount"
            )
