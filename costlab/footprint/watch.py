"""Follows every piece of memory that a run makes, by weak references, until it is let go."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from functools import partial
from typing import Any, NamedTuple

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from costlab.footprint.answers import Answers, operation_of
from costlab.footprint.shapes import Shape, same_memory, taken_of
from costlab.footprint.timeline import Moment, Piece
from costlab.torch_private import current_node, nodes_made
from costlab.trace.module_stack import Places
from costlab.trace.symbolic_numbers import size_of

_untyped_storage = Tensor.untyped_storage

_SPARSE = "a tensor has no single memory, such as a sparse one"

LOSS = "(loss)"
"""The place of what is not the network's: the sum of its outputs, where backward begins."""


class _Known(NamedTuple):
    """A storage: its piece, or None if it was there beforehand.

    ``holder`` keeps its identity from becoming another's: the storage itself, or a reference that
    tells when it goes. ``size`` is how large it is by itself.
    """

    piece: Piece | None
    holder: Any
    size: int = 0


class Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes of each operation which memory it reads and makes, and in which layer.

    What an operation gives that is there already, such as a view or a result in place, is nothing
    new. ``at_work`` has the paths of the modules that run, ``own`` are the tensors that are there
    beforehand; ``answers`` are what operations give, if they are not to be computed.
    """

    def __init__(
        self,
        places: Places,
        at_work: list[str],
        own: Iterable[Tensor],
        answers: Answers | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.pieces: list[Piece] = []
        self.moments: list[Moment] = []
        self.readers: dict[int, set[str]] = {}
        """The layers that read what was there beforehand."""
        self.backward = False
        self.loss = False
        """Whether the outputs are being added up."""
        self.unseen: dict[tuple[str, str], None] = {}
        """The layers that make memory that is not seen, and why it is not."""
        self._places = places
        self._at_work = at_work
        self._answers = answers
        self._here: dict[int, _Known] = {}
        """What is known of storages, by their identity."""
        self._of_nodes: dict[int, str] = {}
        """The layers of the nodes of autograd's graph, by their numbers."""
        for tensor in own:
            self._was_there(tensor)

    def dispatched(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Answer an operation, and note it."""
        kwargs = kwargs or {}
        operation = operation_of(func)
        if self.backward and operation.name == "detach" and type(args[0]) is Shape:
            return same_memory(args[0])
        if operation.kind == "question":
            return func(*args, **kwargs)
        if operation.kind == "composite":
            with self:
                return func.decompose(*args, **kwargs)
        path = self._path()
        taken = taken_of((*args, *kwargs.values()) if kwargs else args)
        for tensor in taken:
            self._read(tensor, path)
        sizes: dict[int, int] = {}
        if self._answers is None:
            result = func(*args, **kwargs)
        else:
            values = not self.backward
            result, sizes, why = self._answers.give(operation, args, kwargs, taken, values)
            if why:
                self.unseen[path, why] = None
        self.moments.append(Moment(path, self.backward))
        if type(result) is Shape:
            if operation.kind != "view":
                self._made(result, path, sizes.get(0, 0))
            return result
        for position, tensor in enumerate(taken_of((result,))):
            self._made(tensor, path, sizes.get(position, 0))
        return result

    def pack(self, tensor: Tensor) -> Tensor:
        """Note what autograd saves; it is saved as it is."""
        if not self.backward:
            piece = self._was_there(tensor)
            if piece is not None and piece.saved_by is None:
                piece.saved_by = self._path()
        return tensor

    def piece_of(self, tensor: Tensor) -> Piece | None:
        """The piece that a tensor lies in, if it was made while watching."""
        storage = _storage(tensor)
        known = None if storage is None else self._here.get(id(storage))
        return None if known is None else known.piece

    def begin_backward(self) -> None:
        """From here on gradients are computed; what is not there any more was saved for nothing."""
        self.backward, self.loss = True, False
        for piece in self.pieces:
            if piece.died is not None:
                piece.saved_by = None

    def forget(self) -> None:
        """Follow nothing any more, so that all that was seen goes without a collection."""
        self._here.clear()

    def _was_there(self, tensor: Tensor) -> Piece | None:
        """The piece that an operation reads; what nobody has seen was there beforehand."""
        storage = _storage(tensor)
        if storage is None:
            return None
        known = self._here.get(id(storage))
        if known is None:
            self._here[id(storage)] = _Known(None, storage)
            return None
        return known.piece

    def _read(self, tensor: Tensor, path: str) -> None:
        """Note that an operation of a layer reads a tensor."""
        storage = _storage(tensor)
        if storage is None:
            return
        known = self._here.get(id(storage))
        if known is None:
            known = self._here[id(storage)] = _Known(None, storage)
        if self.backward:
            return
        if known.piece is None:
            self.readers.setdefault(id(storage), set()).add(path)
        elif not self.loss:
            known.piece.read_by.add(path)

    def _made(self, tensor: Tensor, path: str, at_least: int) -> None:
        storage = _storage(tensor)
        if storage is None:
            self.unseen[path, _SPARSE] = None
            return
        size = bytes_of(storage)
        known = self._here.get(id(storage))
        if known is not None and (known.piece is None or known.size == size):
            return
        if known is not None and known.piece is not None:  # it has been given another size
            known.piece.died = len(self.moments) - 1
        room = max(size, size_of(at_least)) if at_least else size
        piece = Piece(room, path, len(self.moments), self.backward)
        self.pieces.append(piece)
        gone = weakref.ref(storage, partial(self._gone, id(storage), piece))
        self._here[id(storage)] = _Known(piece, gone, size)

    def _gone(self, identity: int, piece: Piece, _: Any) -> None:
        """Note that a piece has been let go."""
        if piece.died is None:
            piece.died = len(self.moments)
        known = self._here.get(identity)
        if known is not None and known.piece is piece:
            del self._here[identity]

    def _path(self) -> str:
        """The layer at work: the innermost module that runs, or whose operation is derived."""
        number = nodes_made() - 1
        if self.loss:
            self._of_nodes.setdefault(number, LOSS)
            return LOSS
        node = current_node() if self.backward else None
        if node is None or self._at_work:  # code of the network, also when it runs again
            path = self._at_work[-1] if self._at_work else LOSS if self.backward else ""
            if not self.backward:
                self._of_nodes.setdefault(number, path)
            return path
        variable = getattr(node, "variable", None)  # where the gradient of a parameter is added
        if variable is not None:
            name: str = self._places.parameters.get(id(variable), ("", variable))[0]
            return name.rpartition(".")[0]
        number = int(node._sequence_nr())
        if number not in self._of_nodes:  # made after the operation, as for one on a view in place
            earlier = [known for known in self._of_nodes if known < number]
            self._of_nodes[number] = self._of_nodes[max(earlier)] if earlier else ""
        return self._of_nodes[number]


# A method of that name is wrapped by torch in what keeps compiled code away, and takes long.
Watch.__torch_dispatch__ = Watch.dispatched  # type: ignore[method-assign,assignment]


def bytes_of(storage: Any) -> Any:
    """How large a piece of memory is: a number, or an expression of symbols."""
    return size_of(storage.nbytes())


def _storage(tensor: Tensor) -> Any:
    """The memory of a tensor; None for one that has none of its own, such as a sparse one."""
    if type(tensor) is Shape:
        return _untyped_storage(tensor)
    try:
        return tensor.untyped_storage()
    except (NotImplementedError, RuntimeError):
        return None
