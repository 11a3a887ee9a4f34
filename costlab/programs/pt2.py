"""A file of ``torch.export.save`` as a program, read without torch's own loader.

That one gives names of functions and formulas of sizes from the file to Python. Here they are data:
nothing that a file says is run, its weights are not read, and what it may take of memory is bound.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
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
    Dim,
    Held,
    Input,
    Kind,
    ModuleCall,
    Node,
    Program,
    Ref,
    Results,
)
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

_TYPES = {
    1: "uint8",
    2: "int8",
    3: "int16",
    4: "int32",
    5: "int64",
    6: "float16",
    7: "float32",
    8: "float64",
    9: "complex32",
    10: "complex64",
    11: "complex128",
    12: "bool",
    13: "bfloat16",
    28: "uint16",
    29: "float8_e4m3fn",
    30: "float8_e5m2",
    31: "float8_e4m3fnuz",
    32: "float8_e5m2fnuz",
    33: "float8_e8m0fnu",
    34: "uint32",
    35: "uint64",
}
"""Types of elements by torch's numbers."""
_MEMORY_FORMATS = {
    1: torch.contiguous_format,
    2: torch.channels_last,
    3: torch.channels_last_3d,
    4: torch.preserve_format,
}


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
                    fixed[name] = _dim(graph["sym_int_values"][name]).size
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
            name: Kind(tuple(map(_dim, own["sizes"])), _type(own["dtype"]))
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
            own = [kinds[name] for name in _flat(results) if name in kinds]
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
            return {str(key): self._value(one, scopes) for key, one in own.items()}
        return _FORMS[form](own)

    def _results(self, target: Any, node: Any) -> Results:
        results = [_names(output) for output in node["outputs"]]
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


def _whole(number: Any) -> int:
    if type(number) is not int or not 0 <= number < 2**63:
        raise ValueError(f"{number!r} is no size")
    return number


def _dim(size: Any) -> Dim:
    """A dimension, with the size that it had in the example, or 1 where that was not noted."""
    if "as_int" in size:
        return Dim(_whole(size["as_int"]))
    own = size["as_expr"]
    hint = own.get("hint") or {"as_int": 1}
    text = re.sub(r"Symbol\('(\w+)'[^)]*\)", r"\1", own["expr_str"])
    text = re.sub(r"Integer\((-?\d+)\)", r"\1", text)
    text = re.sub(r"Mul\((\d+), (\w+)\)", r"\1*\2", text)  # as torch prints what a Dim can be
    text = re.sub(r"Add\(([\w*]+), (\d+)\)", r"\1 + \2", text)
    text = re.sub(r"Add\(([\w*]+), -(\d+)\)", r"\1 - \2", text)
    return Dim(_whole(hint["as_int"]), "" if text.isdigit() else text)


def _type(number: Any) -> torch.dtype:
    dtype = getattr(torch, _TYPES[number])
    assert isinstance(dtype, torch.dtype)
    return dtype


def _one(own: Any) -> Any:
    """A tensor or number by its name, or the number itself."""
    [(form, value)] = own.items()
    if form == "as_name":
        return Ref(str(value))
    if form == "as_tensor":
        return Ref(str(value["name"]))
    return None if form == "as_none" else value


def _tensor(own: Any) -> Ref:
    return Ref(str(own["name"]))


def _several(read: Callable[[Any], Any]) -> Callable[[Any], list[Any]]:
    return lambda items: [read(item) for item in items]


def _plain(value: Any) -> Any:
    return value


_FORMS: dict[str, Callable[[Any], Any]] = {
    "as_none": lambda _: None,
    "as_tensor": _tensor,
    "as_tensors": _several(_tensor),
    "as_nested_tensors": _several(_several(_tensor)),
    "as_optional_tensor": _one,
    "as_optional_tensors": _several(_one),
    **dict.fromkeys(("as_sym_int", "as_sym_float", "as_sym_bool"), _one),
    **dict.fromkeys(("as_sym_ints", "as_sym_floats", "as_sym_bools"), _several(_one)),
    **dict.fromkeys(("as_int", "as_bool", "as_string"), _plain),
    **dict.fromkeys(("as_ints", "as_bools", "as_strings", "as_int_lists"), _plain),
    "as_float": float,
    "as_floats": _several(float),
    "as_float_lists": _several(_several(float)),
    "as_complex": lambda own: complex(float(own["real"]), float(own["imag"])),
    "as_scalar_type": _type,
    "as_memory_format": lambda number: _MEMORY_FORMATS[number],
    "as_layout": lambda _: torch.strided,
    "as_device": lambda own: torch.device(str(own["type"]), own.get("index")),
    "as_operator": str,
}
"""Arguments as the file has them, by their form."""


def _names(output: Any) -> Results:
    """The names of a result."""
    [(form, own)] = output.items()
    if form in ("as_tensor", "as_custom_obj"):
        return str(own["name"])
    if form in ("as_tensors", "as_optional_tensors"):
        return [_names({"as_tensor": one}) if "name" in one else _names(one) for one in own]
    if form in ("as_sym_int", "as_sym_bool", "as_sym_float", "as_optional_tensor"):
        return str(own["as_name"]) if "as_name" in own else _names(own)
    return None


def _flat(results: Results) -> list[str]:
    if isinstance(results, str):
        return [results]
    return [name for result in results or () for name in _flat(result)]
