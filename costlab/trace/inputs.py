"""What stands for the tensors that a module is called with when it is followed."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Mapping
from contextlib import suppress
from inspect import signature
from typing import Any

from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from costlab.errors import ShapeError, suggestion
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


def hint(
    error: BaseException,
    module: nn.Module,
    inputs: Any,
    args: tuple[Any, ...],
    named: dict[str, Any],
) -> str:
    """What to give, if forward does not take these arguments, as the end of a message."""
    if inputs is None and len(args) == 1 and args[0].dim() == 3 == args[0].shape[0]:  # an image
        return f"; if the batch is missing: {','.join(map(str, (1, *args[0].shape)))}"
    if not isinstance(error, TypeError):
        return ""
    try:
        takes = signature(module.forward)
        takes.bind(*args, **named)
    except TypeError:
        if inputs is None:  # sizes
            known = list(takes.parameters)
            unknown = [suggestion(name, known) for name in named if name not in known]
            return unknown[0] if unknown else f"; forward takes {', '.join(known)}"
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
