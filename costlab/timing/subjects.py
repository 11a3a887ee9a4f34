"""A MODEL as a function that can be timed, with its costs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from costlab.costs.table import CostTable, costs
from costlab.errors import ChoiceError
from costlab.graph.sizes import InputSize
from costlab.isolation.module_state import untouched
from costlab.models.arguments import sizes_of
from costlab.models.module import Held
from costlab.models.python_code import Code
from costlab.models.reference import Model, Run, reference, resolve
from costlab.modules.block import built_module
from costlab.modules.build import unbuildable
from costlab.trace.given import given_to
from costlab.trace.tensors import tensors


@dataclass(frozen=True)
class Subject:
    """A module in evaluation mode, what it is called with, and its costs."""

    name: str
    table: CostTable
    module: nn.Module
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    def run(self) -> Any:
        """Once, without gradients."""
        return self.module(*self.args, **self.kwargs)


def subject(
    model: Model,
    input_size: InputSize | None,
    run: Run,
    on: str,
) -> Subject:
    """The module that MODEL means, on that device; a model of the catalog has random weights.

    Raises what ``analyze`` raises, and ``ChoiceError`` for what cannot be run.
    """
    known = reference(model)
    graph = resolve(known, input_size, run).graph
    module = None
    if isinstance(known, Held):
        module = known.module
    elif isinstance(known, Code):
        if known.part:
            raise ChoiceError(f"{known.text} is a part of a module: time the whole, with --depth")
        module = known.module({}).to(on)  # it is ours: nobody else holds it
    if module is None:
        if missing := unbuildable(graph):
            raise ChoiceError(
                f"{graph.name} cannot be run: {missing.path} has no torch module; give the model "
                "that it was made from"
            )
        module = built_module(graph).to(on)
        args = tuple(torch.rand(shape, device=on) for shape in graph.inputs)
        return Subject(graph.name, costs(graph), module.eval(), args, {})
    size = None if input_size is None else sizes_of(input_size)
    parameters = list(module.parameters())
    args, kwargs = given_to(
        graph.name, parameters, size, run.input_type, run.inputs, run.kwargs, real=True
    )
    if size is not None:  # without parameters nothing else says where it runs
        args = tuple(tensor.to(on) for tensor in args)
        kwargs = {name: tensor.to(on) for name, tensor in kwargs.items()}
    _all_on(on, graph.name, [*parameters, *module.buffers(), *tensors((args, kwargs))])
    return Subject(graph.name, costs(graph), module, args, kwargs)


def _all_on(on: str, name: str, own: list[Tensor]) -> None:
    """Raise ``ChoiceError`` if some of a model's tensors are elsewhere: the clock waits for one."""
    if any(tensor.device.type != on for tensor in own):
        raise ChoiceError(
            f"{name} or its input is not on {on}: move both there, or time them where they are "
            "(on=...)"
        )
    if on == "cuda" and (others := {tensor.device.index for tensor in own} - {_current()}):
        raise ChoiceError(
            f"{name} or its input is on cuda:{min(others)}, and cuda:{_current()} is waited for: "
            "torch.cuda.set_device, or CUDA_VISIBLE_DEVICES, makes it the same"
        )


def _current() -> int:
    return torch.cuda.current_device()


@contextmanager
def ready(subjects: list[Subject]) -> Iterator[None]:
    """All modules in evaluation mode without gradients; afterwards they are what they were."""
    modules = {id(one): one for subject in subjects for one in subject.module.modules()}
    inputs = [subject.args for subject in subjects] + [subject.kwargs for subject in subjects]
    with untouched(list(modules.values()), False, inputs), torch.inference_mode():
        yield


def layers(subject: Subject) -> dict[str, Callable[[], Any]]:
    """Each module without modules in it, at its first call, as a function to be timed alone.

    What is a row of the table; a function that forward calls itself is in none of them.
    """
    rows = {row.path for row in subject.table.rows}
    calls: dict[str, Callable[[], Any]] = {}
    hooks = []

    def noted(path: str) -> Callable[..., None]:
        def note(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            if path not in calls and tensors((args, kwargs)):
                own = tuple(arg.clone() if isinstance(arg, Tensor) else arg for arg in args)
                calls[path] = lambda: module(*own, **kwargs)

        return note

    for path, module in subject.module.named_modules():
        if path in rows and not any(True for _ in module.children()):
            hooks.append(module.register_forward_pre_hook(noted(path), with_kwargs=True))
    try:
        subject.run()
    finally:
        for hook in hooks:
            hook.remove()
    return calls
