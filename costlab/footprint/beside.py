"""What kernels take beside tensors, by layer: named, and in no number of bytes of tensors.

It was found with the profiler on a CPU with oneDNN (see docs/memory.md). How large it is, only
batch norm says by its shapes; another machine may take other kernels.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from costlab import formatting

if TYPE_CHECKING:
    from torch import Tensor

REORDERED = "weights and inputs that oneDNN reorders"
BUFFERS = "two buffers of batch norm, 8 bytes for each channel"
_ATTENTION = "_scaled_dot_product_flash_attention_for_cpu"
_OF_HALVES = ("mm", "bmm", "addmm", "baddbmm")

_KINDS = {
    **dict.fromkeys(("convolution", "convolution_backward"), REORDERED),
    **dict.fromkeys(("mkldnn_rnn_layer", "mkldnn_rnn_layer_backward"), REORDERED),
    **dict.fromkeys(_OF_HALVES, "workspaces of products in half precision"),
    **dict.fromkeys((_ATTENTION, f"{_ATTENTION}_backward"), "workspaces of attention"),
    "native_batch_norm": BUFFERS,
    "native_batch_norm_backward": "workspaces of batch norm's backward pass",
}


class Beside(NamedTuple):
    """What the kernels of a layer take at most at once; None for bytes that are not known."""

    path: str
    what: str
    bytes: int | None


def may_take(name: str) -> bool:
    """Whether the kernel of an operation takes memory of its own."""
    return name in _KINDS


def taken_beside(name: str, args: Any, taken: list[Tensor]) -> tuple[str, int | None] | None:
    """What the kernel of such an operation takes, and the bytes of it, if they are known."""
    x = taken[0]
    if x.device.type != "cpu":
        return "workspaces of kernels that are not the CPU's", None
    if name in _OF_HALVES and x.dtype.itemsize > 2:
        return None
    if name == "native_batch_norm":  # in training the two are results
        return None if args[5] else (BUFFERS, 8 * x.shape[1])
    return _KINDS[name], None


def beside_of(seen: Mapping[tuple[str, str], int | None]) -> tuple[Beside, ...]:
    """All that was seen, of each layer and kind the most."""
    return tuple(Beside(path, what, size) for (path, what), size in seen.items())


def sentence(beside: tuple[Beside, ...]) -> str:
    """What there is beside tensors, for people."""
    parts = []
    for what in dict.fromkeys(entry.what for entry in beside):
        own = [entry for entry in beside if entry.what == what]
        sizes = [entry.bytes for entry in own if entry.bytes is not None]
        size = f"at most {formatting.integer(max(sizes))} bytes" if sizes else "not known"
        parts.append(f"{what} (in {formatting.plural(len(own), 'layer')}): {size}")
    parts.append("what other kernels and the allocator take: not known")
    return f"Beside tensors, and in none of these numbers: {'; '.join(parts)}."
