"""Follows a module's forward on shapes alone.

A ``TorchFunctionMode`` sees every call of torch. A call that a rule knows is answered by the rule:
the operation of ``ops/`` gives the output's shape, and an empty tensor of that shape on ``meta``
stands for the result. Any other call runs on ``meta`` under a ``TorchDispatchMode``, which sees the
basic operations that it consists of. Weights are never read, copied or moved.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.hooks import RemovableHandle

from costlab.errors import TraceError
from costlab.isolation.code_replaced import original
from costlab.isolation.tensor_attributes import TensorAttributes
from costlab.isolation.unseen_functions import SET, SWAP
from costlab.ops.custom import reason
from costlab.ops.uncounted import Uncounted
from costlab.torch_private import (
    add_batch_axis,
    batch_axis,
    batch_level,
    function_mode_at,
    function_modes,
    is_batched,
    is_wrapped,
    outside_transforms,
    pop_function_mode,
    set_data,
    transform_at_work,
    unseen_by_modes,
    unwrapped,
)
from costlab.trace.basics import Basic, by_rule
from costlab.trace.calls import OPEN, note_call, note_of, opened
from costlab.trace.classification import (
    CUTS,
    PICKED,
    RESHAPED,
    Call,
    Kind,
    accumulates,
    classify,
    is_for_speed,
    is_others,
)
from costlab.trace.known_values import KnownValues
from costlab.trace.module_stack import Places
from costlab.trace.observation import CallNote
from costlab.trace.refusals import (
    ODD,
    TAKEN,
    autocast,
    has_other_types,
    require_in_place,
    require_types,
    signature,
)
from costlab.trace.registry import Rule, rules
from costlab.trace.tape import META, Tape
from costlab.trace.tensors import nested, tensors
from costlab.trace.users_answers import (
    changed_arguments,
    follow_branch,
    follow_function,
    given_by,
    note,
)

_NO_LAYERS = {Kind.DIRECT, Kind.SETS, Kind.REFUSED}


class Recorder(TorchFunctionMode):
    """Answers the calls of one forward pass by shapes; if ``observed``, notes how each is made.

    With ``gradients`` it notes where code cuts them: what was called while they are disabled.
    """

    def __init__(self, module: nn.Module, observed: bool = False, gradients: bool = False) -> None:
        super().__init__()
        rules()  # also those for kinds of modules
        self.places = Places(module)
        self.tape = Tape(self.places)
        self.known = KnownValues(self.tape)
        self._observed, self._gradients = observed, gradients
        self.function_cuts: bool | None = None
        """In a ``torch.autograd.Function``: whether gradients are cut around it."""
        self.notes: list[CallNote] = []
        """Of the calls of an observed run, in their order."""
        self._heard = ""
        self._calls: dict[Any, Call] = {}
        self.attributes = TensorAttributes()
        self.objects: list[Any] = []
        """Inputs that are no tensors: forward gets them as they are."""

    def given(self, tensor: Tensor, name: str = "") -> Tensor:
        """What forward gets in place of the input of that name."""
        standin = torch.empty(tensor.shape, dtype=tensor.dtype, device=META)
        self.tape.given(standin, tensor.requires_grad)
        self.known.give(standin, tensor, name)
        return standin

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        made = self._calls.get(func)
        if made is None:
            made = self._calls[func] = classify(func)
        if made.rule is None and made.kind in _NO_LAYERS:
            return self._without_layers(made, func, args, kwargs)
        self._enter(made, args, sys._getframe(1))
        if self._observed and made.name in OPEN:
            with self:
                return opened(func)(*args, **kwargs)
        if made.kind is Kind.FUNCTION:
            return follow_function(self, made, func, args, kwargs)
        if made.kind is Kind.BRANCHES:
            return follow_branch(self, *args, **kwargs)
        if not self._gradients:
            return self._answered(made, func, args, kwargs)
        self.tape.cuts = made.name in CUTS or self.cuts_gradients()
        with torch.no_grad():
            return self._answered(made, func, args, kwargs)

    def cuts_gradients(self) -> bool:
        """Whether code cuts gradients now. Torch itself does in the forward of a function."""
        if self.function_cuts is not None:
            return self.function_cuts
        return not torch.is_grad_enabled()

    def _answered(self, made: Call, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Answer a call of torch that computes or moves something."""
        if transform_at_work() is not None and any(map(is_wrapped, tensors((args, kwargs)))):
            return self.transform(made, func, args, kwargs)
        try:
            if not self.known.is_concerned(made, args):
                return self.answer(made, func, args, kwargs)
            return self._answer_and_follow(made, func, args, kwargs)
        except Exception as error:
            note_call(error, made.name, args, kwargs)
            raise

    def _without_layers(self, made: Call, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Answer a call that computes nothing."""
        if made.kind is Kind.DIRECT:
            return func(*args, **kwargs)
        if made.kind is Kind.REFUSED:
            return False
        if func is SET:
            return self.set_from(*args, **kwargs)
        if func is SWAP:
            return self.attributes.swap(*args)
        return self.set(made.name, func, args, kwargs)

    def _answer_and_follow(self, made: Call, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Answer a call, and do it on values that are known, if it is not about them."""
        result = self.answer(made, func, args, kwargs)
        if made.kind is not Kind.VALUES:
            self.known.follow(made, func, args, kwargs, result)
        return result

    def _enter(self, made: Call, args: Any, frame: FrameType | None) -> None:
        """Note which module makes a call, from the frame that it is made in, and how."""
        path, frame = self.places.of(frame)
        counted = self.places.counted(path, frame)
        if counted:
            path, frame = counted
        if counted or path in self.places.leaves:
            frame = self.places.began(path, frame)
        if self._observed:
            self.notes.append(note_of(len(self.tape.records), made.name, args))
            function = self._heard or f"({made.spelled})"
            strided = bool(args) and _is_strided(args[0])
            self.tape.enter(path, frame, counted is not None, function, strided)
        else:
            self.tape.enter(path, frame, counted is not None)

    @contextmanager
    def heard_as(self, function: str) -> Iterator[None]:
        """Calls inside are of this function, in whose place a counter would put its own."""
        outer, self._heard = self._heard, function
        try:
            yield
        finally:
            self._heard = outer

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
        if is_batched(tensor):
            whole = self._inside(unwrapped(tensor))
            axis, level = batch_axis(tensor), batch_level(tensor)
            batched: Tensor = add_batch_axis(whole, axis, level)
            return batched
        if is_wrapped(tensor):
            raise TraceError(
                f"{self.where()} has torch.func differentiate a tensor that is not on meta: "
                "build the module on meta, with torch.device('meta')"
            )
        with outside_transforms():
            return self.tape.standin(tensor)

    def answer(self, made: Call, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """What a call gives: tensors that stand for its results."""
        if made.name == "where" and len(args) + len(kwargs) == 1:
            return self.values(made._replace(name="nonzero"), func, args, kwargs)
        if made.rule is not None:
            result = self._by_rule(made, made.rule, func, args, kwargs)
            if result is not NotImplemented:
                return result
        elif made.kind is Kind.MOVES:
            return self.move(made, func, args, kwargs)
        elif made.kind is Kind.MAKES:
            return self.on_meta(made.name, func, args, kwargs | {"device": META})
        elif made.kind is Kind.USERS:
            return self.by_users_rule(made, func, args, kwargs)
        elif made.kind is Kind.VALUES:
            return self.values(made, func, args, kwargs)
        if has_other_types(args, kwargs):
            require_types(made.name, func, args, kwargs)
        return self._of_basics(made, func, args, kwargs)

    def _by_rule(self, made: Call, rule: Rule, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """What a rule says that a call gives; ``NotImplemented`` where it says nothing."""
        tape = self.tape
        if made.asked:
            self.require(made, func, args, kwargs)
        result = by_rule(tape, rule, args, kwargs)
        if made.name in ODD or has_other_types(args, kwargs):
            require_types(made.name, func, args, kwargs)
        if result is NotImplemented:
            return result
        if made.in_place and args and isinstance(args[0], Tensor):
            require_in_place(args[0], result)
            return tape.renewed(args[0], result)
        if made.in_place and args and isinstance(result, list):  # of `_foreach_add_`
            for target, changed in zip(args[0], result, strict=True):
                tape.renewed(target, changed)
            return None
        if kwargs and isinstance(out := kwargs.get("out"), Tensor):
            if out.shape != result.shape:
                tape.standin(out).resize_(result.shape)
            return tape.renewed(out, result)
        return result

    def require(self, made: Call, func: Any, args: Any, kwargs: dict[str, Any]) -> None:
        """Refuse a call that a rule answers, if torch does on ``meta``: with torch's own error."""
        if "out" in kwargs:
            kwargs = {name: value for name, value in kwargs.items() if name != "out"}
        call = signature(func, args, kwargs)
        if call in TAKEN or (autocast() and has_other_types(args, kwargs)):
            return  # torch makes types alike by itself, but not on meta
        if made.in_place and args and isinstance(args[0], Tensor):  # torch would change its shape
            args = (torch.empty_like(self.tape.standin(args[0])), *args[1:])
        try:
            func(*self.tape.stood(args), **self.tape.stood(kwargs))
        except Exception as error:
            if not any(word in str(error).lower() for word in ("meta", "not allocated")):
                raise  # else torch cannot tell without values
        if call is not None:
            TAKEN[call] = None

    def values(self, made: Call, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Answer a call that reads values, if those are known."""
        if made.name == "__format__" and not args[1]:  # of a print
            return func(*args, **kwargs)
        known = self.known.all_of((args, kwargs))
        if known is not None:
            return self._decided(made, func, args, kwargs, *known)
        read = list(tensors((args, kwargs)))
        if not any(
            tensor.device.type == "meta" or self.known.is_changed(tensor) for tensor in read
        ):
            self.tape.looked_at(args)
            return func(*args, **kwargs)
        if is_for_speed(sys._getframe(3)):
            return False
        raise self._needs_values(made.name)

    def _decided(
        self,
        made: Call,
        func: Any,
        args: Any,
        kwargs: dict[str, Any],
        copies: Any,
        inputs: frozenset[str],
    ) -> Any:
        """What a call gives for values that are known; tensors among it stand for its results."""
        self.tape.looked_at(args)
        with unseen_by_modes():
            result = func(*copies[0], **copies[1])
        self.known.decide(made.name, self.where(), inputs)
        taken = list(tensors((args, kwargs)))

        def standing(copy: Tensor) -> Tensor:
            standin = torch.empty(copy.shape, dtype=copy.dtype, device=META)
            if made.name in PICKED:
                self.tape.moved(made.name, taken, standin)
            else:
                self.tape.record(Uncounted(made.name, tuple(copy.shape)), taken, result=standin)
            self.known.remember(standin, copy, inputs)
            return standin

        return nested(standing, result)

    def set(self, name: str, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Let an attribute of a tensor be set, until the end of the run."""
        target = args[0]
        if name == "register_hook":
            return RemovableHandle(OrderedDict())  # nothing runs backwards
        if name == "data" and (args[1].shape, args[1].dtype) == (target.shape, target.dtype):
            if target.device == META:
                self.attributes.remember(target, name)
                func(target, self.tape.standin(args[1]))
            self.tape.becomes(target, args[1])
            self.known.becomes(target, args[1])
            return None
        self.attributes.remember(target, name)
        return func(*args, **kwargs)

    def __exit__(self, *error: Any) -> None:
        """Leave this mode, and before it those that the run entered and did not leave."""
        while (depth := function_modes()) and function_mode_at(depth - 1) is not self:
            pop_function_mode()
        super().__exit__(*error)  # type: ignore[no-untyped-call]

    def set_from(self, target: Tensor, source: Any = None, *more: Any) -> Tensor:
        """Answer ``Tensor.set_``: what it sets of a tensor is its data."""
        if isinstance(source, Tensor) and not more:
            self.set("data", set_data, (target, source), {})
            return target
        return SET.__wrapped__(target, source, *more)  # type: ignore[no-any-return]

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
            result = self.tape.moved(made.name, inputs, result)
            return self.tape.renewed(inputs[0], result, made.name not in RESHAPED)
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

    def by_users_rule(self, made: Call, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Answer a call by a user's rule: run it on ``meta`` unless the rule says what it gives."""
        assert made.users is not None
        stood, named = self.tape.stood(args), self.tape.stood(kwargs)
        if made.users.output is not None:
            result = given_by(made.users, made.name, *stood, **named)
        else:
            try:
                result = self.on_meta(made.name, original(func), args, kwargs)
            except Exception as error:
                raise TraceError(
                    f"{made.name} at {self.where()} cannot be run on shapes ({reason(error)}): "
                    "give its rule output=, a function that says what it gives"
                ) from error
        changed = changed_arguments(func, made.in_place, args, kwargs)
        note(self.tape, made.name, made.users, result, args, kwargs, changed)
        return args[0] if made.in_place and args else result

    def shown(self, result: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """What the caller gets for a result on ``meta``."""
        return result

    def on_meta(self, name: str, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Run a call on ``meta``."""
        stood, named = self.tape.stood(args), self.tape.stood(kwargs)
        if named.get("device") is not None:
            named["device"] = META
        try:
            return func(*stood, **named)
        except NotImplementedError:
            if is_others(func):
                raise TraceError(
                    f"{name} at {self.where()} has no fake implementation, so that what it gives "
                    "is not known: give it a rule with output= (costlab.counting, --rules), or run "
                    "it on real tensors with real=True, or --real"
                ) from None
            return self._on_meta_by_values(name, func, args, kwargs)
        except RuntimeError as error:
            if "meta" in str(error):  # torch's kernels say so where they would read it
                return self._on_meta_by_values(name, func, args, kwargs)
            raise

    def _on_meta_by_values(self, name: str, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Run a call on ``meta`` whose shape depends on some of its tensors, if these are known."""
        inputs: set[str] = set()

        def known_or_standin(tensor: Tensor) -> Tensor:
            known = self.known.of(tensor)
            if known is None:
                return self.tape.standin(tensor)
            inputs.update(known.inputs)
            return known.copy

        stood, named = nested(known_or_standin, (args, kwargs))
        try:
            result = func(*stood, **named)
        except (NotImplementedError, RuntimeError):
            raise self._needs_values(name) from None
        self.known.decide(name, self.where(), inputs)
        return nested(_on_meta, result)

    def _of_basics(self, made: Call, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Run a call on ``meta``, and note the basic operations that it consists of."""
        with Basic(self.tape, made.name):
            result = self.on_meta(made.name, func, args, kwargs)
        if made.in_place and args and isinstance(args[0], Tensor):
            return self.tape.renewed(args[0], self.tape.standin(args[0]))
        return result

    def _needs_values(self, name: str) -> TraceError:
        return TraceError(
            f"{name} at {self.where()} needs the values of a tensor, and only shapes are known: "
            "run it on real tensors with real=True, or --real"
        )

    def where(self) -> str:
        """The module at work, and the line of code outside of torch."""
        place = self.tape.site.place or "the model"
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            package = frame.f_globals.get("__name__", "").partition(".")[0]
            if package not in ("torch", "costlab"):
                return f"{place} ({frame.f_code.co_filename}:{frame.f_lineno})"
            frame = frame.f_back
        return place


def _on_meta(tensor: Tensor) -> Tensor:
    if tensor.device == META:
        return tensor
    return torch.empty(tensor.shape, dtype=tensor.dtype, device=META)


def _is_strided(each: Any) -> bool:
    return isinstance(each, Tensor) and not each.is_contiguous()


def _dtype(dtype: Any = None, *more: Any) -> torch.dtype:
    """What ``Tensor.type`` takes: a type, ``torch.DoubleTensor``, or the name of that."""
    if isinstance(dtype, str):
        dtype = getattr(torch, dtype.rpartition(".")[2])
    found: torch.dtype = dtype if isinstance(dtype, torch.dtype) else dtype.dtype
    return found
