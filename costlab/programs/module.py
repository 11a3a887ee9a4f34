"""An exported program as an ``nn.Module`` with the modules that it was exported from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from typing import Any

from torch import Tensor, nn

from costlab import formatting
from costlab.errors import ProgramError, ShapeError
from costlab.programs.operators import (
    INLINED,
    called,
    is_known,
    name_of_operator,
    require_few,
)
from costlab.programs.program import (
    Body,
    Call,
    Dim,
    Node,
    NotFollowedError,
    Program,
    Ref,
    Results,
    require_order,
    steps_of,
)
from costlab.trace.rules.unknown import operator_without_rule
from costlab.trace.tensors import tensors


class Scope(nn.Module):
    """A module of the program: a call of it runs the steps that are inside of that call."""

    def forward(self, run: Run, call: Call, *inputs: Any) -> Any:
        """What the call gives: a value, or several."""
        return run.through(call, dict(zip(call.takes, inputs, strict=True)))


class ProgramModule(nn.Module):
    """The outermost module of a program. It takes the program's tensors, in order."""

    def forward(self, *inputs: Tensor) -> Any:
        """What the program gives."""
        return Run(self).whole(inputs)


def module_of(program: Program) -> ProgramModule:
    """The module of a program, in evaluation mode. Raises ``ProgramError``."""
    require_order(program)
    root: ProgramModule = _kind(ProgramModule, program.classes.get("", ""))()
    root.__dict__["program"] = lambda: program  # a function: copies of the module share it
    for path in (*program.classes, *(held.path.rpartition(".")[0] for held in program.held)):
        _scope(root, path, program.classes)
    for held in program.held:
        path, _, name = held.path.rpartition(".")
        scope = root.get_submodule(path)
        if isinstance(held.tensor, nn.Parameter):
            scope._parameters[name] = held.tensor
        else:
            scope._buffers[name] = held.tensor
    return root.eval()


def _scope(root: nn.Module, path: str, classes: dict[str, str]) -> None:
    """Have a module at that path."""
    module, inside = root, ""
    for name in path.split(".") if path else ():
        inside = f"{inside}.{name}".lstrip(".")
        if name not in module._modules:
            module._modules[name] = _kind(Scope, classes.get(inside, ""))()
        child = module._modules[name]
        assert child is not None
        module = child


@lru_cache(maxsize=1024)
def _kind(base: Any, name: str) -> Any:
    """A class of that name."""
    return type(name or base.__name__, (base,), {"__doc__": base.__doc__})


class Run:
    """One run of a program: its modules by their paths, and what it is called with."""

    def __init__(self, root: ProgramModule) -> None:
        self.program: Program = root.__dict__["program"]()
        self.scopes = dict(root.named_modules(remove_duplicate=False))
        self._inputs: tuple[Tensor, ...] = ()

    def resized(self) -> bool:
        """Whether its sizes are not those of the export; asked of symbols, this fixes them."""
        pairs = zip(self.program.inputs, self._inputs, strict=True)
        return any(tuple(tensor.shape) != own.kind.shape for own, tensor in pairs)

    def whole(self, inputs: tuple[Tensor, ...]) -> Any:
        """What the program gives for these inputs."""
        program = self.program
        if len(inputs) != len(program.inputs):
            raise TypeError(
                f"it takes {formatting.plural(len(program.inputs), 'tensor')}, not {len(inputs)}"
            )
        values = dict(program.fixed)
        for held in program.held:
            path, _, name = held.path.rpartition(".")
            scope = self.scopes[path]
            values[held.name] = scope._parameters.get(name, scope._buffers.get(name))
        self._inputs = inputs
        for own, tensor in zip(program.inputs, inputs, strict=True):
            values[own.name] = tensor
        return self.function(program.body, values)

    def function(self, body: Body, values: dict[str, Any]) -> Any:
        """What a function gives for these values."""
        self.through(_steps(body), values)
        return self.filled(body.gives, values)

    def through(self, call: Call, values: dict[str, Any]) -> Any:
        """Run the steps of a call; a value is let go after the last step that takes it."""
        for step, done in zip(call.steps, call.last, strict=True):
            if isinstance(step, Call):
                taken = [values[name] for name in step.takes]
                result = self.scopes[step.path](self, step, *taken)
                _bind(step.gives[0] if len(step.gives) == 1 else list(step.gives), result, values)
            else:
                _bind(step.results, self.node(step, values), values)
            for name in done:
                values.pop(name, None)
        given = tuple(values[name] for name in call.gives)
        return given[0] if len(given) == 1 else given

    def node(self, node: Node, values: dict[str, Any]) -> Any:
        """What an operation gives."""
        args, kwargs = self.filled(node.args, values), self.filled(node.kwargs, values)
        name = name_of_operator(node.target)
        if name in INLINED:
            return INLINED[name](*args, **kwargs)
        if is_known(node.target):
            require_few(name, args)
            with suppress(NotFollowedError):
                return called(node.target)(*args, **kwargs)
        kinds = [(self._shape(name, kind.dims), kind.dtype) for kind in node.kinds()]
        results = operator_without_rule(name, kinds, *tensors([args, kwargs]))
        return _nested(node.results, iter(results))

    def _shape(self, name: str, dims: tuple[Dim, ...]) -> tuple[int, ...]:
        """The shape of what an operation gives, whose sizes the program only says."""
        sizes = {dim.name: dim.size for dim in dims if not self.resized()}
        for own, tensor in zip(self.program.inputs, self._inputs, strict=True):
            sizes |= {dim.name: size for dim, size in zip(own.kind.dims, tensor.shape, strict=True)}
        shape = tuple(sizes.get(dim.name, 0) if dim.name else dim.size for dim in dims)
        for dim, size in zip(dims, shape, strict=True):
            if dim.name and type(size) is int and not size:
                raise (_unknown if dim.size else _unsaid)(name, dims)
        return shape

    def filled(self, value: Any, values: dict[str, Any]) -> Any:
        """Nested arguments with the values that they name."""
        if isinstance(value, Ref):
            return values[value.name]
        if isinstance(value, (list, tuple)):
            return type(value)([self.filled(item, values) for item in value])
        if isinstance(value, dict):
            return {key: self.filled(item, values) for key, item in value.items()}
        if isinstance(value, slice):
            return slice(*self.filled((value.start, value.stop, value.step), values))
        if isinstance(value, Body):
            return lambda *args: self.function(value, dict(zip(value.takes, args, strict=True)))
        return value


@lru_cache(maxsize=256)
def _steps(body: Body) -> Call:
    return steps_of(body)


def _unknown(name: str, dims: tuple[Dim, ...]) -> ShapeError:
    return ShapeError(
        f"what {name} gives is only known for the sizes that it was exported with: leave out the "
        "input size, or give the operator a rule (costlab.counting, --rules)"
    )


def _unsaid(name: str, dims: tuple[Dim, ...]) -> ProgramError:
    shape = "×".join(str(dim.size or dim.name) for dim in dims)
    return ProgramError(
        f"{name[:100]} is not followed here, and the program says only that it gives {shape}: "
        "give the operator a rule (costlab.counting, --rules), or infer shapes with the library "
        "that has it"
    )


def _bind(names: Results, result: Any, values: dict[str, Any]) -> None:
    """Note what was given under its names."""
    if isinstance(names, str):
        values[names] = result
    elif names is not None:
        for name, value in zip(names, result, strict=False):
            _bind(name, value, values)


def _nested(names: Results, results: Iterator[Any]) -> Any:
    """Results in the form of their names."""
    if isinstance(names, list):
        return [_nested(name, results) for name in names]
    return None if names is None else next(results)
