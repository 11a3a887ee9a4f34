"""What moves, joins, holds or passes on elements, without arithmetic."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, ClassVar

from costlab.graph.arithmetic import larger
from costlab.graph.op import Keeps, Shape
from costlab.graph.opcount import GradientScalars, of_input
from costlab.ops.zero_cost import ZeroCost

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, slots=True)
class Identity(ZeroCost):
    """Its input."""

    name: ClassVar[str] = "identity"

    @property
    def passes(self) -> bool:
        return True

    def module(self, *inputs: Shape) -> nn.Module:
        from torch import nn

        return nn.Identity()


_BY_INDEX = ("index", "gather", "take", "masked", "scatter", "where")
"""How the names begin of movements to or from places that a tensor says."""


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_PICKS = _names(
    """
    index index_select gather take take_along_dim unfold im2col reflection_pad1d reflection_pad2d
    reflection_pad3d replication_pad1d replication_pad2d replication_pad3d _pad_circular
    """
)
"""Movements that may take an element several times: each gradient is added to that of its place."""

_REPEATS = _names(
    "expand expand_as broadcast_to broadcast_tensors repeat repeat_interleave tile meshgrid"
)
"""Movements that repeat each element: its gradients are summed."""

_MOVES = _names(
    """
    view reshape flatten unflatten ravel permute transpose t adjoint squeeze unsqueeze view_as
    reshape_as contiguous clone alias to type type_as float double half bfloat16 _to_copy narrow
    select slice split split_with_sizes chunk tensor_split unbind pad constant_pad_nd roll flip
    fliplr flipud rot90 cat stack hstack vstack dstack column_stack pixel_shuffle pixel_unshuffle
    channel_shuffle native_channel_shuffle movedim moveaxis swapdims diagonal diag_embed diag tril
    triu copy as_strided view_as_real view_as_complex atleast_1d atleast_2d atleast_3d positive
    lift_fresh lift_fresh_copy _unsafe_view unsafe_chunk unsafe_split resolve_conj resolve_neg
    _reshape_alias select_scatter slice_scatter diagonal_scatter masked_scatter
    index_copy index_put index_fill scatter fill zero max_unpool2d max_unpool3d T mT H mH real
    imag complex conj _conj block_diag masked_select put resize resize_as cpu cuda to_sparse
    to_sparse_coo to_sparse_csr to_sparse_csc to_sparse_bsr to_sparse_bsc sparse_mask
    sparse_coo_tensor sparse_csr_tensor sparse_csc_tensor sparse_bsr_tensor sparse_bsc_tensor
    sparse_compressed_tensor _sparse_coo_tensor_unsafe _spdiags _pack_padded_sequence
    _pad_packed_sequence select_backward slice_backward diagonal_backward
    """
)
"""Movements whose gradients move back."""

_CUT = _names(
    """
    detach data int long short bool one_hot nonzero argwhere zeros multinomial uniform normal
    exponential bernoulli log_normal cauchy geometric random
    """
)
"""What no gradient goes through: indices and truths, what was drawn, zeros of the same shape."""


def takes_again(what: str) -> bool:
    """Whether a movement may take an element several times, so that gradients are summed."""
    return what in _PICKS or what in _REPEATS


@dataclass(frozen=True, slots=True)
class Movement(ZeroCost):
    """Elements in another order, shape or place: ``view``, ``permute``, ``pad``, ``index``..."""

    what: str
    shape: Shape

    name: ClassVar[str] = "movement"
    arity: ClassVar[int | None] = None

    @property
    def takes_part(self) -> bool:
        return self.what in _MOVES

    @property
    def keeps(self) -> Keeps:
        """Where its elements are from, if other tensors say so."""
        return "result" if self.what.startswith(_BY_INDEX) else "nothing"

    def label(self, *inputs: Shape) -> str:
        return self.what

    def gradient_scalars(self, output: Shape, *inputs: Shape) -> tuple[GradientScalars, ...] | None:
        """What was copied to several places is summed; nothing is where elements only move."""
        if self.what in _PICKS:
            return of_input(add=prod(output))
        if self.what in _REPEATS:
            return of_input(add=larger(prod(output) - prod(inputs[0]), 0))
        return () if self.what in _MOVES or self.what in _CUT else None

    def output(self, *inputs: Shape) -> Shape:
        return self.shape


@dataclass(frozen=True, slots=True)
class Leaf(ZeroCost):
    """A parameter, buffer or constant that is used as a value: no operation made it."""

    what: str
    shape: Shape

    name: ClassVar[str] = "leaf"
    arity: ClassVar[int | None] = 0

    @property
    def takes_part(self) -> bool:
        return True

    def label(self, *inputs: Shape) -> str:
        return self.what

    def output(self, *inputs: Shape) -> Shape:
        return self.shape
