"""What is there before a run: what a module holds and is called with, each piece of memory once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from costlab.footprint.settings import rounded
from costlab.footprint.shapes import Shape, look_of
from costlab.footprint.standins import StandIns
from costlab.footprint.timeline import Piece
from costlab.footprint.watch import NO_MEMORY, Watch, bytes_of
from costlab.trace.module_stack import Places
from costlab.trace.symbolic_numbers import size_of
from costlab.trace.tensors import held

_REGISTRIES = ("_parameters", "_buffers", "_modules")


class _There(NamedTuple):
    """A piece of memory, and whether it is of ``params``, ``buffers`` or ``inputs``."""

    kind: str
    piece: Piece


class Beforehand:
    """What a copy of a module has, and what it is called with, before it runs.

    Params and buffers are there to the end. What else the module and its inputs hold, in whatever
    object, is followed, since a run may let go of it: then it is a tensor of the run. Of buffers is
    all that is the model's and no parameter, registered or not.
    """

    def __init__(self, places: Places, standins: StandIns, block: int) -> None:
        self._block = block
        self._there: dict[int, _There] = {}
        """By the identity of the storage; of the tensor for a sparse one, which nobody reads."""
        self.without_memory: list[tuple[str, str]] = []
        """The kind and the layer of what has no single memory."""
        self.registered: list[Tensor] = []
        for kind, named in (("params", places.parameters), ("buffers", places.buffers)):
            for name, tensor in named.values():
                self.registered.append(tensor)
                self._add(kind, name.rpartition(".")[0], tensor)
        self.loose: list[tuple[Tensor, Piece]] = []
        """What a run may let go of, and its pieces; it is to be followed, and kept here no more."""
        paths = _paths_of(standins.of_module, places) if standins.of_module else {}
        for tensor in standins.of_module:
            self._add_loose("buffers", paths.get(id(tensor), ""), tensor)
        for tensor in standins.of_inputs:
            self._add_loose("inputs", "", tensor)
        standins.of_module, standins.of_inputs = [], []

    def _add_loose(self, kind: str, path: str, tensor: Tensor) -> None:
        if piece := self._add(kind, path, tensor):
            self.loose.append((tensor, piece))

    def _add(self, kind: str, path: str, tensor: Tensor) -> Piece | None:
        """Note what there is; its piece, if that is new."""
        parts = _lies_in(tensor)
        if not parts:
            self.without_memory.append((kind, path))
        storages = [part.untyped_storage() for part in parts]
        own = id(storages[0] if tensor.layout is torch.strided else tensor)
        if own in self._there:
            return None
        size = sum(rounded(bytes_of(storage), self._block) for storage in storages)
        piece = Piece(size, path, 0, backward=False)
        self._there[own] = _There(kind, piece)
        return piece

    def after(self, watch: Watch) -> None:
        """Add what code had from elsewhere, such as from a global: it was read, and not made."""
        for own, (storage, path) in watch.elsewhere.items():
            piece = Piece(rounded(bytes_of(storage), self._block), path, 0, backward=False)
            self._there.setdefault(own, _There("buffers", piece))
        for own, (_, piece) in self._there.items():
            piece.read_by = watch.readers.get(own, set())

    def stayed(self, kind: str) -> list[Piece]:
        """What was there to the end."""
        return [there for of, there in self._there.values() if of == kind and there.died is None]

    def let_go(self) -> list[Piece]:
        """What the run has let go of."""
        return [piece for _, piece in self._there.values() if piece.died is not None]

    @property
    def unseen(self) -> Iterator[tuple[str, str]]:
        """The layers of what has no single memory, and that."""
        for _, path in self.without_memory:
            yield path, NO_MEMORY


def _paths_of(tensors: Iterable[Tensor], places: Places) -> dict[int, str]:
    """The paths of the modules that hold tensors as attributes, or in those."""
    paths: dict[int, str] = {}
    for module in places.modules:
        path = places.by_identity[id(module)]
        own = {name: value for name, value in vars(module).items() if name not in _REGISTRIES}
        for tensor in held(own):
            paths.setdefault(id(tensor), path)
    return paths


_PARTS = {
    torch.sparse_coo: (Tensor._indices, Tensor._values),
    **dict.fromkeys(
        (torch.sparse_csr, torch.sparse_bsr),
        (Tensor.crow_indices, Tensor.col_indices, Tensor.values),
    ),
    **dict.fromkeys(
        (torch.sparse_csc, torch.sparse_bsc),
        (Tensor.ccol_indices, Tensor.row_indices, Tensor.values),
    ),
}
"""What sparse tensors consist of: where their elements are, and these."""


def _lies_in(tensor: Tensor) -> list[Tensor]:
    """The tensors of one memory each that it consists of; none if that is not known."""
    if tensor.layout is torch.strided:
        return [tensor]
    return [part(tensor.detach()) for part in _PARTS.get(tensor.layout, ())]


def bytes_in(tensor: Tensor, block: int) -> int:
    """The bytes of a tensor by itself, whatever else lies in its memory."""
    if tensor.layout is not torch.strided:
        return sum(bytes_in(part, block) for part in _lies_in(tensor))
    if type(tensor) is Shape:
        return rounded(look_of(tensor).bytes, block)
    size: Any = tensor.itemsize
    for dimension in tensor.shape:
        size = size * size_of(dimension)
    return rounded(size, block)
