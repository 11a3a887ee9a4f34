"""Copies of traced modules, with values, which other counters may use as they like.

They are not in `block`: what is built of a graph is counted by others without the tracer.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from costlab.errors import CounterError, said_of, words_of
from costlab.isolation.copies import Copying
from costlab.torch_private import FakeTensor, set_tracing_state, tracing_state
from costlab.trace.lazy import as_lazy
from costlab.trace.lazy_results import consumed
from costlab.trace.tensors import held, of_its_kind, tensors
from costlab.trace.without_values import needs_values

if TYPE_CHECKING:
    from costlab.trace.observation import Trace


def copied(trace: Trace) -> tuple[nn.Module, tuple[Any, ...]]:
    """Copies of a traced module, in the mode that it was followed in, and of its inputs.

    The copy takes tensors by position, also those that the module was given by keyword, has what
    else it was given, and gives its tensors alone, as counters that follow ``torch.jit.trace`` need
    it. Tensors that have no values are zeros in the copy. Raises ``CounterError`` if there is no
    copy with values.
    """
    module = with_weights(trace)
    _unwrap(module)
    forward, count = module.forward, len(trace.inputs)
    method = getattr(module, trace.method)
    arguments = (*trace.inputs, *trace.kwargs.values())
    given = [argument for argument in arguments if _is_given(argument)]

    def by_position(*inputs: Any) -> Any:
        placed = map(_as_given, given, inputs)
        # A run changes objects such as caches, and is neither the user's nor the last.
        every = [next(placed) if _is_given(argument) else _copy(argument) for argument in arguments]
        by_name = dict(zip(trace.kwargs, every[count:], strict=True))
        taken = set(map(id, tensors(every)))
        module.forward = forward  # which another method may call
        try:
            result = method(*every[:count], **by_name)
            return _alone(consumed(result, lambda tensor: id(tensor) not in taken))
        finally:
            module.forward = by_position

    module.forward = by_position
    return module, tuple(map(_plain, map(_copy, given)))


def _unwrap(module: nn.Module) -> None:
    """Modules that ``torch.compile`` wraps take the place of what wraps them."""
    for inner in list(module.modules()):
        for name, child in inner.named_children():
            if isinstance(original := getattr(child, "_orig_mod", None), nn.Module):
                setattr(inner, name, original)


def _is_given(argument: Any) -> bool:
    """Whether counters are given it: plain tensors, and tuples, lists and dicts of such."""
    plain = isinstance(argument, (Tensor, tuple, list)) or type(argument) is dict
    kinds = set(map(type, tensors(argument)))
    return plain and bool(kinds) and kinds <= {Tensor, nn.Parameter}


def _plain(value: Any) -> Any:
    """A plain tuple for a named one, which ``torch.jit.trace`` would not look into."""
    return tuple(map(_plain, value)) if isinstance(value, tuple) else value


def with_weights(trace: Trace) -> nn.Module:
    """A copy of a traced module, in the same mode; one that is lazy has been run once.

    Raises ``CounterError``.
    """
    own = list(chain(trace.module.parameters(), trace.module.buffers()))
    if needs_values(trace.module) and any(tensor.device.type == "meta" for tensor in own):
        raise CounterError("a module on meta cannot run: cross-check it with its weights")
    try:
        module: nn.Module = _Values().copied(trace.module).train(trace.training)
    except Exception as error:
        raise CounterError(f"the module cannot be copied: {words_of(error)}") from error
    if not needs_values(trace.module):
        _fill_with_zeros(module)
    if not any(map(is_lazy, own)):
        return module
    named = {name: _copy(value) for name, value in trace.kwargs.items()}
    try:
        with torch.random.fork_rng(), torch.no_grad():
            # A call, not forward itself: hooks give lazy modules their weights.
            called = module if trace.method == "forward" else getattr(module, trace.method)
            called(*map(_copy, trace.inputs), **named)
    except Exception as error:
        raise CounterError(f"the module is lazy and cannot be run: {said_of(error)}") from error
    return module


def _fill_with_zeros(module: nn.Module) -> None:
    """Zeros in the place of tensors on ``meta``; names of one tensor have one again."""
    filled: dict[int, Tensor] = {}

    def zeros(tensor: Tensor) -> Tensor:
        if id(tensor) not in filled:
            own = torch.zeros(tensor.shape, dtype=tensor.dtype)
            learns = isinstance(tensor, nn.Parameter)
            filled[id(tensor)] = nn.Parameter(own, tensor.requires_grad) if learns else own
        return filled[id(tensor)]

    for inner in module.modules():
        holders: tuple[dict[str, Any], ...] = (inner._parameters, inner._buffers)
        for holder in holders:
            for name, tensor in holder.items():
                if tensor is not None and tensor.device.type == "meta":
                    holder[name] = zeros(tensor)


def _as_given(example: Any, value: Any) -> Any:
    """A plain tuple as the named one that it stands for."""
    if not isinstance(example, (tuple, list)) or len(example) != len(value):
        return value
    items = list(map(_as_given, example, value))
    if isinstance(example, list) or type(example) is tuple:
        return type(example)(items)
    return tuple.__new__(type(example), items)


def _copy(given: Any) -> Any:
    """A copy of an argument, if it is of a kind that has copies; a generator has none."""
    tracing = tracing_state()
    set_tracing_state(None)
    try:
        return _Values().copied(given)
    except TypeError:
        return given
    finally:
        set_tracing_state(tracing)


class _Values(Copying):
    """Copies tensors with their values, also those that were computed from parameters.

    Hooks keep such tensors on modules: the weight of ``torch.nn.utils.weight_norm``, of pruning.
    """

    def tensor(self, tensor: Tensor, memo: dict[int, Any]) -> Tensor:
        """The copy of a tensor; zeros where there are no values."""
        if isinstance(tensor, nn.Parameter):
            return _as_torch_copies(tensor, memo)
        if tensor.device.type == "meta" or isinstance(tensor, FakeTensor):
            return torch.zeros(tensor.shape, dtype=tensor.dtype)
        if is_lazy(tensor):
            return as_lazy(tensor, tensor.device)
        if tensor.layout is not torch.strided:
            return tensor.detach().clone()
        if not tensor.is_leaf or type(tensor) is not Tensor:
            own = tensor.detach().as_subclass(Tensor).clone()
            return of_its_kind(own, tensor)
        return _as_torch_copies(tensor, memo)


def _as_torch_copies(tensor: Tensor, memo: dict[int, Any]) -> Tensor:
    copy: Tensor = tensor.__deepcopy__(memo)  # type: ignore[no-untyped-call]
    return copy


def _alone(output: Any) -> Any:
    """A tensor as it is; of anything else its tensors, as a tuple."""
    return output if isinstance(output, Tensor) else tuple(held(output))
