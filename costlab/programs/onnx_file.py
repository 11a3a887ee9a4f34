"""A file of ONNX, or an ``onnx.ModelProto``, as a program.

Weights are shapes: those in the file are let go when it has been read, those beside it are not
opened. Of integers and numbers alone the elements are kept where they are few, since they say how
other operators compute.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from costlab.errors import ProgramError, blaming, how_to_install, in_words, said_of
from costlab.programs import (  # noqa: F401 - they register
    onnx_elements,
    onnx_layers,
    onnx_notes,
    onnx_shapes,
    onnx_windows,
)
from costlab.programs.module import ProgramModule, module_of
from costlab.programs.onnx_kinds import Kinds, dims_of, printed
from costlab.programs.onnx_notes import MOST_NESTED, Notes
from costlab.programs.onnx_operators import OPERATORS, OnnxCall
from costlab.programs.onnx_schemas import Standard
from costlab.programs.onnx_uses import Uses, taken_from_outside, uses
from costlab.programs.onnx_values import MOST_KNOWN, TYPES, Known, type_of
from costlab.programs.onnx_wire import parsed
from costlab.programs.program import (
    Body,
    Held,
    Input,
    Kind,
    ModuleCall,
    Node,
    Program,
    Ref,
)
from costlab.trace.without_values import note_made

_STANDARD = ("", "ai.onnx")


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
    proto = model if model is not None else parsed(onnx, name)
    try:
        with blaming(name):
            module = module_of(_Reader(onnx, proto, name).program())
    except (
        *(KeyError, TypeError, ValueError, IndexError, AttributeError, AssertionError),
        *(RuntimeError, RecursionError, OverflowError, SyntaxError),
    ) as error:
        raise ProgramError(f"{name} is no whole model of ONNX ({in_words(error)[:200]})") from None
    note_made(module)
    return module


class _Reader:
    """A model of ONNX, and what is known of its values."""

    def __init__(self, onnx: Any, proto: Any, name: str) -> None:
        self._onnx, self._proto, self._name = onnx, proto, name
        self._graph = proto.graph
        versions = {opset.domain: opset.version for opset in proto.opset_import}
        self._opset = versions.get("", versions.get("ai.onnx", 0))
        self._standard = Standard(onnx, self._opset, name)
        self._functions = {own.name for own in proto.functions if own.domain in _STANDARD}
        self._notes = Notes()
        self._large: list[Held] = []
        self._kinds = Kinds(onnx, proto, name)
        self._constants: dict[str, Any] = {}

    def program(self) -> Program:
        """The program."""
        graph = self._graph
        used = uses(graph)
        self._constants = dict(self._weights_in_constants(used.weights))
        weights = {weight.name: weight for weight in graph.initializer} | self._constants
        if graph.sparse_initializer:
            raise ProgramError(f"{self._name} has sparse initialisers, which are not read")
        own = [given for given in graph.input if given.name not in weights]
        inputs = [Input(given.name, self._input(given)) for given in own]
        noted = onnx_notes.held(graph)
        held: list[Held] = []
        fixed: dict[str, Any] = {}
        for name, weight in weights.items():
            self._require_inside(weight, used)
            is_number = not weight.dims and (name not in noted.learned or name in used.how_too)
            is_value = name in used.how or is_number or weight.data_type not in _FLOATS
            if is_value and (known := self._known(weight)) is not None:
                fixed[name] = known
            else:
                learns = name not in used.statistics and name not in noted.others
                held.append(Held(name, _path(name), self._tensor(weight, learns)))
        nodes = tuple(self._nodes(graph))
        held += self._large
        gives = tuple(Ref(output.name) for output in graph.output)
        body = Body((), nodes, gives[0] if len(gives) == 1 else gives)
        computed = [name for name in noted.computed if name in weights and name not in fixed]
        about = self._about([f"{name}{noted.computed[name]}" for name in computed])
        return Program(tuple(inputs), tuple(held), body, self._notes.classes, fixed, {}, about)

    def _require_inside(self, weight: Any, used: Uses) -> None:
        """Raises ``ProgramError`` for what says how to compute, and is in another file."""
        if weight.name in used.how and self._is_beside(weight):
            raise ProgramError(
                f"{self._name} has {printed(weight.name)!r}, which says how an operator computes, "
                "in a file beside it, and these are not read: save it with external data of large "
                "tensors alone (onnx.save_model(..., size_threshold=1024))"
            )

    def _weights_in_constants(self, taken: set[str]) -> Iterator[tuple[str, Any]]:
        """Constants of operators that layers take as weights, by their names.

        Torch's exporters have in these what is a constant in a module's code.
        """
        if self._proto.producer_name == "pytorch":
            return
        for node in self._graph.node:
            if node.op_type == "Constant" and node.domain in _STANDARD and len(node.output) == 1:
                for own in node.attribute:
                    is_weight = own.name == "value" and own.t.data_type in _FLOATS
                    if is_weight and prod(own.t.dims) > 1 and node.output[0] in taken:
                        yield node.output[0], own.t

    def _about(self, computed: list[str]) -> str:
        maker = f"{self._proto.producer_name} {self._proto.producer_version}".strip()[:60]
        about = f"ONNX, opset {self._opset}" + (f", written by {maker}" if maker else "")
        if self._notes.folded:
            about += f"; batch norm is folded into {_first(self._notes.folded)}"
        if computed:
            about += f"; computed by the exporter, and counted as parameters: {_first(computed)}"
        return about

    def _input(self, given: Any) -> Kind:
        kind = given.type.tensor_type
        if not given.type.HasField("tensor_type") or not kind.HasField("shape"):
            raise ProgramError(
                f"input {printed(given.name)} of {self._name} is no tensor, or has no shape in the "
                "file"
            )
        first, *others = (*dims_of(kind.shape.dim), None)
        if first is not None and not first.size:
            first = first._replace(size=1)  # the batch
        dims = tuple(dim for dim in (first, *others) if dim is not None)
        return Kind(dims, type_of(kind.elem_type))

    def _known(self, proto: Any) -> Known | None:
        """The elements of a small initialiser that the file itself has."""
        if self._is_beside(proto) or prod(proto.dims) > MOST_KNOWN or proto.data_type not in TYPES:
            return None
        array = self._onnx.numpy_helper.to_array(proto)
        elements = torch.tensor(array.tolist(), dtype=TYPES[proto.data_type])
        return Known(elements.reshape(tuple(proto.dims)))

    def _is_beside(self, proto: Any) -> bool:
        """Whether the elements of a tensor are in another file."""
        return bool(proto.data_location == self._onnx.TensorProto.EXTERNAL)

    def _tensor(self, proto: Any, learns: bool) -> Tensor:
        dims = [int(size) for size in proto.dims]
        if any(not 0 <= size < 2**63 for size in dims):
            raise ValueError(f"initialiser {proto.name} has the shape {dims}")
        tensor = torch.empty(dims, dtype=type_of(proto.data_type), device="meta")
        return nn.Parameter(tensor) if learns and proto.data_type in _FLOATS else tensor

    def _nodes(self, graph: Any) -> Iterator[Node]:
        """The operators in their order; names of results that nobody gave are refused when run."""
        for node in graph.node:
            if node.domain in _STANDARD and node.op_type not in self._functions:
                self._standard.require(node)
            attributes = {own.name: self._attribute(own) for own in node.attribute}
            scopes = self._notes.scopes(node)
            results = [name or None for name in node.output]
            args: tuple[Any, ...] = tuple(Ref(name) if name else None for name in node.input)
            if node.domain in _STANDARD and node.op_type == "Constant":
                [(form, value)] = attributes.items()
                if graph is self._graph and node.output[0] in self._constants:
                    continue
                if isinstance(value, Tensor) and graph is self._graph:
                    self._large.append(Held(node.output[0], _path(node.output[0]), value))
                else:
                    yield Node(_constant(form, value), (), {}, results[0], scopes)
            elif node.domain in _STANDARD and self._is_known(node.op_type):
                attributes["opset"] = self._opset
                if node.op_type == "If":
                    args += self._branches(node, scopes)
                call = OnnxCall(node.op_type, len(results), attributes)
                given = results if len(results) > 1 else results[0]
                yield Node(call, args, {}, given, scopes, partial(self._kinds.of, node))
            else:
                domain = "" if node.domain in _STANDARD else f"{node.domain}::"
                name = f"{domain}{node.op_type}"
                yield Node(name, args, {}, results, scopes, partial(self._kinds.of, node))

    def _is_known(self, operator: str) -> bool:
        """Whether it is one that is known here, and no function of the file itself."""
        is_own = operator in self._functions
        return operator in OPERATORS and not is_own and self._standard.is_known(operator)

    def _branches(self, node: Any, scopes: tuple[ModuleCall, ...]) -> tuple[Any, ...]:
        """The functions of both branches, and the values that these are called with."""
        graphs = {branch.name: branch.g for branch in node.attribute}
        taken = list(dict.fromkeys(chain(*map(taken_from_outside, graphs.values()))))
        bodies: list[Body | None] = []
        for name in ("then_branch", "else_branch"):
            try:
                nodes = tuple(self._nodes(graphs[name]))
            except ProgramError:  # it has an operator whose results nobody knows
                bodies.append(None)
            else:
                gives = tuple(Ref(output.name) for output in graphs[name].output)
                bodies.append(Body(tuple(taken), nodes, gives, scopes))
        return (*bodies, list(map(Ref, taken)))

    def _attribute(self, attribute: Any) -> Any:
        """The value of an attribute; of a graph, nothing."""
        kind = self._onnx.AttributeProto
        if attribute.type == kind.TENSOR:
            return self._known(attribute.t) or self._tensor(attribute.t, learns=False)
        if attribute.type in (kind.GRAPH, kind.GRAPHS):
            return None
        value = self._onnx.helper.get_attribute_value(attribute)
        if isinstance(value, bytes):
            return value.decode(errors="replace")
        return list(value) if attribute.type in (kind.INTS, kind.FLOATS) else value


def _first(names: list[str]) -> str:
    """The first of some names, and how many more there are."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


_FLOATS = {number for number, dtype in TYPES.items() if dtype.is_floating_point}


def _constant(form: str, value: Any) -> Callable[[], Known]:
    """A function that gives a constant. Raises ``ProgramError`` for one with many elements."""
    if form != "value":
        dtype = torch.float32 if form.startswith("value_float") else torch.int64
        value = Known(torch.tensor(value, dtype=dtype))
    if not isinstance(value, Known):
        raise ProgramError("a branch has a constant with many elements, which is not followed")
    constant = value
    return lambda: constant


def _path(name: str) -> str:
    """A name as the path of a tensor: with modules where it has dots."""
    parts = [part for part in name.replace("/", ".").split(".") if part]
    if len(parts) > MOST_NESTED or not parts:
        raise ValueError(f"{name[:80]!r} is no name of a tensor")
    return ".".join(parts)
