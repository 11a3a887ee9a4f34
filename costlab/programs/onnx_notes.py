"""What exporters note in a file of ONNX: the modules of operators, and what initialisers were."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch

from costlab.programs.program import ModuleCall

MOST_NESTED = 200
"""How many modules may be inside of each other."""
_SCOPES = "pkg.torch.onnx.name_scopes"
_CLASSES = "pkg.torch.onnx.class_hierarchy"
_KIND = "pkg.torch.export.graph_signature.InputSpec.kind"
_COMPUTED_OF = "pkg.onnxscript.optimizer.folded_from"
_FOLDED_INTO = ("Conv", "ConvTranspose", "Gemm")
_RENAMED = re.compile(r"onnx::Conv(Transpose)?_\d+")
"""How torch's older exporter calls the weight of a convolution that has taken in a batch norm."""
_MADE = re.compile(r"onnx::(?!Conv|MatMul)\w+_\d+")
"""How torch's older exporter calls what it has computed, but for weights that it only turns."""


class Held(NamedTuple):
    """What initialisers were, by their names: ``learned`` parameters, and others that are none.

    ``computed`` have elements that the exporter computed of parameters or buffers and of other
    things, such as rows of a table; with the names of these, if they are known, for people.
    """

    learned: set[str]
    others: set[str]
    computed: dict[str, str]


def held(graph: Any) -> Held:
    """What torch's exporters note of initialisers; of other files it is not known."""
    notes = Held(set(), set(), {})
    for tensor in graph.initializer:
        if _MADE.fullmatch(tensor.name):
            notes.computed[tensor.name] = ""
    for value in graph.value_info:
        noted = _noted(value)
        if _KIND in noted:
            (notes.learned if noted[_KIND] == "PARAMETER" else notes.others).add(value.name)
        elif sources := [str(name) for name in ast.literal_eval(noted.get(_COMPUTED_OF, "[]"))]:
            own = [name for name in sources if not _is_computed(name)]
            (notes.learned if own else notes.others).add(value.name)
            if own and own != sources:
                notes.computed[value.name] = f" (of {' and '.join(own)})"
    return notes


def _noted(proto: Any) -> dict[str, str]:
    return {entry.key: entry.value for entry in proto.metadata_props}


def _is_computed(name: str) -> bool:
    """Whether torch's exporter calls a result of an operator, or a constant in code, like this.

    ``val_3``, ``expand``, ``arange_2``, ``stem.lifted_tensor_0``; a parameter has its own name.
    """
    last = name.rpartition(".")[2]
    if re.fullmatch(r"(val|lifted_tensor)_\d+", last):
        return True
    operator = re.sub(r"(_default|_Tensor|_Scalar)?(_\d+)?$", "", name)
    return hasattr(torch.ops.aten, operator) or hasattr(torch.ops.prims, operator)


class Notes:
    """The notes of modules in a graph, in the order of its operators.

    ``classes`` are the names of the modules' classes by their paths, ``folded`` the paths of the
    layers that have taken in a batch norm.
    """

    def __init__(self) -> None:
        self.classes: dict[str, str] = {}
        self.folded: list[str] = []

    def scopes(self, node: Any) -> tuple[ModuleCall, ...]:
        """The modules around an operator, as the exporter noted them, or by a name with a path."""
        noted = _noted(node)
        if _SCOPES in noted:
            paths = [str(path) for path in ast.literal_eval(noted[_SCOPES])][:-1]
            kinds = ast.literal_eval(noted.get(_CLASSES, "[]"))
            for path, kind in zip(paths, kinds, strict=False):
                self.classes[path] = str(kind).rpartition(".")[2]
            paths = [path for path in paths if path]
            if paths and node.op_type in _FOLDED_INTO:
                paths = self._unfolded(node, paths)
        else:
            paths = list(_paths_of(node.name))
            if node.op_type in _FOLDED_INTO and _RENAMED.match("".join(node.input[1:2])):
                self.folded.append(paths[-1] if paths else node.name)
        if len(paths) > MOST_NESTED:
            raise ValueError(f"{node.name[:80]} is inside of {len(paths)} modules")
        for path in paths:
            self.classes.setdefault(path, "")
        return tuple(ModuleCall(path, path) for path in paths)

    def _unfolded(self, node: Any, paths: list[str]) -> list[str]:
        """The place of a layer that a batch norm was folded into: that of its weight."""
        owner = node.input[1].rpartition(".")[0] if len(node.input) > 1 else ""
        if "BatchNorm" not in self.classes.get(paths[-1], "") or not owner:
            return paths
        self.folded.append(owner)
        parts = owner.split(".")
        return [".".join(parts[: n + 1]) for n in range(len(parts))]


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
