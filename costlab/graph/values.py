"""The tensors of a network: shape, type, where they come from, and whose memory they use."""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import prod
from typing import Literal, NamedTuple, TypeAlias

from costlab.errors import ChoiceError
from costlab.graph.op import Shape

ValueKind: TypeAlias = Literal["input", "parameter", "buffer", "constant", "computed"]
"""Where a value comes from: a layer computes it, or it is there before the network runs."""


class DType(NamedTuple):
    """The type of an element: its name, as in torch, and its size in bytes."""

    name: str
    size: int


FLOAT32 = DType("float32", 4)


class Value(NamedTuple):
    """A tensor: of an input, a parameter, or what a layer gives.

    ``name`` is that of a parameter or buffer, such as ``stem.conv.weight``; a tensor that has
    several has its first. A constant has one if it is a parameter that no module has registered.
    ``shares`` is the number of the value whose memory it uses: of a view, of the result of an
    operation in place; None where its memory is its own. ``detached`` is whether no gradient goes
    to it: it is a frozen parameter, an input that wants none, or computed by code that cuts
    gradients (``detach``, ``no_grad``).
    """

    shape: Shape
    dtype: DType = FLOAT32
    kind: ValueKind = "computed"
    name: str = ""
    shares: int | None = None
    detached: bool = False

    @property
    def differentiable(self) -> bool:
        """Whether its type has gradients: floating-point and complex numbers."""
        return self.dtype.name.startswith(("float", "bfloat", "complex"))

    @property
    def elements(self) -> int:
        """How many elements it has."""
        return prod(self.shape)

    @property
    def bytes(self) -> int:
        """The size of its elements together, whoever owns their memory."""
        return self.elements * self.dtype.size


def owner_of(values: Sequence[Value], number: int) -> int:
    """The value whose memory the value of that number uses: another's, or its own."""
    shares = values[number].shares
    return number if shares is None else shares


_TYPE = re.compile(
    r"(torch\.)?(b?float|q?u?int|c?(half|double|float)|complex|bool|short|long|bits?)\d*(x\d+)?(_\w+)?"
)
"""What names of torch's types look like, also of types that it may have one day."""


def may_be_type(name: object) -> bool:
    """Whether it may be a type, or the name of one; only torch, which takes long to import, knows.

    Any object that is no text may be.
    """
    return not isinstance(name, str) or _TYPE.fullmatch(name) is not None


def no_type(name: object) -> ChoiceError:
    """What is said of a type that torch does not have."""
    return ChoiceError(f"torch has no type {name!r}: try int64, float32, bfloat16 or bool")
