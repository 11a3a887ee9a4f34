"""Records what a module's forward calls, without computing it.

A ``TorchFunctionMode`` sees every call of torch. A call that a rule knows is answered by the rule:
the operation of ``ops/`` gives the output's shape, and an empty tensor of that shape on ``meta``
stands for the result. Any other call runs on ``meta`` under a ``TorchDispatchMode``, which sees the
basic operations that it consists of. Weights are never read, copied or moved.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from costlab import units
from costlab.custom import operation, rule_of
from costlab.errors import ShapeError, TraceError
from costlab.op import Op, Shape
from costlab.ops.layout import Moved, Stored
from costlab.ops.uncounted import Uncounted
from costlab.trace.places import Places
from costlab.trace.registry import plain_name, rules

META = torch.device("meta")
ITS_OWN = 0
"""In place of a call's number: the place is the path of a tensor, not of a module."""


@dataclass(slots=True)
class Record:
    """An operation as it was met, before paths are given."""

    place: str
    call: int
    op: Op
    takes: tuple[int, ...]
    inputs: tuple[Shape, ...]
    output: Shape
    params: int
    whole: bool = False
    """Whether it is part of a call of a module that is counted as a whole."""


class Recorder(TorchFunctionMode):
    """The calls of one forward pass; ``real`` runs them as well."""

    def __init__(self, module: nn.Module, real: bool = False, checked: bool = False) -> None:
        super().__init__()
        rules()  # also those for kinds of modules
        self.places = Places(module)
        self.records: list[Record] = []
        self.inputs: list[Shape] = []
        self.real = real
        self._checked = checked
        self._parameters, self._buffers = self.places.parameters, self.places.buffers
        self._unread = {key: p.numel() for key, (_, p) in self._parameters.items()}
        self._values: dict[int, int] = {}
        self._origins: dict[int, int] = {}  # a view of a stored tensor: the tensor's key
        self._standins: dict[int, Tensor] = {}
        self._copies: dict[int, Tensor] = {}
        self._memory: set[int] | None = None
        self._alive: list[Any] = []
        self._place: tuple[str, FrameType | None] = ("", None)
        self._whole = False
        self._calls: dict[str, tuple[int, FrameType | None]] = {}
        self._answers: dict[Any, tuple[Any, str, bool]] = {}

    # What rules use.

    def record(
        self,
        op: Op,
        inputs: Sequence[Tensor],
        weights: Iterable[Tensor | None] = (),
        dtype: torch.dtype | None = None,
        shapes: tuple[Shape, ...] | None = None,
        result: Tensor | None = None,
    ) -> Tensor:
        """Note an operation, and give a tensor that stands for its result.

        ``weights`` are tensors that the op's own rule counts as its params; ``shapes`` are the
        inputs' as the op takes them, where that is not how they are; ``result`` is the tensor that
        stands for the output, where there is one.
        """
        takes = tuple([self._value(tensor) for tensor in inputs])
        if shapes is None:
            shapes = tuple([tuple(tensor.shape) for tensor in inputs])
        for holds, problem in op.conditions(*shapes):
            if not holds:
                raise ShapeError(f"{op.label(*shapes)} on {units.shapes(shapes)}: {problem}")
        output = op.output(*shapes)
        params = sum([self._read(weight) for weight in weights if weight is not None])
        self._note(op, takes, shapes, output, params)
        if result is None:
            if dtype is None:
                dtype = inputs[0].dtype
            result = torch.empty(output, dtype=dtype, device=META)
            self._bind(result)
            return result
        self._bind(result)
        if result.shape != output:  # such as a result without a batch
            self._note(
                Moved("view", tuple(result.shape)),
                (self._values[id(result)],),
                (output,),
                tuple(result.shape),
                0,
            )
            self._bind(result)
        return result

    def moved(self, what: str, inputs: Sequence[Tensor], result: Tensor) -> Tensor:
        """Note that ``result`` holds elements of the inputs, unless those are stored ones."""
        traced = [tensor for tensor in inputs if id(tensor) in self._values]
        if traced:
            weights = [tensor for tensor in inputs if self.is_weight(tensor)]
            return self.record(Moved(what, tuple(result.shape)), traced, weights, result=result)
        if inputs:
            self._origins[id(result)] = self._origins.get(id(inputs[0]), id(inputs[0]))
        self._alive.append(result)
        return result

    def is_weight(self, tensor: Tensor) -> bool:
        """Whether a tensor is a parameter of the model, or a view of one."""
        return self._origins.get(id(tensor), id(tensor)) in self._parameters

    def renewed(self, target: Tensor, result: Tensor) -> Tensor:
        """``target`` was changed in place and now holds ``result``."""
        self._values[id(target)] = self._values[id(result)]
        self._alive.append(target)
        return target

    def standin(self, tensor: Tensor) -> Tensor:
        """The tensor on ``meta``: itself, or an empty one of its shape."""
        if tensor.device.type == "meta":
            return tensor
        found = self._standins.get(id(tensor))
        if found is None:
            found = torch.empty_strided(
                tensor.shape, tensor.stride(), dtype=tensor.dtype, device=META
            )
            self._standins[id(tensor)] = found
            self._alive += [tensor, found]
            self._origins[id(found)] = self._origins.get(id(tensor), id(tensor))
            if id(tensor) in self._values:
                self._values[id(found)] = self._values[id(tensor)]
        return found

    # What happens on a call.

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        answer = self._answers.get(func)
        if answer is None:
            answer = self._answers[func] = _answer(func)
        kind, name, in_place = answer
        if kind is _DIRECT:
            return func(*args, **kwargs)
        path, frame = self.places.of(sys._getframe(1))
        counted, outer = self.places.counted(path, frame)
        self._whole = bool(counted)
        self._enter(*((counted, outer) if counted else (path, frame)))
        if self.real:
            return self._run(func, kind, name, in_place, args, kwargs)
        if kind is _VALUES:
            return self._of_values(func, name, args, kwargs)
        if kind is _FACTORY:
            return func(*self._stood(args), **(self._stood(kwargs) | {"device": META}))
        if kind is _MOVES:
            return self._move(func, name, in_place, args, kwargs)
        if kind is _USERS:
            return self._by_users_rule(func, name, args, kwargs)
        if kind is not None:
            result = kind(self, *args, **kwargs)
            if result is not NotImplemented:
                if self._checked:
                    self._check(func, name, args, kwargs, result)
                if in_place and args and isinstance(args[0], Tensor):
                    return self.renewed(args[0], result)
                return result
        return self._on_meta(func, name, in_place, args, kwargs)

    def _enter(self, path: str, frame: FrameType | None) -> None:
        """Count the calls of a module, so that its second one has another name."""
        number, last = self._calls.get(path, (0, None))
        if last is not frame or not number:
            self._calls[path] = (number + 1, frame)
        self._place = (path, frame)

    def _note(
        self, op: Op, takes: tuple[int, ...], inputs: tuple[Shape, ...], output: Shape, params: int
    ) -> None:
        place = self._place[0]
        call = self._calls.get(place, (1, None))[0]
        self.records.append(Record(place, call, op, takes, inputs, output, params, self._whole))

    def _bind(self, tensor: Tensor) -> None:
        self._values[id(tensor)] = len(self.inputs) + len(self.records) - 1
        self._alive.append(tensor)

    def given(self, tensor: Tensor) -> Tensor:
        """An input of the model."""
        result = (
            tensor.clone()
            if self.real
            else torch.empty(tensor.shape, dtype=tensor.dtype, device=META)
        )
        self._values[id(result)] = len(self.inputs)
        self.inputs.append(tuple(tensor.shape))
        self._alive.append(result)
        return result

    def _value(self, tensor: Tensor) -> int:
        """The number of a tensor; one that was there before is noted as stored."""
        found = self._values.get(id(tensor))
        if found is not None:
            return found
        key = self._origins.get(id(tensor), id(tensor))
        what, name = "constant", ""
        if key in self._parameters:
            what, name = "parameter", self._parameters[key][0]
        elif key in self._buffers:
            what, name = "buffer", self._buffers[key][0]
        shape = tuple(tensor.shape)
        op, params = Stored(what, shape), self._unread.pop(key, 0)
        if name and not self._whole:
            self.records.append(Record(name, ITS_OWN, op, (), (), shape, params))
        else:
            self._note(op, (), (), shape, params)
        self._bind(tensor)
        return self._values[id(tensor)]

    def _read(self, weight: Tensor) -> int:
        """The params that reading a weight adds: all of its elements, the first time."""
        return self._unread.pop(self._origins.get(id(weight), id(weight)), 0)

    def _move(self, func: Any, name: str, in_place: bool, args: Any, kwargs: Any) -> Any:
        """Answer a call that moves elements with torch's own shapes."""
        if name in ("to", "cpu", "cuda", "type"):
            args = [META if _names_a_device(each) else each for each in args]
            if name in ("cpu", "cuda"):
                return args[0]
        inputs = list(tensors((args, kwargs)))
        if in_place and name != "set_data":
            result = torch.empty(inputs[0].shape, dtype=inputs[0].dtype, device=META)
            return self.renewed(inputs[0], self.moved(name, inputs, result))
        stood, named = self._stood(args), self._stood(_on(META, kwargs))
        try:
            result = func(*stood, **named)
        except NotImplementedError:
            raise self._needs_values(name) from None
        for leaf in tensors(result):
            if leaf is not inputs[0] and (inputs[0].device == META or leaf is not stood[0]):
                self.moved(name, inputs, leaf)
        return result

    def _by_users_rule(self, func: Any, name: str, args: Any, kwargs: Any) -> Any:
        """Answer a call that a user's rule counts with torch's own shapes."""
        result = func(*self._stood(args), **self._stood(_on(META, kwargs)))
        rule = rule_of(func)
        assert rule is not None
        first, *others = tensors(result)
        op = operation(name, tuple(first.shape), rule(result, *args, **kwargs))
        inputs = [tensor for tensor in tensors((args, kwargs)) if not self.is_weight(tensor)]
        weights = [tensor for tensor in tensors((args, kwargs)) if self.is_weight(tensor)]
        self.record(op, inputs, weights, result=first)
        for other in others:
            self.moved(name, (first,), other)
        return result

    def _on_meta(self, func: Any, name: str, in_place: bool, args: Any, kwargs: Any) -> Any:
        """Run a call on ``meta``, and note the basic operations that it consists of."""
        with _Basic(self):
            try:
                result = func(*self._stood(args), **self._stood(_on(META, kwargs)))
            except NotImplementedError:
                raise self._needs_values(name) from None
        if in_place and args and isinstance(args[0], Tensor):
            self._values[id(args[0])] = self._value(self.standin(args[0]))
            return args[0]
        return result

    def _stood(self, each: Any) -> Any:
        if isinstance(each, Tensor):
            return self.standin(each)
        if isinstance(each, (tuple, list)):
            items = [self._stood(item) for item in each]
            return type(each)(*items) if hasattr(each, "_fields") else type(each)(items)
        if isinstance(each, dict):
            return {key: self._stood(item) for key, item in each.items()}
        return each

    def basic(self, func: Any, args: Any, kwargs: Any, result: Any) -> None:
        """Note a basic operation that has run on ``meta``."""
        name, in_place = plain_name(func._schema.name.partition("::")[2])
        leaves = list(tensors(result))
        if not leaves:
            return
        before = len(self.records)
        found = rules().get(name)
        inputs = list(tensors((args, kwargs)))
        if name in MOVES:
            for leaf in leaves:
                if not any(leaf is each for each in inputs):
                    self.moved(name, inputs, leaf)
            if in_place:
                self.moved(name, inputs, leaves[0])
            return
        noted = NotImplemented if found is None else found(self, *args, **kwargs)
        if noted is not NotImplemented:
            mine = list(tensors(noted))
            if [m.shape for m in mine] == [leaf.shape for leaf in leaves[: len(mine)]]:
                for leaf, own in zip(leaves, mine, strict=False):
                    self._same(leaf, own)
                for leaf in leaves[len(mine) :]:
                    self.moved(name, mine[:1], leaf)
                return
            del self.records[before:]
        if not inputs or name in _MAKES:
            self._alive += leaves
            return
        if all(leaf is one for leaf, one in zip(leaves, inputs, strict=False)) and in_place:
            leaves = leaves[:1]
        for leaf in leaves:
            self.record(Uncounted(name, tuple(leaf.shape)), inputs, result=leaf)

    def _same(self, tensor: Tensor, own: Tensor) -> None:
        if id(own) in self._values:
            self._values[id(tensor)] = self._values[id(own)]
        elif id(own) in self._origins:
            self._origins[id(tensor)] = self._origins[id(own)]
        self._alive.append(tensor)

    def _run(self, func: Any, kind: Any, name: str, in_place: bool, args: Any, kwargs: Any) -> Any:
        """Run a call on real tensors, and note it as it would be noted without them."""
        args, kwargs = self._private(args, in_place), self._private(kwargs, in_place)
        stood, named = self._stood(args), self._stood(_on(META, kwargs))
        result = func(*args, **kwargs)
        leaves = list(tensors(result if result is not None or not in_place else args[0]))
        given = list(tensors((args, kwargs)))
        same = all(any(leaf is one for one in given) for leaf in leaves)
        if kind is _FACTORY or not leaves or (kind is _MOVES and same and not in_place):
            return result
        own = self._noted(func, kind, name, in_place, stood, named, leaves)
        if own is None:
            inputs = list(tensors((stood, named)))
            own = [torch.empty(leaf.shape, dtype=leaf.dtype, device=META) for leaf in leaves]
            for one in own:
                self.record(Uncounted(name, tuple(one.shape)), inputs, result=one)
        for leaf, one in zip(leaves, own, strict=True):
            self._standins[id(leaf)] = one
            self._alive += [leaf, one]
        return result

    def _noted(
        self,
        func: Any,
        kind: Any,
        name: str,
        in_place: bool,
        args: Any,
        kwargs: Any,
        leaves: list[Tensor],
    ) -> list[Tensor] | None:
        """Stand-ins for real results by a rule or by basic operations; None if neither has them."""
        mark = len(self.records)
        shapes = [leaf.shape for leaf in leaves]
        if kind is _MOVES or name in _PICKED:
            inputs = list(tensors((args, kwargs)))
            own = [torch.empty(leaf.shape, dtype=leaf.dtype, device=META) for leaf in leaves]
            for one in own:
                self.moved(name, inputs, one)
            return own
        if kind not in (None, _VALUES):
            own = list(tensors(kind(self, *args, **kwargs)))
            if [one.shape for one in own] == shapes:
                return own
            del self.records[mark:]
        try:
            with _Basic(self):
                own = list(tensors(func(*args, **kwargs)))
        except (NotImplementedError, RuntimeError):
            own = []
        if [one.shape for one in own] == shapes:
            return own
        del self.records[mark:]
        return None

    def _holds(self, tensor: Tensor) -> bool:
        """Whether a tensor shares its memory with one of the model's."""
        if self._memory is None:
            own = (*self._parameters.values(), *self._buffers.values())
            self._memory = {each.untyped_storage().data_ptr() for _, each in own}
        return tensor.untyped_storage().data_ptr() in self._memory

    def _private(self, each: Any, changed: bool) -> Any:
        """The arguments, with copies of the model's own tensors that the call could change."""
        if isinstance(each, Tensor):
            mine = id(each) in self._buffers or (changed and self._holds(each))
            if mine and id(each) not in self._copies:
                self._copies[id(each)] = copy = each.detach().clone()
                self._origins[id(copy)] = id(each)
            return self._copies.get(id(each), each)
        if isinstance(each, (tuple, list)) and not hasattr(each, "_fields"):
            return type(each)(self._private(item, changed) for item in each)
        if isinstance(each, dict):
            return {key: self._private(item, changed) for key, item in each.items()}
        return each

    def _check(self, func: Any, name: str, args: Any, kwargs: Any, result: Any) -> None:
        """Compare a rule's shapes with torch's own, on ``meta``."""
        theirs = func(*self._stood(args), **self._stood(_on(META, kwargs)))
        shapes, own = ([tuple(t.shape) for t in tensors(each)] for each in (theirs, result))
        types, mine = ([t.dtype for t in tensors(each)] for each in (theirs, result))
        if shapes != own or types != mine:
            raise AssertionError(f"{name}: {own} {mine}, torch says {shapes} {types}")

    def _of_values(self, func: Any, name: str, args: Any, kwargs: Any) -> Any:
        if not any(t.device.type == "meta" for t in tensors((args, kwargs))):
            return func(*args, **kwargs)
        raise self._needs_values(name)

    def _needs_values(self, name: str) -> TraceError:
        return TraceError(
            f"{name} at {self.where()} needs the values of a tensor, and only shapes are known: "
            "run it on real tensors with real=True, or --real"
        )

    def where(self) -> str:
        """The module at work, and the line of code outside of torch."""
        path, _ = self._place
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            package = frame.f_globals.get("__name__", "").partition(".")[0]
            if package not in ("torch", "costlab"):
                return f"{path or 'the model'} ({frame.f_code.co_filename}:{frame.f_lineno})"
            frame = frame.f_back
        return path or "the model"

    @property
    def unread(self) -> list[tuple[str, int]]:
        """Parameters that nothing read, and their elements."""
        return [(self._parameters[key][0], count) for key, count in self._unread.items()]

    def returned(self, result: Any) -> tuple[int, ...]:
        """The numbers of the tensors in what the model returns."""
        stands = [self._standins.get(id(tensor), tensor) for tensor in tensors(result)]
        return tuple([self._value(tensor) for tensor in stands])


