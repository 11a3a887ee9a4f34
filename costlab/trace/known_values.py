"""Values of tensors that stay known during a run on shapes.

What code asks of a tensor is mostly about whole numbers and truths that the caller gave or that are
constants: masks, ids, lengths, positions, counters. So these are computed for real, on copies,
beside the tensors that stand for them. A call whose tensors are all known is done on the copies
too, views and operations in place as well, so that a value that was changed has its new value. One
call with a tensor that is not known, and what it changes is not known any more.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from costlab.errors import words_of
from costlab.graph.network import Decision
from costlab.torch_private import unseen_by_modes
from costlab.trace.classification import Call, Kind
from costlab.trace.tape import Tape
from costlab.trace.tensors import memory_of, nested, tensors

MOST_WHOLE, MOST_OTHER, MOST_COMPUTED = 2**20, 64, 2**17
"""Elements of a tensor of whole numbers or truths whose values are kept; of others that are there
beforehand; and of others that are computed, as masks of zeros and minus infinity are."""

_UNKNOWN = (
    *("rand", "random", "normal", "log_normal", "uniform", "bernoulli", "multinomial", "poisson"),
    *("exponential", "cauchy", "geometric", "dropout", "alpha_dropout", "feature_"),
    *("empty", "new_empty"),
)
"""How the names of functions begin whose results are drawn, or are what was there."""


class _Known(NamedTuple):
    copy: Tensor
    inputs: frozenset[str]
    """The names of the inputs that it comes from."""


class KnownValues:
    """The values of tensors by their identity. Tensors are kept alive by the tape."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape
        self.decisions: dict[Decision, None] = {}
        """Questions that given values have answered, in order."""
        self._known: dict[int, _Known] = {}
        self._alive: list[Tensor] = []
        self._stored: dict[int, torch.UntypedStorage] = {}  # copies of memory that was there before
        self._lost: set[int] = set()  # memory of copies that hold old values
        self._changed_owners: set[int] = set()  # tensors that were there before, by identity

    def give(self, standin: Tensor, tensor: Tensor, name: str) -> None:
        """An input, what stands for it, and its name."""
        if tensor.device.type != "meta" and _small(tensor):
            self.remember(standin, tensor.detach().cpu().clone(), frozenset({name}))

    def becomes(self, target: Tensor, other: Tensor) -> None:
        """``target`` is what ``other`` is from now on."""
        known = self.of(other)
        if known is not None:
            self.remember(target, *known)
        else:
            self._forget(target)

    def of(self, tensor: Tensor) -> _Known | None:
        """What is known of a tensor."""
        known = self._known.get(id(tensor))
        if known is None:
            if tensor.device.type == "meta" or not _small(tensor) or self.is_changed(tensor):
                return None
            known = self.remember(tensor, self._copied(tensor), frozenset())
        return None if memory_of(known.copy) in self._lost else known

    def ends_of(self, indices: Tensor) -> tuple[Any, ...]:
        """Between which numbers elements are that are not known, least and most, if that is."""
        return ()

    def is_changed(self, tensor: Tensor) -> bool:
        """Whether a tensor that was there before has been changed, and nobody knows to what."""
        return self._tape.stored.owner(tensor) in self._changed_owners

    def is_concerned(self, made: Call, args: Any) -> bool:
        """Whether a call may have to do with what is known: fast, as most have not."""
        if self._known or made.kind is Kind.MAKES:
            return True
        first = args[0] if args else None
        if not isinstance(first, Tensor):
            return made.in_place
        # what is changed may be a view of what was there before
        return first.device.type != "meta" or (made.in_place and self._tape.stored.is_view(first))

    def all_of(self, arguments: Any) -> tuple[Any, frozenset[str]] | None:
        """Nested arguments with copies for tensors, and the inputs that these come from.

        None if one is not known.
        """
        inputs: set[str] = set()
        copies: dict[int, Tensor] = {}
        for tensor in tensors(arguments):
            known = self.of(tensor)
            if known is None:
                return None
            copies[id(tensor)] = known.copy
            inputs |= known.inputs
        return nested(lambda tensor: copies[id(tensor)], arguments), frozenset(inputs)

    def follow(self, made: Call, func: Any, args: Any, kwargs: dict[str, Any], result: Any) -> None:
        """Do a call on the copies too, and note what is known of its results."""
        leaves = tensors(result)
        known = None
        drawn = made.name.startswith(_UNKNOWN)
        if (
            not drawn
            and made.kind is not Kind.USERS
            and all(_small(leaf, MOST_COMPUTED) for leaf in leaves)
        ):
            known = self.all_of((args, kwargs))
        if known is None:
            self._changed(made, args, kwargs)
            return
        (copies, named), inputs = known
        try:
            computed = _computed(made.name, func, copies, named)
            if computed is None and made.in_place:  # of `x[0] = 1`
                computed = copies[0]
            results = tensors(computed)
        except Exception as error:
            if not _is_of_the_cpu(error):
                raise
            results = []  # nothing is known
        if [result.shape for result in results] != [leaf.shape for leaf in leaves]:
            self._changed(made, args, kwargs)
            return
        for leaf, copy in zip(leaves, results, strict=True):
            self.remember(leaf, copy, inputs)

    def decide(self, question: str, where: str, inputs: Iterable[str]) -> None:
        """Note that values of these inputs have answered a question."""
        if names := tuple(sorted(inputs)):
            self.decisions[Decision(question, where, names)] = None

    def _changed(self, made: Call, args: Any, kwargs: dict[str, Any]) -> None:
        """What a call changes in place is not known any more, nor what shares its memory."""
        if made.in_place:
            for target in tensors(args)[:1]:
                self._forget(target)
        for target in tensors(kwargs.get("out")):
            self._forget(target)

    def _forget(self, target: Tensor) -> None:
        known = self._known.get(id(target))
        if known is not None:
            self._lost.add(memory_of(known.copy))
        self._changed_owners.add(self._tape.stored.owner(target))

    def remember(self, tensor: Tensor, copy: Tensor, inputs: frozenset[str]) -> _Known:
        """Note the value of a tensor, and the inputs that it comes from."""
        known = self._known[id(tensor)] = _Known(copy, inputs)
        self._alive.append(tensor)
        return known

    def _copied(self, tensor: Tensor) -> Tensor:
        """A copy of a tensor that was there before; tensors of one memory have copies of one."""
        memory = memory_of(tensor)
        if memory not in self._stored:
            self._stored[memory] = tensor.untyped_storage().cpu().clone()  # type: ignore[no-untyped-call]
        copy = torch.empty(0, dtype=tensor.dtype)
        with torch.no_grad():
            copy.set_(self._stored[memory], tensor.storage_offset(), tensor.size(), tensor.stride())
        return copy


def _small(tensor: Tensor, most_other: int = MOST_OTHER) -> bool:
    """Whether the values of a tensor are kept, if they are known."""
    whole = not (tensor.dtype.is_floating_point or tensor.dtype.is_complex)
    most = MOST_WHOLE if whole else most_other
    return tensor.layout is torch.strided and tensor.numel() <= most


def _is_of_the_cpu(error: Exception) -> bool:
    """Whether it is said of the copies, and not of what they are copies of."""
    return isinstance(error, NotImplementedError) or "not implemented" in words_of(error)


def _computed(name: str, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """What a call gives for copies, which are on the CPU."""
    if kwargs.get("device") is not None:
        kwargs = kwargs | {"device": "cpu"}
    if name in ("cpu", "cuda"):
        return args[0]
    if name == "to":
        args = [
            "cpu" if isinstance(item, (torch.device, str)) or type(item) is int else item
            for item in args
        ]
    with unseen_by_modes():
        return func(*args, **kwargs)
