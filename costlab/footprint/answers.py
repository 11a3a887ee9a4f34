"""What operations of torch give in a run on shapes: asked of torch once for each signature.

Values are known of whole numbers and truths that are given, and of what code makes out of numbers:
they may decide what is computed. Such tensors are real, and where all that an operation takes has
values it is computed, if it is small.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple
from weakref import WeakValueDictionary

import torch
from torch import Tensor

from costlab.errors import ChoiceError
from costlab.footprint.asked import Answer, Asked, Result, is_plain, of_layouts
from costlab.footprint.beside import may_take
from costlab.footprint.kernels import depends_on_gradients
from costlab.footprint.masks import Standing, is_causal
from costlab.footprint.moves import Work, makes_only_room, reads
from costlab.footprint.packed import is_for_lengths, packed, selected
from costlab.footprint.shapes import SIMPLE, Shape, look_of, made, taken_of, viewed
from costlab.footprint.usual import contiguous
from costlab.torch_private import has_kernel_for, without_modes

SMALL = 2**16
"""Elements of a tensor whose values may decide what is computed."""

_MANY = 2**14
"""Answers that are kept, at most."""

_KNOWN: dict[Any, dict[Any, Remembered]] = {}
"""All answers of this process: by the settings that they depend on, by signature."""

_FILLED = {
    *("arange", "eye", "full", "linspace", "ones", "scalar_tensor", "tril_indices", "triu_indices"),
    *("zeros", "full_like", "ones_like", "zeros_like", "new_full", "new_ones", "new_zeros"),
}
"""What gives values whatever those of its arguments are."""

ONE_VALUE = "_local_scalar_dense"
"""Asks for the value of a tensor."""

_ROOM = "empty"
"""Makes room: torch's own code may write to it without a call."""

_CTC = "_ctc_loss"
"""Gives what has a state for each label of the longest sequence."""

_PACKS = "_nested_tensor_from_mask"
"""Gives a nested tensor, whose size depends on values."""

_SIZED_BY: dict[str, Callable[..., tuple[tuple[int, ...], Tensor | None]]] = {
    "_pack_padded_sequence": packed,
    "masked_select": selected,
}
"""What gives as much as the values of its second argument say: the shape, and what is beside it."""


class Given(NamedTuple):
    """What an operation gives, and what is known of the memory of its results (see `Answer`)."""

    result: Any
    sizes: dict[int, int]
    unseen: str


_NOTHING: dict[int, int] = {}
_NO_RESULT = Result("value")


class Remembered:
    """What follows from the signature of a call: its answer, and what the kernel moves."""

    __slots__ = ("answer", "layout", "look", "work")

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        kind, _, layout, _, self.look = answer.results[0] if answer.results else _NO_RESULT
        is_one = answer.container is None and kind == "new"
        self.layout = layout if is_one and not (answer.sizes or answer.unseen) else None
        """Of the result, where there is one, which is new, and nothing else is to be said."""
        self.work: Work | None = None
        """What the kernel moves, once that was counted."""


