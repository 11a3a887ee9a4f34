"""calflops: functions of torch replaced by its own; this is what it calls MACs."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import TYPE_CHECKING, Any

from costlab.counters import Counter, CounterTotal
from costlab.counters.events import Event, Operation
from costlab.counters.installed import version_of
from costlab.counters.quantities import macs, macs_of_the_first_stack
from costlab.counters.replaced import ADDED_PRODUCTS, profiled
from costlab.counters.terms import Macs, Params, Repeats, Term, Where, call

if TYPE_CHECKING:
    from torch import Tensor, nn


def convs(**attributes: Any) -> Where:
    """Convolutions with these attributes."""
    return call("F.conv1d", "F.conv2d", "F.conv3d", consists_of="conv", **attributes)


TRANSPOSED = call(
    "F.conv_transpose1d", "F.conv_transpose2d", "F.conv_transpose3d", consists_of="conv_transpose"
)
REPEATS = Repeats("once more for each")

_PRODUCTS = ("torch.matmul", "Tensor.matmul")


@Macs
def _macs_by_group(event: Event) -> int:
    """MACs of transposed convolutions whose outputs are divided by their groups twice."""
    return sum(map(_by_group, event.operations))


def _by_group(conv: Operation) -> int:
    groups: int = conv.attributes.groups
    channels: int = conv.attributes.out_channels // groups
    return conv.macs // channels * (channels // groups)


@Macs
def macs_of_same(event: Event) -> int:
    """MACs of convolutions with ``padding="same"``, by the positions that it sees."""
    return sum(conv.macs // prod(conv.output[2:]) * positions(conv) for conv in event.operations)


def positions(conv: Operation) -> int:
    """How many output positions it takes a convolution with ``padding="same"`` to have.

    Along an axis where ``dilation * (kernel - 1)`` is odd it takes one less than there are.
    """
    reach = per_axis(conv, "kernel_size", "dilation")
    fewer = [dilation * (kernel - 1) % 2 for kernel, dilation in reach]
    return prod(size - less for size, less in zip(conv.output[2:], fewer, strict=True))


def per_axis(conv: Operation, *names: str) -> Iterator[tuple[int, ...]]:
    """Attributes for each axis, where one number is for all of them."""
    rank = len(conv.output) - 2
    values = (getattr(conv.attributes, name) for name in names)
    every = (value if isinstance(value, tuple) else (value,) * rank for value in values)
    return zip(*every, strict=True)


def contractions(units: int) -> tuple[Term, ...]:
    """What it counts for contractions, if one MAC is so many units."""
    return (
        Term(
            "contractions",
            f"{units} per MAC, of functions and methods",
            where=convs() + TRANSPOSED + call("F.linear", *_PRODUCTS, *ADDED_PRODUCTS),
            units={macs: units},
            repeats=REPEATS,
        ),
        Term(
            "groups of transposed convolutions",
            "divided by twice",
            where=TRANSPOSED,
            units={_macs_by_group: units, macs: -units},
            fault=True,
            repeats=REPEATS,
        ),
        Term(
            'padding="same"',
            "a place too few for an even kernel",
            where=convs(padding="same"),
            units={macs_of_same: units, macs: -units},
            fault=True,
            repeats=REPEATS,
        ),
        Term(
            "products of stacks",
            "as many as the first has",
            where=call(*_PRODUCTS, consists_of="matmul"),
            units={macs_of_the_first_stack: units, macs: -units},
            fault=True,
            repeats=REPEATS,
        ),
    )


PARAMS = Params("trainable", missing="that are frozen")


def total(module: nn.Module, inputs: tuple[Tensor, ...], quantity: str = "macs") -> CounterTotal:
    """What ``calculate_flops`` gives. Raises ``ImportError`` if it is not installed.

    It does here what that function does, which refuses models without parameters.
    """
    from calflops import calculate_pipline as calflops

    pipeline = calflops.CalFlopsPipline(module, False, 2.0)
    by_path, params = profiled(calflops, pipeline, "flops_calculate", module, inputs, quantity)
    return CounterTotal(version_of("calflops"), by_path[""], params, by_path)


COUNTER = Counter(
    "calflops",
    package="calflops",
    versions=("0.3.2",),
    total=total,
    by_module=True,
    convention=contractions(1),
    params=PARAMS,
)
