"""Names that layers are added up by: their operation, and that with its kernel."""

from __future__ import annotations

from typing import Any

from costlab import formatting
from costlab.costs.rows import Row


def operation_of(row: Row) -> str:
    """``conv2d``, ``linear``, ``relu``."""
    return row.label


def kind_of(row: Row) -> str:
    """The operation with its kernel: ``conv2d 1×1``, ``depthwise conv2d 3×3``, ``linear``.

    Depthwise is a convolution with a group for each input channel; ``grouped`` one with several.
    """
    op = row.layer.op
    kernel = _axes(op.attribute("kernel_size"), len(row.output) - 2)
    if not kernel:
        return row.label
    groups = op.attribute("groups") or 1
    channels = row.inputs[0][1] if row.inputs and len(row.inputs[0]) > 1 else 0
    how = "" if groups == 1 else "depthwise " if groups == channels else "grouped "
    return f"{how}{row.label} {formatting.shape(kernel)}"


def _axes(size: Any, rank: int) -> tuple[int, ...]:
    if isinstance(size, tuple):
        return size
    return (size,) * rank if isinstance(size, int) and rank > 0 else ()


FAMILIES = (
    "convolution",
    "depthwise, grouped",
    "matrix product",
    "attention",
    "normalisation",
    "activation",
    "pooling",
    "other",
)
"""Few kinds, so that each has a colour in a picture that all people can tell apart."""

_WORDS = {
    "normalisation": ("norm", "lrn"),
    "pooling": ("pool",),
    "activation": (
        *("relu", "elu", "gelu", "silu", "swish", "mish", "sigmoid", "tanh", "softmax"),
        *("softplus", "softsign", "shrink", "threshold", "glu"),
    ),
}


def family_of(row: Row) -> str:
    """Which of the families a layer belongs to, by its label and kernel."""
    if "attention" in row.label:
        return "attention"
    if row.contraction is not None:
        if not row.label.startswith("conv"):
            return "matrix product"
        whole = row.layer.op.attribute("groups") in (None, 1)
        return "convolution" if whole else "depthwise, grouped"
    for family, words in _WORDS.items():
        if any(word in row.label for word in words):
            return family
    return "other"
