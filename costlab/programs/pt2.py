"""A file of ``torch.export.save`` as a program, read without torch's own loader.

That one gives names of functions and formulas of sizes from the file to Python. Here they are data:
nothing that a file says is run, its weights are not read, and what it may take of memory is bound.
"""

from __future__ import annotations

import json
import re
from functools import partial
from typing import Any
from zipfile import BadZipFile, ZipFile

import torch
from torch import Tensor, nn

from costlab.errors import ProgramError, blaming, in_words, unreadable
from costlab.programs.module import ProgramModule, module_of
from costlab.programs.operators import CHECKS, name_of_operator, operator_named
from costlab.programs.program import (
    Body,
    Held,
    Input,
    Kind,
    ModuleCall,
    Node,
    Program,
    Results,
    names_of,
)
from costlab.programs.pt2_values import FORMS, dim_of, names_of_result, type_of
from costlab.torch_private import HigherOrderOperator, OpOverload
from costlab.trace.without_values import note_made
from costlab.user_files import require_file

_MODEL = re.compile(r"(?P<root>[^/]*)/models/(?P<name>[^/]*)\.json")
_SCHEMA = 8
"""The major version of torch's format that is read here."""
LARGEST = 2**28
"""How many bytes the description of a program may have: about 100,000 operations."""
MOST_NESTED = 200
"""How many modules may be inside of each other: what runs them does so by recursion."""
_NO_CALL = "_empty_nn_module_stack_from_metadata_hook"


def read(path: str) -> ProgramModule:
    """The program in a file as a module, on ``meta``. Raises ``ProgramError``."""
    data, weights = _described(path)
    try:
        version = data["schema_version"]["major"]
        if version != _SCHEMA:
            raise ProgramError(
                f"{path} has version {version} of torch's format, this costlab reads {_SCHEMA}: "
                "save it with another torch, or give costlab.analyze the ExportedProgram"
            )
        with blaming(path):
            module = module_of(_Reader(data, weights).program())
    except (
        *(KeyError, TypeError, ValueError, IndexError, AttributeError, AssertionError),
        *(RuntimeError, RecursionError, OverflowError),
    ) as error:
        raise ProgramError(
            f"{path} is no whole exported program ({in_words(error)[:200]}): save it again"
        ) from None
    note_made(module)
    return module


def _described(path: str) -> tuple[Any, Any]:
    """What a file says of its program, and of its weights. Raises ``ProgramError``."""
    try:
        require_file(path)
        with ZipFile(path) as archive:
            entries = {entry.filename: entry for entry in archive.infolist()}
            models = {name: match for name in entries if (match := _MODEL.fullmatch(name))}
            if len(models) != 1:
                raise ProgramError(f"{path} {_no_model(list(entries), list(models))}")
            [(name, match)] = models.items()
            weights = f"{match['root']}/data/weights/{match['name']}_weights_config.json"
            data, stored = (
                _json(archive, path, entry) if entry in entries else {} for entry in (name, weights)
            )
            return data, stored
    except (OSError, UnicodeDecodeError) as error:
        raise ProgramError(unreadable(path, error)) from None
    except BadZipFile:
        raise ProgramError(
            f"{path} is not a whole file of torch.export.save: save it again"
        ) from None


def _no_model(entries: list[str], models: list[str]) -> str:
    if models:
        return f"holds {len(models)} programs: save one in a file"
    if any("/data/aotinductor/" in name for name in entries):
        return "holds compiled code alone, which says nothing of layers: use torch.export.save"
    return "holds no whole program of torch.export.save: save it again, with torch 2.8 or later"


def _json(archive: ZipFile, path: str, entry: str) -> Any:
    size = archive.getinfo(entry).file_size
    if size > LARGEST:
        raise ProgramError(f"{path} describes its program in {size:,} bytes: {LARGEST:,} are read")
    try:
        with archive.open(entry) as file:
            return json.loads(file.read(LARGEST))
    except (OSError, BadZipFile):
        raise
    except Exception as error:  # of a decompressor, of JSON, of what it is encrypted with
        raise ProgramError(f"{path} is damaged in {entry}: {in_words(error)[:200]}") from None