class Answers:
    """Answers the operations of one run. ``valued`` are tensors with values, the run's own.

    ``given`` has all that was there beforehand by its identity, with what it stands for.
    """

    def __init__(self, valued: Iterable[Tensor], given: Standing) -> None:
        self.given = given
        settings = torch.get_default_dtype(), torch.backends.mkldnn.enabled
        self._known = _KNOWN.setdefault(settings, {})
        if len(self._known) > _MANY:
            self._known.clear()
        self._asked = Asked()
        self._own: WeakValueDictionary[int, Any] = WeakValueDictionary()
        """The memory of real tensors that are the run's own, by its identity."""
        self._overwritten: WeakValueDictionary[int, Any] = WeakValueDictionary()
        """The memory of real tensors that have no values any more."""
        self._any_own = False
        for tensor in valued:
            self._owns(tensor)

    @property
    def refused(self) -> Exception | None:
        """The last error that came of the lack of values, or because torch has no answer."""
        return self._asked.refused

    def close(self) -> None:
        """The run is over."""
        self._asked.close()

    def remembered(
        self, operation: Operation, args: Any, kwargs: dict[str, Any], taken: list[Tensor]
    ) -> Remembered | None:
        """The answer to a call on tensors without values, if there has been one like it.

        These are added to ``taken``. Not where one of them is taken twice, which is read once.
        """
        signature: list[Any] = operation.signature()
        if not _sign_shapes(args, signature, taken):
            return None
        if kwargs:
            signature.extend(kwargs)
            if not _sign_shapes(kwargs.values(), signature, taken):
                return None
        if (
            operation.fills
            or operation.name == _ROOM
            or (len(taken) > 1 and len(set(map(id, taken))) < len(taken))
        ):
            return None
        try:
            return self._known.get(tuple(signature))
        except TypeError:  # an argument that cannot be compared
            return None

    def give(
        self,
        operation: Operation,
        args: Any,
        kwargs: dict[str, Any],
        arguments: list[Tensor],
        values: bool,
    ) -> Given:
        """The answer to a call with these tensors among its arguments.

        ``values`` is whether results may have values.
        """
        kind, func = operation.kind, operation.func
        if kind == "view" or (kind == "view in place" and type(args[0]) is Shape):
            result = viewed(func, args, kwargs)
            if operation.name == "lift_fresh":
                self._owns(result)
            return Given(result, _NOTHING, "")
        if operation.name == _ROOM and is_for_lengths():
            with without_modes():
                result = func(*args, **kwargs)
            self._owns(result)
            return Given(result, _NOTHING, "")
        valued = values and self._has_values(operation, arguments)
        if operation.name == ONE_VALUE and not valued:
            causal = is_causal(self.given)
            if causal is not None:
                return Given(causal, _NOTHING, "")
        if operation.name == "index" and not valued:
            args = args[0], [place for index in args[1] for place in self._places(index)]
            arguments = taken_of(args)
        if operation.name in _SIZED_BY and not valued and values and self._is_known(args[1]):
            return self._sized(_SIZED_BY[operation.name](func, *args), args[0])
        answer = self._by_lengths(args) if operation.name == _CTC and not valued else None
        answer = answer or self._answer(operation, args, kwargs, arguments, valued)
        if valued and (answer is None or answer.elements <= SMALL):
            with without_modes():
                result = func(*args, **kwargs)
            for tensor in taken_of((result,)):
                self._owns(tensor)
            return Given(result, _NOTHING, "")
        assert answer is not None
        if self._any_own:
            for argument in operation.written:
                self._overwrite(args, kwargs, argument)
        return Given(answer.given(arguments), answer.sizes, answer.unseen)

    def _answer(
        self,
        operation: Operation,
        args: Any,
        kwargs: dict[str, Any],
        arguments: list[Tensor],
        valued: bool,
    ) -> Answer | None:
        """What torch says, or has said; None where that takes values, and there are."""
        if operation.name == _PACKS:
            raise ChoiceError(
                "nn.TransformerEncoder packs what its mask leaves, so memory depends on the mask's "
                "values: real=True or --real computes them; enable_nested_tensor=False "
                "packs nothing"
            )
        signature: list[Any] = operation.signature()
        plain = _sign(args, signature)
        if kwargs:
            signature.extend(kwargs)
            plain = _sign(kwargs.values(), signature) and plain
        try:
            key = tuple(signature)
            known = self._known.get(key) if plain else None
        except TypeError:  # an argument that cannot be compared
            plain, known = False, None
        if known is not None:
            return known.answer
        try:
            answer = self._asked.answer(operation.func, args, kwargs, arguments)
        except Exception as error:
            if valued and all(tensor.numel() <= SMALL for tensor in arguments):
                error.__traceback__ = None  # whose frames keep what those of the model hold
                return None
            raise
        if plain:
            self._known[key] = Remembered(answer)
        return answer

    def _sized(self, of: tuple[tuple[int, ...], Tensor | None], data: Tensor) -> Given:
        """A new tensor of a shape that known values have decided, and what is given beside it."""
        shape, beside = of
        result = made(contiguous(shape)._replace(dtype=data.dtype, device=data.device))
        if beside is None:
            return Given(result, _NOTHING, "")
        self._owns(beside)
        return Given((result, beside), _NOTHING, "")

    def _places(self, index: Tensor | None) -> list[Tensor | None]:
        """A mask whose values are known as places along each of its axes, as many as it has truths.

        What torch gives for it depends on how many these are.
        """
        if (
            index is None
            or index.dtype not in (torch.bool, torch.uint8)
            or not self._is_known(index)
        ):
            return [index]
        with without_modes():
            number = int(index.count_nonzero())
            return [torch.empty(number, dtype=torch.int64) for _ in range(index.dim())]

    def _by_lengths(self, args: Any) -> Answer | None:
        """The loss of each sequence, and its states at each step: as many as the longest needs.

        How many labels each has is asked; None where that is not known.
        """
        log_probs, _, _, lengths, *_ = args
        if isinstance(lengths, Tensor):
            if not self._is_known(lengths):
                return None
            with without_modes():
                lengths = lengths.flatten().tolist()
        steps, batch, _ = log_probs.shape
        shapes = (batch,), (batch, steps, 2 * max(lengths, default=0) + 1)
        home = {"dtype": log_probs.dtype, "device": log_probs.device}
        return of_layouts([contiguous(shape)._replace(**home) for shape in shapes])

    def _is_known(self, tensor: Tensor) -> bool:
        """Whether a tensor has values, and nothing was written to it."""
        if type(tensor) is Shape or not is_plain(tensor):
            return False
        return id(tensor.untyped_storage()) not in self._overwritten

    def _has_values(self, operation: Operation, arguments: list[Tensor]) -> bool:
        """Whether what an operation takes has values, and what it changes is the run's own."""
        if not arguments or Shape in map(type, arguments):
            return operation.fills and all(tensor.device.type == "cpu" for tensor in arguments)
        if not all(map(is_plain, arguments)):
            return False
        storages = [id(tensor.untyped_storage()) for tensor in arguments]
        if any(storage in self._overwritten for storage in storages):
            return False
        return not operation.written or all(storage in self._own for storage in storages)

    def _owns(self, tensor: Tensor) -> None:
        if tensor.layout is torch.strided:
            storage = tensor.untyped_storage()
            self._own[id(storage)] = storage
            self._any_own = True

    def _overwrite(self, args: Any, kwargs: dict[str, Any], argument: int | str) -> None:
        """Note that what is written to has no values any more, if it had some."""
        if isinstance(argument, str):
            written = kwargs.get(argument)
        else:
            written = args[argument] if argument < len(args) else None
        for tensor in taken_of((written,)):
            if type(tensor) is not Shape and tensor.layout is torch.strided:
                storage = tensor.untyped_storage()
                self._overwritten[id(storage)] = storage


