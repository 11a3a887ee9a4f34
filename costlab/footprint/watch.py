"""Follows every piece of memory that a run makes, by weak references, until it is let go."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from functools import partial
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from costlab.footprint.timeline import Moment, Piece
from costlab.torch_private import current_node, nodes_made
from costlab.trace.module_stack import Places
from costlab.trace.tensors import tensors

MORE = {
    "mkldnn_rnn_layer": "oneDNN's LSTM keeps a workspace in training, whose size it alone knows",
    "col2im": "fold gives a part of a larger memory on the CPU",
    "_embedding_bag": "EmbeddingBag gives parts of larger memories on the CPU",
}
"""Kernels that give more memory than the shapes of their results say, and why."""
_SPARSE = "a tensor has no single memory, such as a sparse one"

LOSS = "(loss)"
"""The place of what is not the network's: the sum of its outputs, where backward begins."""


class Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes of each operation which memory it reads and makes, and in which layer.

    What an operation gives that is there already, such as a view or a result in place, is nothing
    new. ``at_work`` has the paths of the modules that run, ``own`` are the tensors that are there
    beforehand; ``fake`` makes what stands for real tensors, if stand-ins are what runs.
    """

    def __init__(
        self, places: Places, at_work: list[str], own: Iterable[Tensor], fake: Any = None
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
        self._fake = fake
        self._here: dict[int, tuple[Piece | None, Any]] = {}
        """Pieces by the identity of their storage (None for what was there beforehand), and what
        keeps that identity from being another's."""
        self._of_nodes: dict[int, str] = {}
        """The layers of the nodes of autograd's graph, by their numbers."""
        for tensor in own:
            self._was_there(tensor)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func.namespace == "prim":  # a question, such as for a device
            return func(*args, **(kwargs or {}))
        path = self._path()
        for tensor in tensors((args, kwargs)):
            piece = self._was_there(tensor)
            if piece is not None and not self.backward and not self.loss:
                piece.read_by.add(path)
            elif piece is None and not self.backward:
                self._read_beforehand(tensor, path)
        result = func(*args, **(kwargs or {}))
        self.moments.append(Moment(path, self.backward))
        for tensor in tensors(result):
            self._made(tensor, path)
        why = MORE.get(func.overloadpacket.__name__)
        if why is not None and self._fake is not None and _takes_more(func, args):
            self.unseen[path, why] = None
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
        return None if storage is None else self._here.get(id(storage), (None, None))[0]

    def begin_backward(self) -> None:
        """From here on gradients are computed; what is not there any more was saved for nothing."""
        self.backward, self.loss = True, False
        for piece in self.pieces:
            if piece.died is not None:
                piece.saved_by = None

    def _was_there(self, tensor: Tensor) -> Piece | None:
        """The piece that an operation reads; what nobody has seen was there beforehand."""
        storage = _storage(tensor)
        if storage is None:
            return None
        known = self._here.get(id(storage))
        if known is None:
            self._here[id(storage)] = None, storage
            if self._fake is not None and not self._fake.is_our_fake(tensor):
                self._was_there(self._fake.from_tensor(tensor))  # what stands for a real one
            return None
        return known[0]

    def _read_beforehand(self, tensor: Tensor, path: str) -> None:
        storage = _storage(tensor)
        if storage is not None:
            self.readers.setdefault(id(storage), set()).add(path)

    def _made(self, tensor: Tensor, path: str) -> None:
        storage = _storage(tensor)
        if storage is None:
            self.unseen[path, _SPARSE] = None
            return
        piece, size = self._here.get(id(storage), (None, None))[0], storage.nbytes()
        if id(storage) in self._here and (piece is None or piece.bytes == size):
            return
        if piece is not None:  # it has been given another size
            piece.died = len(self.moments) - 1
        made = Piece(size, path, len(self.moments), self.backward)
        self.pieces.append(made)
        gone = weakref.ref(storage, partial(self._gone, id(storage), made))
        self._here[id(storage)] = made, gone

    def _gone(self, identity: int, piece: Piece, _: Any) -> None:
        """Note that a piece has been let go."""
        if piece.died is None:
            piece.died = len(self.moments)
        if self._here.get(identity, (None, None))[0] is piece:
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


def _takes_more(func: Any, args: tuple[Any, ...]) -> bool:
    """Whether a call of one of these kernels does: an LSTM only in training, its last argument."""
    return func.overloadpacket.__name__ != "mkldnn_rnn_layer" or args[-1] is True


def _storage(tensor: Tensor) -> Any:
    """The memory of a tensor; None for one that has none of its own, such as a sparse one."""
    try:
        return tensor.untyped_storage()
    except (NotImplementedError, RuntimeError):
        return None
