"""A file of ONNX, or an ``onnx.ModelProto``, as a program.

Weights are shapes: those in the file are let go when it has been read, those beside it are not
opened. Of integers and numbers alone the elements are kept where they are few, since they say how
other operators compute.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from costlab.errors import ProgramError, how_to_install, said_of, unreadable
from costlab.programs import onnx_elements, onnx_layers, onnx_shapes  # noqa: F401 - they register
from costlab.programs.module import ProgramModule, module_of
from costlab.programs.onnx_operators import OPERATORS, OnnxCall
from costlab.programs.onnx_values import MOST_KNOWN, TYPES, Known
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
from costlab.trace.without_values import note_made

_SAYS_HOW = {
    "Reshape": {1},
    "Slice": {1, 2, 3, 4},
    "Pad": {1, 2, 3},
    "Clip": {1, 2},
    "Expand": {1},
    "Tile": {1},
    "TopK": {1},
    "Unsqueeze": {1},
    "Squeeze": {1},
    "Split": {1},
    "Resize": {1, 2, 3},
    "Upsample": {1},
    "ConstantOfShape": {0},
    "Range": {0, 1, 2},
    "OneHot": {1, 2},
    "Dropout": {1, 2},
    "CumSum": {1},
    "Trilu": {1},
}
"""The inputs that say how an operator computes, by their numbers; of reductions all but the first.
"""
_STATISTICS = {
    "BatchNormalization": {3, 4},
    "QuantizeLinear": {1, 2},
    "DequantizeLinear": {1, 2},
}
"""Inputs that are no parameters: nobody learns them by gradients."""
OLDEST = 11
_STANDARD = ("", "ai.onnx")
_SCOPES = "pkg.torch.onnx.name_scopes"
_CLASSES = "pkg.torch.onnx.class_hierarchy"
_FOLDED_INTO = ("Conv", "ConvTranspose", "Gemm")
_RENAMED = re.compile(r"onnx::Conv(Transpose)?_\d+")
"""How torch's older exporter calls the weight of a convolution that has taken in a batch norm."""
MOST_NESTED = 200


def read(model: Any, name: str) -> ProgramModule:
    """The program in a file, or of a model that is there, as a module on ``meta``.

    Raises ``ProgramError``.
    """
    try:
        import onnx
    except ImportError as error:
        missing = getattr(error, "name", "") == "onnx"
        raise ProgramError(
            f"{name} needs the library onnx: {how_to_install('onnx')}"
            if missing
            else f"onnx cannot be imported: {said_of(error)}"
        ) from None
    proto = model if model is not None else _parsed(onnx, name)
    try:
        module = module_of(_Reader(onnx, proto, name).program())
        if model is None:
            _let_go(proto)
    except (
        *(KeyError, TypeError, ValueError, IndexError, AttributeError, AssertionError),
        *(RuntimeError, RecursionError, OverflowError, SyntaxError),
    ) as error:
        raise ProgramError(f"{name} is no whole model of ONNX ({said_of(error)[:200]})") from None
    note_made(module)
    return module


def _parsed(onnx: Any, path: str) -> Any:
    proto = onnx.ModelProto()
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise ProgramError(unreadable(path, error)) from None
    try:
        proto.ParseFromString(content)
    except Exception as error:  # of protobuf, whose classes depend on how it was built
        raise ProgramError(
            f"{path} is no whole file of ONNX ({said_of(error)[:100]}): save it again"
        ) from None
    if not proto.graph.node or not proto.opset_import:
        raise ProgramError(f"{path} is no whole file of ONNX: it has no operators")
    return proto


