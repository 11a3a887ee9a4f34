"""Kernels whose results are not what torch's stand-ins say: found by running them.

Some of the CPU's lie in more memory than their shapes say, or have other types. Those that are
known are put right here; what is not known is said.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def _of_first(args: Any, _: Any) -> dict[int, int]:
    """The result is the beginning of memory as large as the first argument."""
    return {0: args[0].nbytes}


def _one_more(_: Any, results: Any) -> dict[int, int]:
    """The second result has lost an element at its end, if it has any."""
    size = results[1].nbytes
    return {1: size + results[1].itemsize} if size else {}


def lstm_workspace(args: Any) -> Any:
    """The bytes that oneDNN's LSTM of float32 keeps if it may have to go back.

    They lie in pages, a section behind the other: the gates and the outputs, then states and
    gradients of states before and after each step, below and above the layer. Rows of units are
    padded, but for those of the memory.
    """
    if not torch.is_grad_enabled():  # in which mode the module is, it does not ask
        return 0
    (steps, batch, width), units = args[0].shape, args[2].shape[1]
    states = 2 * (steps + 1) * batch
    sections = (
        *(steps * batch * _padded(4 * units), steps * batch * _padded(units)),
        *[states * _padded(max(width, units))] * 3,
        *[states * units] * 2,
    )
    return sum(_whole(4 * elements, _PAGE) for elements in sections)


_LSTM = "mkldnn_rnn_layer"
_PAGE, _ROW, _ALIASED = 4096, 16, 256
"""Bytes of a page; elements to which a row is padded, and those of rows that would get in each
other's way in a cache, and are longer."""


def _padded(elements: int) -> int:
    row = _whole(elements, _ROW)
    return row + _ROW if row % _ALIASED == 0 else row


def _whole(number: int, of: int) -> int:
    """A number, rounded up to a multiple."""
    return (number + of - 1) // of * of


def corrected(func: Any, args: Any, results: Any) -> Any:
    """The results of a call, put right where the CPU gives others."""
    name = func.overloadpacket.__name__
    if args and isinstance(args[0], Tensor) and args[0].device.type == "cpu":
        if name in _NORMS:
            return _typed(name, args, results)
        if name == "_weight_norm_interface" and args[0].dtype.itemsize <= 2:
            return (results[0], results[1].to(torch.float32))  # the norms
        if name == f"{_LSTM}_backward":  # of both biases a tensor of its own
            return (*results[:4], torch.empty_like(results[4]), *results[5:])
    return results


def _typed(name: str, args: Any, results: Any) -> Any:
    """The results of norms of half precision with float32 weights, in the types of the CPU."""
    x, *own = (arg for arg in args if isinstance(arg, Tensor))
    if x.dtype.itemsize > 2 or all(tensor.dtype == x.dtype for tensor in own):
        return results
    first, *others = results
    if name == "native_group_norm_backward":
        return (None if first is None else first.to(x.dtype), *others)
    return (first, *(statistics.to(torch.float32) for statistics in others))


_NORMS = {
    *("native_batch_norm", "native_layer_norm", "native_group_norm"),
    "native_group_norm_backward",
}

_LARGER: dict[str, Callable[[Any, Any], dict[int, int]]] = {
    "mse_loss": _of_first,  # the losses by element, of which the mean or sum becomes the first
    "smooth_l1_loss": _of_first,
    "soft_margin_loss": _of_first,
    "binary_cross_entropy": _of_first,
    "col2im": _of_first,  # a copy of the columns, which the image takes the place of
    "_embedding_bag": _one_more,  # the bag of each index
}

_WORKSPACE = "oneDNN's LSTM keeps a workspace, whose size is known in float32 alone"


def larger(func: Any, args: Any, results: Any) -> dict[int, int]:
    """The bytes in which some results of a call lie, by their positions."""
    rule = _LARGER.get(func.overloadpacket.__name__)
    if rule is None or args[0].device.type != "cpu":
        return {}
    return rule(args, results)


def unknown(func: Any, args: Any) -> str:
    """Why a call gives memory whose size is not known; nothing if it is."""
    is_lstm = func.overloadpacket.__name__ == _LSTM
    return _WORKSPACE if is_lstm and torch.is_grad_enabled() else ""


def depends_on_gradients(name: str) -> bool:
    """Whether what an operation of that name gives depends on whether gradients are enabled."""
    return name == _LSTM
