"""The layers of a model, each as a function that can be timed alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import Tensor, nn
from torch.jit import ScriptModule

from costlab.costs.rows import Row
from costlab.graph.paths import ancestry
from costlab.timing.subjects import Subject, told
from costlab.trace.module_stack import Places
from costlab.trace.tensors import nested, tensors


class Layer(NamedTuple):
    """The rows of the table that one call of a module makes, and that call."""

    rows: list[Row]
    run: Callable[[], Any]


def layers(subject: Subject) -> dict[str, Layer]:
    """Each call of a module in which no other module is called, by the path that it has in rows.

    A module that several rows are of (an LSTM, attention, one with a formula of its own) is one of
    them. What forward computes itself, around modules that it calls, is in none; nor is what
    TorchScript runs, but in the module that calls it. All that they take is held at once. Raises
    ``ChoiceError`` where memory is too small for that.
    """
    rows: dict[str, list[Row]] = {}
    for row in subject.table.rows:
        for scope in ancestry(row.path):
            rows.setdefault(scope, []).append(row)
    calls = _calls(subject)
    totals, numbers = Counter([call.path for call in calls]), Counter[str]()
    by_path: dict[str, Layer] = {}
    for call in calls:
        path, total = call.path, totals[call.path]
        numbers[path] += 1
        label = _label(path, numbers[path])
        sure = _label(path, total) in rows and _label(path, total + 1) not in rows
        if sure and label in rows and not call.inside and tensors((call.args, call.kwargs)):
            by_path[label] = Layer(rows[label], call.again)
    return by_path


def _label(path: str, number: int) -> str:
    """The path that rows of that call of a module have, or begin with."""
    return path if number == 1 else f"{path}@{number}"


@dataclass
class _Call:
    """A module with what it was called with, and how many modules it called."""

    module: nn.Module
    path: str
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] | None = None
    inside: int = 0

    def calls_another(self) -> None:
        """It is no layer: what it takes is let go."""
        self.inside += 1
        self.args, self.kwargs = (), None

    def again(self) -> Any:
        return self.module(*self.args, **(self.kwargs or {}))


def _calls(subject: Subject) -> list[_Call]:
    """The modules that one run calls, one after the other, each with copies of what it takes."""
    places, running = Places(subject.module), [_Call(subject.module, "")]
    calls: list[_Call] = []

    def begins(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        outer = running[-1]
        outer.calls_another()
        path = places.calls.of(module, outer.path, outer.module)
        copies: dict[int, Tensor] = {}  # what is one tensor stays one: attention asks for that

        def copied(tensor: Tensor) -> Tensor:
            return copies.setdefault(id(tensor), tensor.clone())

        call = _Call(module, path, *nested(copied, (args, kwargs)))
        calls.append(call)
        running.append(call)

    def ends(*_: Any) -> None:
        running.pop()

    hooks = []
    for module in places.modules[1:]:
        if isinstance(module, ScriptModule):  # it takes none
            continue
        hooks.append(module.register_forward_pre_hook(begins, with_kwargs=True))
        hooks.append(module.register_forward_hook(ends, always_call=True))
    try:
        with told(f"each layer of {subject.name} with what it takes"):
            subject.run()
    finally:
        for hook in hooks:
            hook.remove()
    return calls