class Operation:
    """What is known of an operation of torch, whatever it takes."""

    __slots__ = (
        *("_keeps", "fills", "func", "is_alias", "kind", "makes_only_room", "may_take", "name"),
        *("reads", "written"),
    )

    def __init__(self, func: Any) -> None:
        self.func = func
        self.name: str = func.overloadpacket.__name__
        self.fills = self.name in _FILLED
        """Whether it gives values whatever those of its arguments are."""
        self.is_alias = self.name == "detach"
        """Whether it gives the same tensor again, of which nothing is derived."""
        self.kind = _kind_of(func, self.name)
        """``question``, ``composite``, ``view``, ``view in place`` or nothing of these."""
        self.written: tuple[int | str, ...] = tuple(
            argument.name if argument.kwarg_only else position
            for position, argument in enumerate(func._schema.arguments)
            if argument.alias_info is not None and argument.alias_info.is_write
        )
        """The arguments that it writes to: by position, or by name."""
        self.reads = reads(self.name)
        self.makes_only_room = makes_only_room(self.name)
        self.may_take = may_take(self.name)
        """Whether its kernel takes memory of its own."""
        self._keeps = depends_on_gradients(self.name)

    def signature(self) -> list[Any]:
        """How the signature of a call begins."""
        return [self, torch.is_grad_enabled()] if self._keeps else [self]


_OPERATIONS: dict[int, Operation] = {}
"""All that have been met, by the identities of torch's functions, whose hashes take long."""


def operation_of(func: Any) -> Operation:
    """What is known of a function of torch, which stays what it is."""
    operation = _OPERATIONS.get(id(func))
    if operation is None:
        operation = _OPERATIONS[id(func)] = Operation(func)
    return operation


_QUESTIONS = frozenset({"size", "stride", "storage_offset"})
"""What torch asks of tensors whose sizes are symbols, beside what ``prim`` has."""


def _kind_of(func: Any, name: str) -> str:
    if func.namespace == "prim" or name in _QUESTIONS:
        return "question"
    full_name = func.name()
    is_composite = has_kernel_for(full_name, "CompositeImplicitAutograd")
    if is_composite and not has_kernel_for(full_name, "CPU"):
        return "composite"  # which are seen in inference mode alone
    if torch.Tag.inplace_view in func.tags:
        return "" if name.startswith("resize") else "view in place"
    return "view" if func.is_view else ""


def _sign_shapes(values: Iterable[Any], signature: list[Any], taken: list[Tensor]) -> bool:
    """`_sign` where all tensors are without values, which are ``taken``; whether they are."""
    for value in values:
        kind = type(value)
        if kind is Shape:
            look = value.own_look or look_of(value)
            if look.is_complex:
                return False
            signature.append(look)
            taken.append(value)
        elif kind is list or kind is tuple:
            kinds = tuple(map(type, value))
            signature.append(kind)
            if SIMPLE.issuperset(kinds):
                signature += (kinds, tuple(value))
            else:
                signature.append(len(kinds))
                if not _sign_shapes(value, signature, taken):
                    return False
        elif kind not in SIMPLE and isinstance(value, Tensor):
            return False
        else:
            signature += (kind, value)
    return True


def _sign(values: Iterable[Any], signature: list[Any]) -> bool:
    """Add what an answer depends on to a signature; whether that is all."""
    plain = True
    for value in values:
        kind = type(value)
        if kind is Shape:
            look = value.own_look or look_of(value)
            if look.is_complex:
                return False
            signature.append(look)
        elif kind in SIMPLE:
            signature += (kind, value)
        elif kind is list or kind is tuple:
            kinds = tuple(map(type, value))
            signature.append(kind)
            if SIMPLE.issuperset(kinds):
                signature += (kinds, tuple(value))
            else:
                signature.append(len(kinds))
                plain = _sign(value, signature) and plain
        elif isinstance(value, Tensor):
            if not is_plain(value):
                return False
            signature += (value.dtype, value.shape, value.stride(), value.device)
        else:
            signature += (kind, value)
    return plain
