"""What the values of an ONNX graph are: by the file, or by what onnx infers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import prod
from typing import Any

from costlab.errors import ProgramError, words_of
from costlab.programs.onnx_uses import inner_graphs
from costlab.programs.onnx_values import MOST_KNOWN, TYPES
from costlab.programs.program import Dim, Kind


class Kinds:
    """The shapes and types of values of a model; ``name`` is that of its file."""

    def __init__(self, onnx: Any, proto: Any, name: str) -> None:
        self._onnx, self._proto, self._name = onnx, proto, name
        self._inferred: dict[str, Kind] | None = None

    def of(self, node: Any) -> tuple[Kind, ...]:
        """What an operator gives."""
        return tuple(self._kind(name, node) for name in node.output if name)

    def _kind(self, name: str, node: Any) -> Kind:
        """What a value is by the file, or by what onnx infers. Raises ``ProgramError``."""
        if self._inferred is None:
            self._inferred = dict(self._typed(self._proto.graph))
        if name not in self._inferred:
            self._inferred |= dict(self._typed(self._with_shapes().graph))
        if name not in self._inferred:
            what = f"{node.domain}::{node.op_type}".lstrip(":")
            raise ProgramError(
                f"{self._name} has {printed(what)} at {printed(node.name or name)}, which is not "
                "followed here, and does not say what shape it gives: infer shapes with the "
                "library that has it"
            )
        return self._inferred[name]

    def _with_shapes(self) -> Any:
        """The model as onnx infers its shapes. Raises ``ProgramError``."""
        try:
            return self._onnx.shape_inference.infer_shapes(self._without_weights())
        except Exception as error:  # of a library in C++, whose classes are its own
            raise ProgramError(
                f"{self._name} is no whole model of ONNX: its shapes cannot be inferred "
                f"({words_of(error)[:200]})"
            ) from None

    def _typed(self, graph: Any) -> Iterator[tuple[str, Kind]]:
        for value in (*graph.value_info, *graph.output):
            kind = value.type.tensor_type
            if kind.HasField("shape") and kind.elem_type in TYPES:
                yield value.name, Kind(tuple(dims_of(kind.shape.dim)), TYPES[kind.elem_type])
        for node in graph.node:
            for inner in inner_graphs(node):
                yield from self._typed(inner)

    def _without_weights(self) -> Any:
        """A copy of the model without the elements of large initialisers."""
        copy = self._onnx.ModelProto()
        copy.CopyFrom(self._proto)
        _let_go(copy)
        return copy


def _let_go(proto: Any) -> None:
    """Drop the elements of large initialisers."""
    for initialiser in proto.graph.initializer:
        if prod(initialiser.dims) > MOST_KNOWN:
            for field in ("raw_data", "float_data", "int32_data", "int64_data", "double_data"):
                initialiser.ClearField(field)


def dims_of(dims: Iterable[Any]) -> Iterator[Dim]:
    """Dimensions; one that is not known has size 0."""
    for dim in dims:
        is_known = dim.HasField("dim_value") and dim.dim_value > 0
        yield Dim(dim.dim_value) if is_known else Dim(0, dim.dim_param or "?")


def printed(name: str) -> str:
    """A name in a file as part of a line."""
    return " ".join(name.split())[:100]
