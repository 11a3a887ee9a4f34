"""Follows every piece of memory that a run makes, by weak references, until it is let go."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from functools import partial
from typing import Any, TypeAlias

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from costlab.footprint.answers import Answers, Operation, Remembered, operation_of
from costlab.footprint.beside import taken_beside
from costlab.footprint.moves import Work, bytes_read, total_bytes
from costlab.footprint.shapes import Shape, made, same_memory, taken_of, viewed
from costlab.footprint.timeline import Moment, Moved, Piece
from costlab.torch_private import current_node, nodes_made
from costlab.trace.module_stack import Places
from costlab.trace.symbolic_numbers import size_of

_untyped_storage = Tensor.untyped_storage

_VIEWS = ("view", "view in place")

NO_MEMORY = "a tensor has no single memory, such as a sparse one"
"""Why a tensor is not seen."""

LOSS = "(loss)"
"""The place of what is not the network's: the sum of its outputs, where backward begins."""


_Known: TypeAlias = "tuple[Piece | None, Any, int]"
"""A storage: its piece, or None if it was there beforehand; what keeps its identity from becoming
another's (the storage itself, or a reference that tells when it goes); how large it is by itself.
"""


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
        self.elsewhere: dict[int, tuple[Any, str]] = {}
        """What was read, and neither made nor known: its storage, and the first layer."""
        self.backward = False
        self.loss = False
        """Whether the outputs are being added up."""
        self.failed_at: str | None = None
        """The layer whose operation has no answer: of one backwards no frame of code says it."""
        self._moved_by: dict[str, list[int]] = {}
        self.beside: dict[tuple[str, str], int | None] = {}
        """The layers whose kernels take memory of their own, which, and how much if known."""
        self.unseen: dict[tuple[str, str], None] = {}
        """The layers that make memory that is not seen, and why it is not."""
        self._places = places
        self._at_work = at_work
        self._answers = answers
        self._here: dict[int, _Known] = {}
        """What is known of storages, by their identity."""
        self._moments: dict[str, Moment] = {}
        """The moments of this pass, by their layers."""
        self._of_nodes: dict[int, str] = {}
        """The layers of the nodes of autograd's graph, by their numbers."""
        for tensor in own:
            self._was_there(tensor)

    def dispatched(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Answer an operation, and note it."""
        operation = operation_of(func)
        kind = operation.kind
        if kind == "view" and type(args[0]) is Shape:  # most operations are
            return self._viewed(operation, args, kwargs)
        kwargs = kwargs or {}
        if kind == "question":
            return func(*args, **kwargs)
        if kind == "composite":
            with self:
                return func.decompose(*args, **kwargs)
        path = self._path()
        answers = self._answers
        taken: list[Tensor] = []
        if answers is not None and (known := answers.remembered(operation, args, kwargs, taken)):
            return self._as_before(known, operation, path, args, taken)
        taken = taken_of((*args, *kwargs.values()) if kwargs else args)
        if operation.name != "lift_fresh":  # of numbers that code has, such as x[:, [0, 2]]: new
            self._read(taken, path)
        sizes: dict[int, int] = {}
        if answers is None:
            result = func(*args, **kwargs)
        else:
            values = not self.backward
            try:
                result, sizes, why = answers.give(operation, args, kwargs, taken, values)
            except BaseException:
                self.failed_at = path
                raise
            if why:
                self.unseen[path, why] = None
        self._noted(path)
        given: list[Tensor] = [result] if type(result) is Shape else taken_of((result,))
        if kind not in _VIEWS:
            self._worked(_work_of(operation, args, taken, given), path)
        self._made(given, path, sizes)
        return result

    def _as_before(
        self, known: Remembered, operation: Operation, path: str, args: Any, taken: list[Tensor]
    ) -> Any:
        """Answer an operation as one like it has been, and note it."""
        if not self.backward:
            self._read(taken, path)
        self._noted(path)
        if known.layout is not None:
            result = made(known.layout, known.look)
            given = [result]
            storage = _untyped_storage(result)
            self._new(storage, storage.nbytes(), path)
        else:
            answer = known.answer
            result = answer.given(taken)
            given = taken_of((result,))
            self._made(given, path, answer.sizes)
            if answer.unseen:
                self.unseen[path, answer.unseen] = None
        if known.work is None:
            known.work = _work_of(operation, args, taken, given)
        self._worked(known.work, path)
        return result

    def _worked(self, work: Work, path: str) -> None:
        """Add what a kernel moves to that of its layer."""
        read, written, beside = work
        moved = self._moved_by.get(path)
        if moved is None:
            moved = self._moved_by[path] = [0, 0]
        moved[0] += read
        moved[1] += written
        if beside is not None:
            what, size = beside
            before = self.beside.get((path, what))
            self.beside[path, what] = size if before is None else max(before, size or 0)

    @property
    def moved(self) -> dict[str, Moved]:
        """The bytes that layers read and write, forward and backward."""
        return {path: Moved(*sums) for path, sums in self._moved_by.items()}

    def _viewed(self, operation: Operation, args: Any, kwargs: dict[str, Any] | None) -> Any:
        """What looks at the memory of a tensor otherwise, and makes none."""
        if operation.is_alias:
            if self.backward:  # of each tensor that was saved
                return same_memory(args[0])
            result = same_memory(args[0])
        else:
            result = viewed(operation.func, args, kwargs or {})
        path = self._path()
        self._read(args[:1], path)
        self._noted(path)
        return result

    def pack(self, tensor: Tensor) -> Tensor:
        """Note what autograd saves; it is saved as it is.

        Of a result, which keeps the node that saves it, another tensor in its memory is saved, so
        that both go when code lets go of the result, as they do where nobody watches.
        """
        if not self.backward:
            piece = self._was_there(tensor)
            if piece is not None and piece.saved_by is None:
                piece.saved_by = self._path()
        return same_memory(tensor) if tensor.requires_grad else tensor

    def follow(self, tensor: Tensor, piece: Piece) -> None:
        """Note when the run lets go of what is there beforehand, if it does."""
        storage = _storage(tensor)
        if storage is not None and id(storage) not in self._here:
            reference = weakref.ref(storage, partial(self._gone, id(storage), piece))
            self._here[id(storage)] = None, reference, 0

    def piece_of(self, tensor: Tensor) -> Piece | None:
        """The piece that a tensor lies in, if it was made while watching."""
        storage = _storage(tensor)
        known = None if storage is None else self._here.get(id(storage))
        return None if known is None else known[0]

    def begin_backward(self) -> None:
        """From here on gradients are computed; what is not there any more was saved for nothing."""
        self.backward, self.loss = True, False
        self._moments = {}
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
            self._here[id(storage)] = None, storage, 0
            return None
        return known[0]

    def _read(self, taken: Iterable[Tensor], path: str) -> None:
        """Note that an operation of a layer reads tensors."""
        here, backward, loss = self._here, self.backward, self.loss
        for tensor in taken:
            storage = _storage(tensor)
            if storage is None:
                continue
            known = here.get(id(storage))
            if known is None:
                known = here[id(storage)] = None, storage, 0
                self.elsewhere[id(storage)] = storage, path
            if backward:
                continue
            piece = known[0]
            if piece is None:
                self.readers.setdefault(id(storage), set()).add(path)
            elif not loss:
                piece.read_by.add(path)

    def _made(self, given: list[Tensor], path: str, sizes: dict[int, int]) -> None:
        """Note what an operation of a layer gives; ``sizes`` has the bytes of larger memories."""
        here, now = self._here, len(self.moments)
        for position, tensor in enumerate(given):
            storage = _storage(tensor)
            if storage is None:
                self.unseen[path, NO_MEMORY] = None
                continue
            identity, size = id(storage), bytes_of(storage)
            known = here.get(identity)
            if known is not None:
                before, _, its_size = known
                if before is None or its_size == size:
                    continue
                before.died = now - 1  # it has been given another size
            room = max(size, size_of(sizes[position])) if position in sizes else size
            self._new(storage, size, path).bytes = room

    def _new(self, storage: Any, size: Any, path: str) -> Piece:
        """Follow a piece of memory that a layer has made."""
        identity = id(storage)
        piece = Piece(size, path, len(self.moments), self.backward)
        self.pieces.append(piece)
        reference = weakref.ref(storage, partial(self._gone, identity, piece))
        self._here[identity] = piece, reference, size
        return piece

    def _gone(self, identity: int, piece: Piece, reference: Any) -> None:
        """Note that a piece has been let go."""
        if piece.died is None:
            piece.died = len(self.moments)
        known = self._here.get(identity)
        if known is not None and known[1] is reference:
            del self._here[identity]

    def _noted(self, path: str) -> None:
        """Note an operation; those of one layer are one object."""
        moment = self._moments.get(path)
        if moment is None:
            moment = self._moments[path] = Moment(path, self.backward)
        self.moments.append(moment)

    def _path(self) -> str:
        """The layer at work: the innermost module that runs, or whose operation is derived."""
        if not self.backward:
            path = LOSS if self.loss else self._at_work[-1] if self._at_work else ""
            self._of_nodes.setdefault(nodes_made() - 1, path)
            return path
        if self._at_work:  # code of the network that runs again
            return self._at_work[-1]
        node = current_node()
        return LOSS if node is None else self._path_of(node)

    def _path_of(self, node: Any) -> str:
        """The layer whose operation a node of autograd's graph derives."""
        number: int = node._sequence_nr()
        path = self._of_nodes.get(number)
        if path is not None:
            return path
        variable = getattr(node, "variable", None)  # where the gradient of a parameter is added
        if variable is not None:
            name: str = self._places.parameters.get(id(variable), ("", variable))[0]
            return name.rpartition(".")[0]
        # Made after the operation, as for one on a view in place.
        earlier = [known for known in self._of_nodes if known < number]
        path = self._of_nodes[number] = self._of_nodes[max(earlier)] if earlier else ""
        return path


def _work_of(operation: Operation, args: Any, taken: list[Tensor], given: list[Tensor]) -> Work:
    """What the kernel of an operation moves."""
    written = 0 if operation.makes_only_room else total_bytes(given)
    read = bytes_read(operation.reads, taken, written)
    return Work(
        read, written, taken_beside(operation.name, args, taken) if operation.may_take else None
    )


# A method of that name is wrapped by torch in what keeps compiled code away, and takes long.
Watch.__torch_dispatch__ = Watch.dispatched  # type: ignore[method-assign,assignment]


def bytes_of(storage: Any) -> Any:
    """How large a piece of memory is: a number, or an expression of symbols."""
    size = storage.nbytes()
    return size if type(size) is int else size_of(size)


def _storage(tensor: Tensor) -> Any:
    """The memory of a tensor; None for one that has none of its own, such as a sparse one."""
    if type(tensor) is Shape:
        return _untyped_storage(tensor)
    try:
        return tensor.untyped_storage()
    except (NotImplementedError, RuntimeError):
        return None