class _Reader:
    """The description of a program, and the places where its weights are stored."""

    def __init__(self, data: Any, weights: Any) -> None:
        self._data, self._module = data, data["graph_module"]
        self._stored = weights.get("config", {})
        self._tensors: dict[Any, Tensor] = {}
        self._classes = {
            _nested_at(entry["fqn"]): "" for entry in self._module["module_call_graph"]
        }

    def program(self) -> Program:
        """The program."""
        graph, signature = self._module["graph"], self._module["signature"]
        kinds = self._kinds(graph)
        inputs, held = [], []
        fixed: dict[str, Any] = {}
        for spec in signature["input_specs"]:
            [(what, own)] = spec.items()
            if what == "user_input":
                [(form, argument)] = own["arg"].items()
                if form == "as_tensor":
                    inputs.append(Input(argument["name"], kinds[argument["name"]]))
                elif form == "as_sym_int":
                    name = argument["as_name"]
                    fixed[name] = dim_of(graph["sym_int_values"][name]).size
            elif what == "constant_input":
                fixed[own["name"]] = next(iter(own["value"].values()))
            elif what in ("parameter", "buffer", "tensor_constant"):
                name, path = own["arg"]["name"], _nested_at(own[f"{what}_name"])
                held.append(Held(name, path, self._held(path, kinds[name], what == "parameter")))
        body = self._body(graph)
        own = [spec for spec in signature["output_specs"] if spec.keys() & _RETURNED]
        returned = [self._value(next(iter(spec.values()))["arg"], ()) for spec in own]
        gives = returned[0] if len(returned) == 1 else tuple(returned)
        limits = {
            name: (limit["min_val"] or 0, limit["max_val"])
            for name, limit in self._data["range_constraints"].items()
        }
        body = Body((), body.nodes, gives)
        about = f"exported by torch {str(self._data.get('torch_version', ''))[:40]}"
        return Program(tuple(inputs), tuple(held), body, self._classes, fixed, limits, about)

    def _held(self, path: str, kind: Kind, learns: bool) -> Tensor:
        """A parameter or buffer; names of one tensor have one place in the file."""
        place = self._stored.get(path, {}).get("path_name", (path,))
        key = (place, kind, learns)
        if key not in self._tensors:
            tensor = torch.empty(kind.shape, dtype=kind.dtype, device="meta")
            is_number = kind.dtype.is_floating_point or kind.dtype.is_complex
            self._tensors[key] = nn.Parameter(tensor, is_number) if learns else tensor
        return self._tensors[key]

    def _kinds(self, graph: Any) -> dict[str, Kind]:
        return {
            name: Kind(tuple(map(dim_of, own["sizes"])), type_of(own["dtype"]))
            for name, own in graph["tensor_values"].items()
        }

    def _body(self, graph: Any, around: tuple[ModuleCall, ...] = ()) -> Body:
        """A function; ``around`` are the calls of modules in which it is called."""
        kinds, nodes, scopes = self._kinds(graph), [], around
        for node in graph["nodes"]:
            target = operator_named(node["target"])
            if name_of_operator(target) in CHECKS:
                continue
            scopes = self._scopes(node["metadata"].get("nn_module_stack", ""), scopes)
            args, kwargs = self._arguments(target, node["inputs"], scopes)
            results = self._results(target, node)
            own = [kinds[name] for name in names_of(results) if name in kinds]
            nodes.append(Node(target, args, kwargs, results, scopes, partial(tuple, own)))
        takes = tuple(
            next(iter(argument.values())).get("name") or next(iter(argument.values()))["as_name"]
            for argument in graph["inputs"]
            if argument.keys() & {"as_tensor", "as_sym_int"}
        )
        returned = [self._value(argument, scopes) for argument in graph["outputs"]]
        gives = returned[0] if graph.get("is_single_tensor_return") else tuple(returned)
        return Body(takes, tuple(nodes), gives, around)

    def _scopes(self, noted: str, before: tuple[ModuleCall, ...]) -> tuple[ModuleCall, ...]:
        """The calls of modules around an operation, those of the one before if none are noted."""
        if not noted or _NO_CALL in noted:
            return before
        scopes = []
        for entry in noted.split(";"):
            key, path, kind = entry.split(",")[:3]
            self._classes[_nested_at(path)] = kind.rpartition(".")[2]
            if path:
                scopes.append(ModuleCall(key, path))
        return tuple(scopes)

    def _arguments(
        self, target: Any, inputs: Any, scopes: tuple[ModuleCall, ...]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Arguments by position and by name; those that may only be named are known by torch."""
        named = set()
        if isinstance(target, OpOverload):
            named = {own.name for own in target._schema.arguments if own.kwarg_only}
        args, kwargs = [], {}
        for own in inputs:
            value = self._value(own["arg"], scopes)
            if own["name"] in named or own.get("kind") == _BY_NAME:
                kwargs[str(own["name"])] = value
            else:
                args.append(value)
        return tuple(args), kwargs

    def _value(self, argument: Any, scopes: tuple[ModuleCall, ...]) -> Any:
        [(form, own)] = argument.items()
        if form == "as_graph":
            return self._body(own["graph"], scopes)
        if form == "as_string_to_argument":
            return {str(key): self._value(value, scopes) for key, value in own.items()}
        return FORMS[form](own)

    def _results(self, target: Any, node: Any) -> Results:
        results = [names_of_result(output) for output in node["outputs"]]
        if isinstance(target, HigherOrderOperator):
            single = len(results) == 1 and node.get("is_hop_single_tensor_return") is not False
            return results[0] if single else results
        return results[0] if len(results) == 1 else results


_RETURNED = {"user_output", "loss_output"}
_BY_NAME = 2


def _nested_at(path: Any) -> str:
    """The path of a module or tensor. Raises ``ValueError`` for what is none."""
    if path and ("" in path.split(".") or path.count(".") > MOST_NESTED):
        raise ValueError(f"{path[:80]!r} is no path")
    return str(path)
