"""Follows a module's forward on shapes alone.

A ``TorchFunctionMode`` sees every call of torch. A call that a rule knows is answered by the rule:
the operation of ``ops/`` gives the output's shape, and an empty tensor of that shape on ``meta``
stands for the result. Any other call runs on ``meta`` under a ``TorchDispatchMode``, which sees the
basic operations that it consists of. Weights are never read, copied or moved.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from types import FrameType, FunctionType, NoneType
from typing import Any

import torch
from torch import Tensor, nn
from torch._functorch.pyfunctorch import temporarily_clear_interpreter_stack
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.hooks import RemovableHandle

from costlab.errors import TraceError
from costlab.isolation.tensor_attributes import TensorAttributes
from costlab.isolation.unseen_functions import SET, SWAP
from costlab.ops.custom import operation, rule_of
from costlab.ops.uncounted import Uncounted
from costlab.trace.classification import (
    MAKES,
    MOVES,
    RESHAPED,
    Call,
    Kind,
    accumulates,
    call,
    is_for_speed,
    is_others,
)
from costlab.trace.module_stack import Places
from costlab.trace.registry import Rule, plain_name, rules
from costlab.trace.tape import META, Tape
from costlab.trace.tensors import nested, tensors

_functorch = torch._C._functorch
_is_wrapped = _functorch.is_functorch_wrapped_tensor
transformed = _functorch.peek_interpreter_stack
"""The transform of ``torch.func`` that is at work, or None."""


_SET_DATA = vars(torch._C.TensorBase)["data"].__set__


class Recorder(TorchFunctionMode):
    """Answers the calls of one forward pass by shapes; if ``observed``, notes how each is made."""

    def __init__(self, module: nn.Module, observed: bool = False) -> None:
        super().__init__()
        rules()  # also those for kinds of modules
        self.places = Places(module)
        self.tape = Tape(self.places)
        self._observed = observed
        self.replaced = ""
        """The function at work in whose place a counter would put its own: ``F.relu``."""
        self._calls: dict[Any, Call] = {}
        self.attributes = TensorAttributes()
        self.objects: list[Any] = []
        """Inputs that are no tensors: forward gets them as they are."""

    def given(self, tensor: Tensor) -> Tensor:
        """What forward gets in place of an input."""
        return self.tape.given(torch.empty(tensor.shape, dtype=tensor.dtype, device=META))

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        made = self._calls.get(func)
        if made is None:
            made = self._calls[func] = call(func)
        if made.rule is None:
            if made.kind is Kind.DIRECT:
                return func(*args, **kwargs)
            if made.kind is Kind.SETS:
                if func is SET:
                    return self.set_from(*args, **kwargs)
                if func is SWAP:
                    return self.attributes.swap(*args)
                return self.set(made.name, func, args, kwargs)
            if made.kind is Kind.REFUSED:
                return False
        self._enter(made, args, sys._getframe(1))
        if self._observed and made.name in OPEN:
            with self:
                return opened(func)(*args, **kwargs)
        if transformed() is not None and any(map(_is_wrapped, tensors((args, kwargs)))):
            return self.transform(made, func, args, kwargs)
        return self.answer(made, func, args, kwargs)

    def _enter(self, made: Call, args: Any, frame: FrameType | None) -> None:
        """Note which module makes a call, from the frame that it is made in, and how."""
        path, frame = self.places.of(frame)
        counted = self.places.counted(path, frame)
        if counted:
            path, frame = counted
        if counted or path in self.places.leaves:
            frame = self.places.began(path, frame)
        if self._observed:
            function = self.replaced or f"({made.spelled})"
            strided = bool(args) and _is_strided(args[0])
            self.tape.enter(path, frame, counted is not None, function, strided)
        else:
            self.tape.enter(path, frame, counted is not None)

    def transform(self, made: Call, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Answer a call inside a transform of ``torch.func``, such as ``vmap``.

        Its tensors stand for others, such as those of a whole batch: the basic operations are on
        these.
        """
        if made.kind is Kind.VALUES:
            raise self._needs_values(made.name)
        if made.kind is Kind.MAKES:  # like one of these
            kwargs = kwargs | {"device": META}
        stood, named = nested(self._inside, args), nested(self._inside, kwargs)
        return self._of_basics(made._replace(in_place=False), func, stood, named)

    def _inside(self, tensor: Tensor) -> Tensor:
        """What stands on ``meta`` for a tensor inside a transform."""
        if tensor.device.type == "meta":
            return tensor
        if _functorch.is_batchedtensor(tensor):
            whole = self._inside(_functorch.get_unwrapped(tensor))
            axis, level = _functorch.maybe_get_bdim(tensor), _functorch.maybe_get_level(tensor)
            batched: Tensor = _functorch._add_batch_dim(whole, axis, level)
            return batched
        if _is_wrapped(tensor):
            raise TraceError(
                f"{self._where()} has torch.func differentiate a tensor that is not on meta: "
                "build the module on meta, with torch.device('meta')"
            )
        with temporarily_clear_interpreter_stack():
            return self.tape.standin(tensor)

    def answer(self, made: Call, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """What a call gives: tensors that stand for its results."""
        tape = self.tape
        if made.rule is not None:
            result = by_rule(tape, made.rule, args, kwargs)
            if result is not NotImplemented:
                if made.in_place and args and isinstance(args[0], Tensor):
                    result = tape.renewed(args[0], result)
                elif kwargs and isinstance(out := kwargs.get("out"), Tensor):
                    if out.shape != result.shape:
                        tape.standin(out).resize_(result.shape)
                    result = tape.renewed(out, result)
                return result
        elif made.kind is Kind.MOVES:
            return self.move(made, func, args, kwargs)
        elif made.kind is Kind.MAKES:
            return self.on_meta(made.name, func, args, kwargs | {"device": META})
        elif made.kind is Kind.USERS:
            return self.by_users_rule(made.name, func, args, kwargs)
        elif made.kind is Kind.VALUES:
            return self.values(made, func, args, kwargs)
        return self._of_basics(made, func, args, kwargs)

    def values(self, made: Call, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Answer a call that reads values, if those are there."""
        known = not any(tensor.device.type == "meta" for tensor in tensors((args, kwargs)))
        if known or (made.name == "__format__" and not args[1]):
            if made.name != "__format__":  # of a print
                self.tape.looked_at(args)
            return func(*args, **kwargs)
        if is_for_speed(sys._getframe(3)):
            return False
        raise self._needs_values(made.name)

    def set(self, name: str, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Let an attribute of a tensor be set, until the end of the run."""
        target = args[0]
        if name == "register_hook":
            return RemovableHandle(OrderedDict())  # nothing runs backwards
        if name == "data" and (args[1].shape, args[1].dtype) == (target.shape, target.dtype):
            self.tape.becomes(target, args[1])
            return None
        self.attributes.remember(target, name)
        return func(*args, **kwargs)

    def set_from(self, target: Tensor, source: Any = None, *more: Any) -> Tensor:
        """Answer ``Tensor.set_``: what it sets of a tensor is its data."""
        if isinstance(source, Tensor) and not more:
            self.set("data", _SET_DATA, (target, source), {})
            return target
        return SET(target, source, *more)  # type: ignore[no-any-return]

    def move(self, made: Call, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Answer a call that moves elements by torch's own shapes."""
        if made.name in ("cpu", "cuda"):
            return args[0]
        if accumulates(made.name, args, kwargs):
            return self._of_basics(made, func, args, kwargs)
        if made.name == "to":
            args = [META if isinstance(each, (torch.device, str)) else each for each in args]
        if made.name == "type":
            func, args = Tensor.to, [args[0], _dtype(*args[1:], **kwargs)]
        inputs = list(tensors((args, kwargs)))
        if not inputs:  # what is drawn, of a given size
            return func(*args, **(kwargs | {"device": META}))
        if made.in_place:
            if made.name in RESHAPED:
                self.on_meta(made.name, func, args, kwargs)
            shape = self.tape.standin(inputs[0]).shape
            result = torch.empty(shape, dtype=inputs[0].dtype, device=META)
            return self.tape.renewed(inputs[0], self.tape.moved(made.name, inputs, result))
        result = self._viewed(made.name, func, args, kwargs)
        same = {id(inputs[0]), id(self.tape.standin(inputs[0]))}
        for leaf in tensors(result):
            if id(leaf) not in same:
                self.tape.moved(made.name, inputs, leaf)
        return result

    def _viewed(self, name: str, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Run a call that moves elements on ``meta``.

        What a rule gave is contiguous there, and need not be with torch: whether it can be viewed
        without a copy is not known.
        """
        try:
            return self.on_meta(name, func, args, kwargs)
        except RuntimeError:
            if name != "view" or self.tape.has_its_own_strides(args[0]):
                raise
            return self.on_meta(name, Tensor.reshape, args, kwargs)

    def by_users_rule(self, name: str, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Answer a call that a user's rule counts by torch's own shapes."""
        result = self.on_meta(name, func, args, kwargs)
        rule = rule_of(func)
        assert rule is not None
        first, *others = tensors(result)
        op = operation(name, tuple(first.shape), rule, result, *args, **kwargs)
        given = list(tensors((args, kwargs)))
        weights = [tensor for tensor in given if self.tape.is_weight(tensor)]
        inputs = [tensor for tensor in given if not self.tape.is_weight(tensor)]
        self.tape.record(op, inputs, weights, result=first)
        for other in others:
            self.tape.further(first, other)
        return result

    def on_meta(self, name: str, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Run a call on ``meta``."""
        stood, named = self.tape.stood(args), self.tape.stood(kwargs)
        if named.get("device") is not None:
            named["device"] = META
        try:
            return func(*stood, **named)
        except NotImplementedError:
            raise self._needs_values(name) from None
        except RuntimeError as error:
            if "meta" in str(error):  # torch's kernels say so where they would read it
                raise self._needs_values(name) from error
            raise

    def _of_basics(self, made: Call, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Run a call on ``meta``, and note the basic operations that it consists of."""
        with Basic(self.tape):
            result = self.on_meta(made.name, func, args, kwargs)
        if made.in_place and args and isinstance(args[0], Tensor):
            return self.tape.renewed(args[0], self.tape.standin(args[0]))
        return result

    def _needs_values(self, name: str) -> TraceError:
        return TraceError(
            f"{name} at {self._where()} needs the values of a tensor, and only shapes are known: "
            "run it on real tensors with real=True, or --real"
        )

    def _where(self) -> str:
        """The module at work, and the line of code outside of torch."""
        place = self.tape.site.place or "the model"
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            package = frame.f_globals.get("__name__", "").partition(".")[0]
            if package not in ("torch", "costlab"):
                return f"{place} ({frame.f_code.co_filename}:{frame.f_lineno})"
            frame = frame.f_back
        return place


def by_rule(tape: Tape, rule: Rule, args: Any, kwargs: dict[str, Any]) -> Any:
    """What a rule gives, or ``NotImplemented`` for arguments that it does not take."""
    if "axis" in kwargs or "out" in kwargs:
        kwargs = {"dim" if key == "axis" else key: each for key, each in kwargs.items()}
        out = kwargs.pop("out", None)
        if not isinstance(out, (Tensor, NoneType)):
            return NotImplemented
    mark = tape.mark()
    try:
        return rule(tape, *args, **kwargs)
    except TypeError:  # what is right is said by torch itself
        tape.forget(mark)
        return NotImplemented


OPEN = {"multi_head_attention_forward"}
"""Python functions of torch whose own calls other counters see, where these are wanted."""


def opened(function: Any) -> Any:
    """The function without its first question, whether a mode wants to answer in its place."""
    names = {**function.__globals__, "has_torch_function": lambda _: False}
    return FunctionType(
        function.__code__, names, function.__name__, function.__defaults__, function.__closure__
    )


def _is_strided(each: Any) -> bool:
    return isinstance(each, Tensor) and not each.is_contiguous()


class Basic(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes the basic operations that a call on ``meta`` consists of."""

    def __init__(self, tape: Tape) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._tape = tape

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        leaves = list(tensors(result))
        if leaves:
            name, in_place = plain_name(func._schema.name.partition("::")[2])
            self._note(name, in_place, args, kwargs, leaves, is_others(func))
        return result

    def _note(
        self,
        name: str,
        in_place: bool,
        args: Any,
        kwargs: dict[str, Any],
        leaves: list[Tensor],
        others: bool,
    ) -> None:
        tape, inputs = self._tape, list(tensors((args, kwargs)))
        if others:
            self._uncounted(name, inputs, leaves)
            return
        if name in MOVES and not accumulates(name, args, kwargs):
            for leaf in leaves:
                if in_place or not any(leaf is each for each in inputs):
                    tape.moved(name, inputs, leaf)
            return
        if not inputs or name in MAKES or self._by_rule(name, args, kwargs, leaves):
            return
        self._uncounted(name, inputs, leaves)

    def _uncounted(self, name: str, inputs: list[Tensor], leaves: list[Tensor]) -> None:
        shape = tuple(leaves[0].shape)
        self._tape.record(Uncounted(name, shape), inputs, result=leaves[0])
        for leaf in leaves[1:]:
            self._tape.further(leaves[0], leaf)

    def _by_rule(self, name: str, args: Any, kwargs: dict[str, Any], leaves: list[Tensor]) -> bool:
        """Note it by the rule of its name, if there is one that gives the shapes that came out."""
        rule, mark = rules().get(name), self._tape.mark()
        noted = NotImplemented if rule is None else by_rule(self._tape, rule, args, kwargs)
        if noted is NotImplemented:
            return False
        own = list(tensors(noted))
        if [one.shape for one in own] != [leaf.shape for leaf in leaves[: len(own)]]:
            self._tape.forget(mark)
            return False
        for leaf, one in zip(leaves, own, strict=False):
            self._tape.alike(leaf, one)
        for leaf in leaves[len(own) :]:  # statistics and the like
            self._tape.further(own[0], leaf)
        return True


def _dtype(dtype: Any = None, *more: Any) -> torch.dtype:
    """What ``Tensor.type`` takes: a type, ``torch.DoubleTensor``, or the name of that."""
    if isinstance(dtype, str):
        dtype = getattr(torch, dtype.rpartition(".")[2])
    found: torch.dtype = dtype if isinstance(dtype, torch.dtype) else dtype.dtype
    return found
