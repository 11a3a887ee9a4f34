"""What stands for the tensors that a module is called with when it is followed."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from contextlib import suppress
from typing import Any

from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from costlab.errors import ShapeError
from costlab.trace import jagged
from costlab.trace.recorder import Recorder
from costlab.trace.tensors import held


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
            return jagged.given(recorder, value, name)
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
        if tensor.is_nested:
            raise ShapeError(f"{name} holds a nested tensor: give it as an input of its own")
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
