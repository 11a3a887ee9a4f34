"""Sizes, types and arguments, as the description of an exported program has them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import torch

from costlab.programs.program import Dim, Ref, Results

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


def _whole(number: Any) -> int:
    if type(number) is not int or not 0 <= number < 2**63:
        raise ValueError(f"{number!r} is no size")
    return number


def dim_of(size: Any) -> Dim:
    """A dimension, with the size that it had in the example; 0 where that depends on values."""
    if "as_int" in size:
        return Dim(_whole(size["as_int"]))
    own = size["as_expr"]
    hint = own.get("hint") or {"as_int": 0}
    text = re.sub(r"Symbol\('(\w+)'[^)]*\)", r"\1", own["expr_str"])
    text = re.sub(r"Integer\((-?\d+)\)", r"\1", text)
    text = re.sub(r"Mul\((\d+), (\w+)\)", r"\1*\2", text)  # as torch prints what a Dim can be
    text = re.sub(r"Add\(([\w*]+), (\d+)\)", r"\1 + \2", text)
    text = re.sub(r"Add\(([\w*]+), -(\d+)\)", r"\1 - \2", text)
    return Dim(_whole(hint["as_int"]), "" if text.isdigit() else text)


def type_of(number: Any) -> torch.dtype:
    """The type of elements. Raises ``KeyError`` for one that is not known."""
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


FORMS: dict[str, Callable[[Any], Any]] = {
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
    "as_scalar_type": type_of,
    "as_memory_format": lambda number: _MEMORY_FORMATS[number],
    "as_layout": lambda _: torch.strided,
    "as_device": lambda own: torch.device(str(own["type"]), own.get("index")),
    "as_operator": str,
}
"""Arguments as the file has them, by their form."""


def names_of_result(output: Any) -> Results:
    """The names of a result."""
    [(form, own)] = output.items()
    if form in ("as_tensor", "as_custom_obj"):
        return str(own["name"])
    if form in ("as_tensors", "as_optional_tensors"):
        return [
            names_of_result({"as_tensor": result} if "name" in result else result) for result in own
        ]
    if form in ("as_sym_int", "as_sym_bool", "as_sym_float", "as_optional_tensor"):
        return str(own["as_name"]) if "as_name" in own else names_of_result(own)
    return None
