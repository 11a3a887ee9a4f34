"""A ``torch.export.ExportedProgram`` as a program."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, fx
from torch.export import ExportedProgram
from torch.export.graph_signature import ConstantArgument, InputKind, OutputKind, SymIntArgument

from costlab.programs.operators import CHECKS, name_of_operator
from costlab.programs.program import (
    Body,
    Dim,
    Held,
    Input,
    Kind,
    ModuleCall,
    Node,
    Program,
    Ref,
)
from costlab.trace.tensors import tensors

_HELD = (InputKind.PARAMETER, InputKind.BUFFER, InputKind.CONSTANT_TENSOR)
_NO_CALL = "_empty_nn_module_stack_from_metadata_hook"
"""What torch notes in place of the modules around an operation of its own."""


def program_of(exported: ExportedProgram) -> Program:
    """The program, with the parameters that it has."""
    placeholders = {node.name: node for node in exported.graph.nodes if node.op == "placeholder"}
    inputs, held, fixed = [], [], {}
    for spec in exported.graph_signature.input_specs:
        name, value = spec.arg.name, placeholders[spec.arg.name].meta.get("val")
        if spec.kind in _HELD:
            assert spec.target is not None
            held.append(Held(name, spec.target, _tensor(exported, spec.target)))
        elif isinstance(spec.arg, ConstantArgument):
            fixed[name] = spec.arg.value
        elif isinstance(spec.arg, SymIntArgument):
            fixed[name] = _dim(value).size
        elif isinstance(value, Tensor):
            inputs.append(Input(name, _kind(value)))
        else:
            fixed[name] = value
    returned = [
        Ref(spec.arg.name) if not isinstance(spec.arg, ConstantArgument) else spec.arg.value
        for spec in exported.graph_signature.output_specs
        if spec.kind in (OutputKind.USER_OUTPUT, OutputKind.LOSS_OUTPUT)
    ]
    classes = {entry.fqn: "" for entry in exported.module_call_graph}
    body = _body(exported.graph_module, classes)
    gives = returned[0] if len(returned) == 1 else tuple(returned)
    limits = {
        str(symbol): (_bound(limit.lower) or 0, _bound(limit.upper))
        for symbol, limit in exported.range_constraints.items()
    }
    body = Body((), body.nodes, gives)
    return Program(tuple(inputs), tuple(held), body, classes, fixed, limits)


def _tensor(exported: ExportedProgram, name: str) -> Tensor:
    tensor = exported.state_dict.get(name)
    if tensor is None:
        tensor = exported.constants[name]
    assert isinstance(tensor, Tensor)
    return tensor


def _dim(size: Any) -> Dim:
    """A dimension, with the size that it had in the example; 0 where that depends on values."""
    if not isinstance(size, torch.SymInt):
        return Dim(int(size))
    hint = size.node.hint
    return Dim(hint if isinstance(hint, int) else 0, str(size))


def _bound(limit: Any) -> int | None:
    """A limit of sympy's; None where there is none."""
    return int(limit) if limit.is_Integer else None


def _kind(tensor: Tensor) -> Kind:
    return Kind(tuple(map(_dim, tensor.shape)), tensor.dtype)


def _body(module: fx.GraphModule, classes: dict[str, str]) -> Body:
    """The function of a graph; the classes of modules that it has notes of are put there."""
    takes, nodes, gives = [], [], None
    scopes: tuple[ModuleCall, ...] = ()
    for node in module.graph.nodes:
        if node.op == "placeholder":
            takes.append(node.name)
        elif node.op == "output":
            gives = _argument(node.args[0], module, classes)
        elif node.op == "call_function" and name_of_operator(node.target) not in CHECKS:
            value = node.meta.get("val")
            scopes = _scopes(node, classes, scopes)
            args, kwargs = _argument((node.args, node.kwargs), module, classes, scopes)
            kinds = partial(tuple, [_kind(result) for result in tensors(value)])
            nodes.append(Node(node.target, args, kwargs, node.name, scopes, kinds))
    return Body(tuple(takes), tuple(nodes), gives)


def _scopes(
    node: fx.Node, classes: dict[str, str], before: tuple[ModuleCall, ...]
) -> tuple[ModuleCall, ...]:
    """The calls of modules around an operation; those of the one before where none are noted."""
    noted = node.meta.get("nn_module_stack") or {}
    if not noted or _NO_CALL in noted:
        return before
    scopes = []
    for key, (path, kind) in noted.items():
        name = kind if isinstance(kind, str) else kind.__name__
        classes[path] = name.rpartition(".")[2]
        if path:
            scopes.append(ModuleCall(key, path))
    return tuple(scopes)


def _argument(
    value: Any,
    module: fx.GraphModule,
    classes: dict[str, str],
    scopes: tuple[ModuleCall, ...] = (),
) -> Any:
    """An argument, with names for values, and functions for graphs."""
    if isinstance(value, fx.Node):
        if value.op != "get_attr":
            return Ref(value.name)
        held: Any = module.get_submodule("")
        for name in str(value.target).split("."):
            held = getattr(held, name)
        if not isinstance(held, fx.GraphModule):
            return held
        body = _body(held, classes)
        return Body(body.takes, body.nodes, body.gives, scopes)
    if isinstance(value, (list, tuple)):
        items = [_argument(item, module, classes, scopes) for item in value]
        return tuple(items) if isinstance(value, tuple) else items
    if isinstance(value, dict):
        return {key: _argument(item, module, classes, scopes) for key, item in value.items()}
    if isinstance(value, slice):
        ends = _argument((value.start, value.stop, value.step), module, classes, scopes)
        return slice(*ends)
    return value
