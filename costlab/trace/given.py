"""What a module is called with: the caller's own, or tensors of the sizes that were given."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor

from costlab import formatting
from costlab.errors import ChoiceError, ShapeError, words_of
from costlab.graph.op import Shape
from costlab.graph.sizes import InputSize, Sizes
from costlab.graph.values import no_type
from costlab.torch_private import SymInt
from costlab.trace.tensors import META

InputType: TypeAlias = (
    "str | torch.dtype | Sequence[str | torch.dtype] | Mapping[str, str | torch.dtype]"
)
"""The type of every input, or of each: in order, or by the names of keywords."""


def given_to(
    name: str,
    parameters: Iterable[Tensor],
    size: InputSize | None,
    input_type: InputType,
    inputs: Any,
    named: Any,
    real: bool = False,
    takes: Callable[[], str] = str,
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """What the model of that name is called with, as given; tensors of ``size`` are made.

    These have the type of its ``parameters``, and are on ``meta`` unless they are to be ``real``.
    An error says what it ``takes``, and asks for it only then.
    """
    if inputs is None and not named:
        return _made(name, size, input_type, _Like.of(parameters, real), takes)
    if size is not None:
        if isinstance(size, Sizes) and not (size.positional or size.named):
            raise ChoiceError(
                "the batch is that of an input size: inputs have theirs, leave it out"
            )
        other = "kwargs" if inputs is None else "inputs"
        raise ChoiceError(f"an input size and {other} are both given: give one of them")
    if input_type:
        raise ChoiceError("the input type goes with an input size: inputs have types of their own")
    if isinstance(inputs, Mapping):
        inputs, named = (), {**inputs, **(named or {})}
    if inputs is None:
        inputs = ()
    args = inputs if type(inputs) is tuple else (inputs,)  # a named one is one input
    return args, dict(named or {})


class _Like(NamedTuple):
    """What tensors that are made are like, where nothing else is said."""

    dtype: torch.dtype
    device: torch.device
    real: bool

    @classmethod
    def of(cls, parameters: Iterable[Tensor], real: bool) -> _Like:
        """The first parameter of real numbers, else of complex ones."""
        parameters = list(parameters)
        first = next((p for p in parameters if p.is_floating_point()), None)
        if first is None:
            first = next((p for p in parameters if p.is_complex()), None)
        if first is None:
            return cls(torch.get_default_dtype(), torch.device("cpu"), real)
        return cls(first.dtype, first.device, real)


def _made(
    name: str, size: Any, input_type: InputType, like: _Like, takes: Callable[[], str]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """A tensor of each size."""
    sizes = size if isinstance(size, Sizes) else Sizes(() if size is None else (tuple(size),))
    if not (sizes.positional or sizes.named):
        own = takes()
        ending = " for each" if ", " in own.partition("=")[0] else ""
        raise ShapeError(
            f"what is the input of {name}? {own}{own and ': '}give an input size "
            f"(--input-size){ending}, such as 1,3,224,224, or inputs; its parameters alone: "
            "costlab show, or costlab.parameters"
        )
    number = len(sizes.positional)
    of_each: list[Any] = [input_type] * number
    by_name: Mapping[str, Any] = dict.fromkeys(sizes.named, input_type)
    if isinstance(input_type, Mapping):
        if unknown := sorted(input_type.keys() - sizes.named.keys()):
            raise ChoiceError(f"{unknown[0]} has an input type, but no input size: give both")
        of_each, by_name = [""] * number, input_type
    elif isinstance(input_type, (list, tuple)):
        if len(input_type) != number:
            raise ChoiceError(
                f"{formatting.plural(len(input_type), 'input type')} for "
                f"{formatting.plural(number, 'input')}: give one for all, or one for each"
            )
        of_each, by_name = list(input_type), {}
    return (
        tuple(
            _tensor(sizes.batched(shape), dtype, like)
            for shape, dtype in zip(sizes.positional, of_each, strict=True)
        ),
        {
            key: _tensor(sizes.batched(shape), by_name.get(key, ""), like)
            for key, shape in sizes.named.items()
        },
    )


def _tensor(shape: Shape, input_type: str | torch.dtype, like: _Like) -> Tensor:
    """A tensor of that shape and type, by default the type of the module's parameters."""
    if not all((type(d) is int and d >= 1) or type(d) is SymInt for d in shape):
        raise ShapeError(f"input size {shape}: give whole numbers from 1, such as 1,3,224,224")
    dtype = type_named(input_type) if input_type else like.dtype
    make = torch.zeros if like.real else torch.empty
    try:
        tensor = make(shape, dtype=dtype, device=like.device if like.real else META)
        return tensor.clone() if like.real else tensor  # some types cannot even be copied
    except (RuntimeError, MemoryError) as error:
        raise ShapeError(
            f"torch makes no input of {formatting.shape(shape)} {dtype}: "
            f"{words_of(error).partition(' Error code')[0][:200]}"
        ) from error


def type_named(name: str | torch.dtype) -> torch.dtype:
    """A type by its name: ``"int64"``, ``"torch.int64"``, or the type itself."""
    dtype = getattr(torch, str(name).removeprefix("torch."), None)
    if not isinstance(dtype, torch.dtype):
        raise no_type(name)
    return dtype
