"""What a module is called with: as it is given, or made for a size."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from costlab import formatting
from costlab.errors import ChoiceError, ShapeError, words_of
from costlab.trace.tape import META


def given(
    size: Iterable[int] | None,
    input_type: str | torch.dtype,
    inputs: Any,
    named: Any,
    parameters: Iterable[Tensor],
    real: bool = False,
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """What forward is called with, as it is given; a tensor of ``size`` is made.

    Its type is that of the first of the ``parameters``, on ``meta`` unless it is to be ``real``.
    """
    if inputs is None and not named:
        if size is None:
            raise ShapeError(
                "what is the input of this module? give input_size (--input-size), "
                "such as 1,3,224,224, or inputs"
            )
        shape = tuple(size)
        if not all(type(d) is int and d >= 1 for d in shape):
            raise ShapeError(f"input size {shape}: give whole numbers from 1, such as 1,3,224,224")
        first = next((p for p in parameters if p.is_floating_point()), None)
        dtype = torch.get_default_dtype() if first is None else first.dtype
        if input_type:
            dtype = type_named(input_type)
        device = "cpu" if first is None else first.device
        make = torch.zeros if real else torch.empty
        try:
            inputs = make(shape, dtype=dtype, device=device if real else META)
            if real:
                inputs = inputs.clone()  # some types cannot even be copied
        except (RuntimeError, MemoryError) as error:
            raise ShapeError(
                f"torch makes no input of {formatting.shape(shape)} {dtype}: "
                f"{words_of(error).partition(' Error code')[0][:200]}"
            ) from error
    elif size is not None:
        raise ChoiceError("input_size and inputs are both given: give one of them")
    elif input_type:
        raise ChoiceError("input_type is the type of an input of input_size: inputs have theirs")
    if isinstance(inputs, Mapping):
        inputs, named = (), {**inputs, **(named or {})}
    args = inputs if isinstance(inputs, tuple) else () if inputs is None else (inputs,)
    return tuple(args), dict(named or {})


def type_named(name: str | torch.dtype) -> torch.dtype:
    """A type by its name: ``"int64"``, ``"torch.int64"``, or the type itself."""
    dtype = getattr(torch, str(name).removeprefix("torch."), None)
    if not isinstance(dtype, torch.dtype):
        raise ChoiceError(f"torch has no type {name!r}: try int64, float32, bfloat16 or bool")
    return dtype
