"""What a module is called with when it is followed: what stands for the tensors that were given."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from inspect import signature
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from costlab import formatting
from costlab.errors import ChoiceError, ShapeError, words_of
from costlab.trace.real import RealRecorder
from costlab.trace.recorder import Recorder
from costlab.trace.tape import META
from costlab.trace.tensors import held


def given_to(
    recorder: Recorder,
    name: str,
    size: Iterable[int] | None,
    input_type: str | torch.dtype,
    inputs: Any,
    named: Any,
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """What the model of that name is called with, as it is given; a tensor of ``size`` is made."""
    if inputs is None and not named:
        if size is None:
            raise ShapeError(
                f"what is the input of {name}? give input_size (--input-size), such as "
                "1,3,224,224, or inputs"
            )
        shape = tuple(size)
        if not all(type(d) is int and d >= 1 for d in shape):
            raise ShapeError(f"input size {shape}: give whole numbers from 1, such as 1,3,224,224")
        known = recorder.places.parameters.values()
        numbers = [p for _, p in known if p.is_floating_point() or p.is_complex()]
        first = next((p for p in numbers if not p.is_complex()), numbers[0] if numbers else None)
        dtype = torch.get_default_dtype() if first is None else first.dtype
        if input_type:
            dtype = _type(input_type)
        device = "cpu" if first is None else first.device
        real = isinstance(recorder, RealRecorder)
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
    if inputs is None:
        inputs = ()
    args = inputs if type(inputs) is tuple else (inputs,)  # a named one is one input
    return args, dict(named or {})


def _type(name: str | torch.dtype) -> torch.dtype:
    """A type by its name: ``"int64"``, ``"torch.int64"``, or the type itself."""
    dtype = getattr(torch, str(name).removeprefix("torch."), None)
    if not isinstance(dtype, torch.dtype):
        raise ChoiceError(f"torch has no type {name!r}: try int64, float32, bfloat16 or bool")
    return dtype


def replaced(
    args: tuple[Any, ...], named: dict[str, Any], recorder: Recorder
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """What forward gets in place of these arguments: what stands for their tensors.

    Tensors that objects hold stay where they are, and are inputs too.
    """
    names = ["input"] if len(args) == 1 else [f"input {n}" for n in range(1, len(args) + 1)]
    return (
        tuple([_replaced(value, name, recorder) for value, name in zip(args, names, strict=True)]),
        {name: _replaced(value, name, recorder) for name, value in named.items()},
    )


def _replaced(value: Any, name: str, recorder: Recorder) -> Any:
    if isinstance(value, Tensor):
        if value.is_nested:
            raise ShapeError(
                f"{name} is a nested tensor, which has no one shape: give its rows as one tensor "
                "(x.values()), or padded (x.to_padded_tensor(0.0))"
            )
        return recorder.given(value, name)
    if isinstance(value, PackedSequence):  # its other tensors are about its lengths
        return tuple.__new__(PackedSequence, (_replaced(value.data, name, recorder), *value[1:]))
    if isinstance(value, tuple):  # of any kind, such as a named one
        return tuple.__new__(type(value), [_replaced(item, name, recorder) for item in value])
    if isinstance(value, list):
        return [_replaced(item, name, recorder) for item in value]
    if type(value) is dict:
        return {key: _replaced(item, name, recorder) for key, item in value.items()}
    if isinstance(value, dict):
        return _of_its_kind(value, name, recorder)
    recorder.objects.append(value)
    for tensor in held(value):
        recorder.given_inside(tensor, name)
    return value


def _of_its_kind(given: Any, name: str, recorder: Recorder) -> Any:
    """A dict of the user's own kind, with what stands for its tensors.

    Its attributes may be the same tensors, as those of an output of transformers.
    """
    base = OrderedDict if isinstance(given, OrderedDict) else dict
    holder = base.__new__(type(given))
    if isinstance(given, defaultdict):
        holder.default_factory = given.default_factory
    standins: dict[int, Any] = {}
    for key, item in base.items(given):
        standins[id(item)] = _replaced(item, name, recorder)
        base.__setitem__(holder, key, standins[id(item)])
    with suppress(AttributeError):  # it has no attributes
        own = object.__getattribute__(holder, "__dict__")
        for key, item in object.__getattribute__(given, "__dict__").items():
            own[key] = standins.get(id(item), item)
    return holder


def hint(module: nn.Module, inputs: Any, args: tuple[Any, ...], named: dict[str, Any]) -> str:
    """What to give, if forward does not take these arguments, as the end of a message."""
    try:
        signature(module.forward).bind(*args, **named)
    except TypeError:
        if isinstance(inputs, Mapping):
            return "; a dict is keyword arguments: one dict is inputs=({...},), a tuple"
        if isinstance(inputs, list):
            return "; a list is one argument: several are inputs=(x, y), a tuple"
        return (
            "; inputs= takes a tuple of what forward takes, or a dict of keywords "
            "(on the command line --inputs FILE.py:NAME)"
        )
    except ValueError:  # it has no signature
        pass
    return ""