class _Reader:
    """A model of ONNX, and what is known of its values."""

    def __init__(self, onnx: Any, proto: Any, name: str) -> None:
        self._onnx, self._proto, self._name = onnx, proto, name
        self._graph = proto.graph
        versions = {one.domain: one.version for one in proto.opset_import}
        self._opset = versions.get("", versions.get("ai.onnx", 0))
        if self._opset < OLDEST:
            raise ProgramError(
                f"{name} is of opset {self._opset}, and operators are known from {OLDEST} on: "
                "onnx.version_converter may convert it"
            )
        self._classes: dict[str, str] = {}
        self._folded: list[str] = []
        self._inferred: dict[str, Kind] | None = None

    def program(self) -> Program:
        """The program."""
        graph = self._graph
        weights = {one.name: one for one in graph.initializer}
        if graph.sparse_initializer:
            raise ProgramError(f"{self._name} has sparse initialisers, which are not read")
        own = [one for one in graph.input if one.name not in weights]
        inputs = [Input(one.name, self._input(one)) for one in own]
        fixed: dict[str, Any] = {}
        held = []
        how, statistics = self._uses()
        for name, one in weights.items():
            if name in how or not one.dims or one.data_type not in _FLOATS:
                known = self._known(one)
                if known is not None:
                    fixed[name] = known
                    continue
            held.append(Held(name, _path(name), self._tensor(one, name not in statistics)))
        nodes = tuple(self._nodes())
        gives = tuple(Ref(one.name) for one in graph.output)
        body = Body((), nodes, gives[0] if len(gives) == 1 else gives)
        return Program(tuple(inputs), tuple(held), body, self._classes, fixed, {}, self._about())

    def _about(self) -> str:
        maker = f"{self._proto.producer_name} {self._proto.producer_version}".strip()[:60]
        said = [f"ONNX, opset {self._opset}" + (f", written by {maker}" if maker else "")]
        if self._folded:
            said.append(
                f"batch norm is folded into {', '.join(self._folded[:3])}"
                + (f" and {len(self._folded) - 3} more" if len(self._folded) > 3 else "")
            )
        return "; ".join(said)

    def _uses(self) -> tuple[set[str], set[str]]:
        """Initialisers that only say how to compute, and those that are only statistics."""
        how: set[str] = set()
        statistics: set[str] = set()
        others: set[str] = set()
        for node in self._graph.node:
            for number, name in enumerate(node.input):
                reduces = node.op_type.startswith("Reduce") and number
                if reduces or number in _SAYS_HOW.get(node.op_type, ()):
                    how.add(name)
                elif number in _STATISTICS.get(node.op_type, ()):
                    statistics.add(name)
                else:
                    others.add(name)
        return how - others, statistics - others

    def _input(self, one: Any) -> Kind:
        kind = one.type.tensor_type
        if not one.type.HasField("tensor_type") or not kind.HasField("shape"):
            raise ProgramError(
                f"input {_printed(one.name)} of {self._name} is no tensor, or has no shape in the "
                "file"
            )
        return Kind(tuple(_dims(kind.shape.dim)), TYPES[kind.elem_type])

    def _known(self, one: Any) -> Known | None:
        """The elements of a small initialiser that the file itself has."""
        beside = one.data_location == self._onnx.TensorProto.EXTERNAL
        if beside or prod(one.dims) > MOST_KNOWN or one.data_type not in TYPES:
            return None
        array = self._onnx.numpy_helper.to_array(one)
        elements = torch.tensor(array.tolist(), dtype=TYPES[one.data_type])
        return Known(elements.reshape(tuple(one.dims)))

    def _tensor(self, one: Any, learns: bool) -> Tensor:
        dims = [int(size) for size in one.dims]
        if any(not 0 <= size < 2**63 for size in dims):
            raise ValueError(f"initialiser {one.name} has the shape {dims}")
        tensor = torch.empty(dims, dtype=TYPES[one.data_type], device="meta")
        return nn.Parameter(tensor) if learns and one.data_type in _FLOATS else tensor

    def _nodes(self) -> Iterator[Node]:
        """The operators in their order; names of results that nobody gave are refused when run."""
        for node in self._graph.node:
            attributes = {one.name: self._attribute(one) for one in node.attribute}
            scopes = self._scopes(node)
            results = [name or None for name in node.output]
            args = tuple(Ref(name) if name else None for name in node.input)
            if node.domain in _STANDARD and node.op_type == "Constant":
                yield Node(_constant(attributes), (), {}, results[0], scopes)
            elif node.domain in _STANDARD and node.op_type in OPERATORS:
                attributes["opset"] = self._opset
                kinds = partial(self._kinds, node)
                call = OnnxCall(node.op_type, len(results), attributes, kinds)
                yield Node(call, args, {}, results if len(results) > 1 else results[0], scopes)
            else:
                domain = "" if node.domain in _STANDARD else f"{node.domain}::"
                name = f"{domain}{node.op_type}"
                yield Node(name, args, {}, results, scopes, self._kinds(node))

    def _attribute(self, one: Any) -> Any:
        """The value of an attribute; of a graph, nothing."""
        kind = self._onnx.AttributeProto
        if one.type == kind.TENSOR:
            return self._known(one.t)
        if one.type in (kind.GRAPH, kind.GRAPHS):
            return None
        value = self._onnx.helper.get_attribute_value(one)
        if isinstance(value, bytes):
            return value.decode(errors="replace")
        return list(value) if one.type in (kind.INTS, kind.FLOATS) else value

    def _scopes(self, node: Any) -> tuple[ModuleCall, ...]:
        """The modules around an operator, as the exporter noted them, or by a name with a path."""
        noted = {one.key: one.value for one in node.metadata_props}
        if _SCOPES in noted:
            paths = [str(path) for path in ast.literal_eval(noted[_SCOPES])][:-1]
            kinds = ast.literal_eval(noted.get(_CLASSES, "[]"))
            for path, kind in zip(paths, kinds, strict=False):
                self._classes[path] = str(kind).rpartition(".")[2]
            paths = [path for path in paths if path]
            if paths and node.op_type in _FOLDED_INTO:
                paths = self._unfolded(node, paths)
        else:
            paths = list(_paths_of(node.name))
            if node.op_type in _FOLDED_INTO and _RENAMED.match("".join(node.input[1:2])):
                self._folded.append(paths[-1] if paths else node.name)
        if len(paths) > MOST_NESTED:
            raise ValueError(f"{node.name[:80]} is inside of {len(paths)} modules")
        for path in paths:
            self._classes.setdefault(path, "")
        return tuple(ModuleCall(path, path) for path in paths)

    def _unfolded(self, node: Any, paths: list[str]) -> list[str]:
        """The place of a layer that a batch norm was folded into: that of its weight."""
        owner = node.input[1].rpartition(".")[0] if len(node.input) > 1 else ""
        if "BatchNorm" not in self._classes.get(paths[-1], "") or not owner:
            return paths
        self._folded.append(owner)
        parts = owner.split(".")
        return [".".join(parts[: n + 1]) for n in range(len(parts))]

    def _kinds(self, node: Any) -> tuple[Kind, ...]:
        """What an operator gives."""
        return tuple(self._kind(name, node) for name in node.output if name)

    def _kind(self, name: str, node: Any) -> Kind:
        """What a value is by the file, or by what onnx infers. Raises ``ProgramError``."""
        if self._inferred is None:
            self._inferred = dict(self._typed(self._graph))
        if name not in self._inferred:
            with_shapes = self._onnx.shape_inference.infer_shapes(self._without_weights())
            self._inferred |= dict(self._typed(with_shapes.graph))
        if name not in self._inferred:
            what = f"{node.domain}::{node.op_type}".lstrip(":")
            raise ProgramError(
                f"{self._name} has {_printed(what)} at {_printed(node.name or name)}, which is not "
                "known here, and does not say what shape it gives: infer shapes with the library "
                "that has it"
            )
        return self._inferred[name]

    def _typed(self, graph: Any) -> Iterator[tuple[str, Kind]]:
        for one in (*graph.value_info, *graph.output):
            kind = one.type.tensor_type
            if kind.HasField("shape") and kind.elem_type in TYPES:
                yield one.name, Kind(tuple(_dims(kind.shape.dim)), TYPES[kind.elem_type])

    def _without_weights(self) -> Any:
        """A copy of the model without the elements of large initialisers."""
        copy = self._onnx.ModelProto()
        copy.CopyFrom(self._proto)
        _let_go(copy)
        return copy


