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


def typed(func: Any, args: Any, results: Any) -> Any:
    """The results, in the types that the CPU gives norms of half precision with float32 weights."""
    name = func.overloadpacket.__name__
    if name not in _NORMS or args[0].device.type != "cpu":
        return results
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

_WORKSPACE = "oneDNN's LSTM keeps a workspace in training, whose size it alone knows"


def larger(func: Any, args: Any, results: Any) -> dict[int, int]:
    """The bytes in which some results of a call lie, by their positions."""
    rule = _LARGER.get(func.overloadpacket.__name__)
    if rule is None or args[0].device.type != "cpu":
        return {}
    return rule(args, results)


def unknown(func: Any, args: Any) -> str:
    """Why a call gives memory whose size is not known; nothing if it is."""
    learns = func.overloadpacket.__name__ == "mkldnn_rnn_layer" and args[-1] is True
    return _WORKSPACE if learns else ""
