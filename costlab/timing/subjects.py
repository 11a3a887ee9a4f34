"""A MODEL as a function that can be timed, with its costs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from costlab.costs.table import CostTable, costs
from costlab.errors import ChoiceError, CostlabError, said_of
from costlab.graph.sizes import InputSize
from costlab.isolation.module_state import tensors_of, untouched
from costlab.isolation.written import Written
from costlab.models.arguments import sizes_of
from costlab.models.module import Held
from costlab.models.python_code import Code
from costlab.models.reference import Model, Run, reference, resolve
from costlab.modules.block import built_module
from costlab.modules.build import unbuildable
from costlab.roofline.this import PLACES
from costlab.trace.given import given_to
from costlab.trace.lazy import copy_to_shape
from costlab.trace.tensors import nested, tensors


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
        if any(map(is_lazy, chain(module.parameters(), module.buffers()))):
            module = copy_to_shape(module, real=True)  # a run gives it weights
    elif isinstance(known, Code):
        if known.part:
            raise ChoiceError(f"{known.text} is a part of a module: time the whole, with --depth")
        with told(known.text):
            module = known.module({}).to(on)  # it is ours: nobody else holds it
    if module is None:
        if missing := unbuildable(graph):
            raise ChoiceError(
                f"{graph.name} cannot be run: {missing.path} has no torch module; give the model "
                "that it was made from"
            )
        with told(graph.name):
            module = built_module(graph).to(on)
            args = tuple(torch.rand(shape, device=on) for shape in graph.inputs)
        return Subject(graph.name, costs(graph), module.eval(), args, {})
    size, ours = None if input_size is None else sizes_of(input_size), isinstance(known, Code)
    parameters = list(module.parameters())
    args, kwargs = given_to(
        graph.name, parameters, size, run.input_type, run.inputs, run.kwargs, real=True
    )
    if ours or size is not None:  # made for it; without parameters nothing says where it runs
        args, kwargs = nested(lambda tensor: tensor.to(on), (args, kwargs))
    _all_on(on, graph.name, [*parameters, *module.buffers(), *tensors((args, kwargs))])
    return Subject(graph.name, costs(graph), module, args, kwargs)


def _all_on(on: str, name: str, own: list[Tensor]) -> None:
    """Raise ``ChoiceError`` if some of a model's tensors are elsewhere: the clock waits for one."""
    if elsewhere := sorted({tensor.device.type for tensor in own} - {on}):
        there = f", or time them there (on={elsewhere[0]!r})" if elsewhere[0] in PLACES else ""
        raise ChoiceError(
            f"{name} or its input is on {' and '.join(elsewhere)}, not on {on}: move both "
            f"there{there}"
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
    """All modules in evaluation mode without gradients, and each run once.

    Afterwards they are what they were, and so is what they were called with: what a run writes into
    their memory too. Raises ``ChoiceError`` for what cannot be run.
    """
    modules = list(
        {id(module): module for subject in subjects for module in subject.module.modules()}.values()
    )
    inputs = [subject.args for subject in subjects] + [subject.kwargs for subject in subjects]
    written = Written([*tensors_of(modules, inputs), *tensors(inputs)])
    with untouched(modules, False, inputs), torch.inference_mode():
        try:
            for unready in subjects:
                with told(unready.name), written:
                    unready.run()
                    _finished(unready)
            yield
        finally:
            written.put_back()


@contextmanager
def told(name: str) -> Iterator[None]:
    """What a model raises when it runs is a ``ChoiceError`` that says so."""
    try:
        yield
    except CostlabError:
        raise
    except Exception as error:
        if isinstance(error, (torch.OutOfMemoryError, MemoryError)) or _NO_MEMORY in str(error):
            raise ChoiceError(
                f"{name} does not fit into memory: give a smaller batch or input ({said_of(error)})"
            ) from error
        raise ChoiceError(f"{name} cannot be run: {said_of(error)}") from error


_NO_MEMORY = "can't allocate memory"
"""What torch says on a CPU."""


def _finished(subject: Subject) -> None:
    """Wait for a GPU: what goes wrong there is raised later otherwise, somewhere else."""
    if any(tensor.is_cuda for tensor in tensors((subject.args, subject.kwargs))):
        torch.cuda.synchronize()