def _printed(name: str) -> str:
    """A name in a file as part of a line."""
    return " ".join(name.split())[:100]


def _let_go(proto: Any) -> None:
    """Drop the elements of large initialisers."""
    for one in proto.graph.initializer:
        if prod(one.dims) > MOST_KNOWN:
            for field in ("raw_data", "float_data", "int32_data", "int64_data", "double_data"):
                one.ClearField(field)


_FLOATS = {number for number, dtype in TYPES.items() if dtype.is_floating_point}


def _constant(attributes: dict[str, Any]) -> Any:
    """A function that gives a constant."""
    [(form, value)] = attributes.items()
    if form != "value":
        dtype = torch.float32 if form.startswith("value_float") else torch.int64
        value = Known(torch.tensor(value, dtype=dtype))
    if value is None:
        raise ValueError("a constant has no elements")
    return lambda: value


def _dims(dims: Iterable[Any]) -> Iterator[Dim]:
    """Dimensions; one that is not known has size 1 if it is the first, the batch, else 0."""
    for axis, dim in enumerate(dims):
        if dim.HasField("dim_value") and dim.dim_value > 0:
            yield Dim(dim.dim_value)
        else:
            yield Dim(0 if axis else 1, dim.dim_param or "?")


def _path(name: str) -> str:
    """A name as the path of a tensor: with modules where it has dots."""
    parts = [part for part in name.replace("/", ".").split(".") if part]
    if len(parts) > MOST_NESTED or not parts:
        raise ValueError(f"{name[:80]!r} is no name of a tensor")
    return ".".join(parts)


def _paths_of(name: str) -> Iterator[str]:
    """The paths of the modules around a node, by its name.

    ``/layer1/layer1.0/conv1/Conv`` is in ``layer1.0.conv1``; a name without a path is one itself.
    """
    parts = [part for part in name.split("/") if part]
    if len(parts) > 1:
        parts = parts[:-1]
    path: list[str] = []
    for part in parts:
        own = part
        while path and own.startswith(f"{path[-1]}."):
            own = own.removeprefix(f"{path[-1]}.")
        path += [name for name in own.split(".") if name]
        yield ".".join(path)