class _Basic(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Shows basic operations to a recorder."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._recorder = recorder

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        self._recorder.basic(func, args, kwargs, result)
        return result


def tensors(each: Any) -> Iterator[Tensor]:
    """The tensors in nested tuples, lists and dicts, and in objects with attributes."""
    if isinstance(each, Tensor):
        yield each
    elif isinstance(each, dict):
        for item in each.values():
            yield from tensors(item)
    elif isinstance(each, (tuple, list)):
        for item in each:
            yield from tensors(item)


_DIRECT, _VALUES, _FACTORY, _MOVES, _USERS = object(), object(), object(), object(), object()

_METADATA = frozenset(
    [
        "size",
        "dim",
        "ndimension",
        "numel",
        "nelement",
        "stride",
        "is_contiguous",
        "is_floating_point",
        "is_complex",
        "is_signed",
        "element_size",
        "storage_offset",
        "get_device",
        "is_same_size",
        "type_as_",
        "__len__",
        "__hash__",
        "__repr__",
        "requires_grad_",
        "is_tensor",
        "is_nonzero_",
        "__format__",
        "dense_dim",
        "has_names",
        "is_inference",
        "is_conj",
        "is_neg",
        "retain_grad",
        "result_type",
        "can_cast",
        "promote_types",
        "is_distributed",
        "is_pinned",
        "data_ptr",
        "untyped_storage",
        "storage",
        "_is_view",
        "is_coalesced",
        "names",
        "_version",
        "broadcast_shapes",
        "get_default_dtype",
        "is_autocast_enabled",
        "is_grad_enabled",
        "set_grad_enabled",
        "_assert",
        "__dir__",
        "__reduce_ex__",
        "__deepcopy__",
        "_is_zerotensor",
        "is_set_to",
        "set_",
        "_has_compatible_shallow_copy_type",
    ]
)
_READS = frozenset(
    [
        "item",
        "tolist",
        "__bool__",
        "__int__",
        "__float__",
        "__index__",
        "__complex__",
        "nonzero",
        "argwhere",
        "is_nonzero",
        "equal",
        "allclose",
        "numpy",
        "__array__",
        "unique",
        "unique_consecutive",
        "masked_select",
        "bincount",
        "__contains__",
        "_local_scalar_dense",
    ]
)
_PICKED = frozenset(("nonzero", "argwhere", "masked_select"))
"""What picks elements by their values."""
_MAKES = frozenset(
    [
        "empty",
        "zeros",
        "ones",
        "full",
        "arange",
        "linspace",
        "logspace",
        "eye",
        "rand",
        "randn",
        "randint",
        "randperm",
        "tensor",
        "as_tensor",
        "empty_strided",
        "scalar_tensor",
        "from_numpy",
        "hann_window",
        "tril_indices",
        "triu_indices",
        "complex",
        "empty_like",
        "zeros_like",
        "ones_like",
        "full_like",
        "rand_like",
        "randn_like",
        "randint_like",
        "new_zeros",
        "new_ones",
        "new_full",
        "new_empty",
        "new_tensor",
    ]
)
MOVES = frozenset(
    [
        "view",
        "reshape",
        "flatten",
        "unflatten",
        "ravel",
        "permute",
        "transpose",
        "t",
        "adjoint",
        "squeeze",
        "unsqueeze",
        "expand",
        "expand_as",
        "broadcast_to",
        "view_as",
        "reshape_as",
        "contiguous",
        "clone",
        "detach",
        "alias",
        "to",
        "type",
        "type_as",
        "float",
        "double",
        "half",
        "bfloat16",
        "int",
        "long",
        "short",
        "bool",
        "cpu",
        "cuda",
        "narrow",
        "select",
        "slice",
        "index",
        "index_select",
        "gather",
        "take",
        "take_along_dim",
        "scatter",
        "index_copy",
        "index_put",
        "index_fill",
        "split",
        "split_with_sizes",
        "chunk",
        "tensor_split",
        "unbind",
        "unfold",
        "im2col",
        "pad",
        "constant_pad_nd",
        "reflection_pad1d",
        "reflection_pad2d",
        "reflection_pad3d",
        "replication_pad1d",
        "replication_pad2d",
        "replication_pad3d",
        "roll",
        "flip",
        "fliplr",
        "flipud",
        "rot90",
        "repeat",
        "repeat_interleave",
        "tile",
        "stack",
        "hstack",
        "vstack",
        "dstack",
        "column_stack",
        "pixel_shuffle",
        "pixel_unshuffle",
        "channel_shuffle",
        "native_channel_shuffle",
        "movedim",
        "moveaxis",
        "swapdims",
        "diagonal",
        "diag_embed",
        "diag",
        "tril",
        "triu",
        "copy",
        "as_strided",
        "view_as_real",
        "view_as_complex",
        "one_hot",
        "meshgrid",
        "block_diag",
        "max_unpool2d",
        "max_unpool3d",
        "atleast_1d",
        "atleast_2d",
        "atleast_3d",
        "positive",
        "lift_fresh",
        "lift_fresh_copy",
        "_to_copy",
        "_unsafe_view",
        "unsafe_chunk",
        "unsafe_split",
        "resolve_conj",
        "resolve_neg",
        "masked_scatter",
        "select_scatter",
        "slice_scatter",
        "fill",
        "zero",
        "broadcast_tensors",
        "_reshape_alias",
        "split_copy",
        "_pad_circular",
    ]
)
_PICTURES = frozenset(["T", "mT", "H", "mH", "real", "imag", "data"])


def _answer(func: Any) -> tuple[Any, str, bool]:
    """How calls of a function are answered, its plain name, and whether it works in place."""
    name = getattr(func, "__name__", str(func))
    if rule_of(func) is not None:
        return _USERS, name, False
    if name == "__get__":
        attribute = func.__self__.__name__
        if attribute not in _PICTURES:
            return _DIRECT, attribute, False
        return _MOVES, attribute, False
    if name in ("__set__", "__delete__") or name in _METADATA:
        return _DIRECT, name, False
    if name in _READS:
        return _VALUES, name, False
    if name in _MAKES:
        return _FACTORY, name, False
    plain, in_place = plain_name(name)
    if plain in MOVES:
        return _MOVES, plain, in_place
    return rules().get(plain), plain, in_place


def _on(device: torch.device, kwargs: dict[str, Any]) -> dict[str, Any]:
    """Arguments with the device replaced, where they name one."""
    return kwargs | {"device": device} if kwargs.get("device") is not None else kwargs


def _names_a_device(each: Any) -> bool:
    return isinstance(each, (torch.device, str))
