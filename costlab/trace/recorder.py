"""Follows a module's forward on shapes alone.

A ``TorchFunctionMode`` sees every call of torch. A call that a rule knows is answered by the rule:
the operation of ``ops/`` gives the output's shape, and an empty tensor of that shape on ``meta``
stands for the result. Any other call runs on ``meta`` under a ``TorchDispatchMode``, which sees the
basic operations that it consists of. Weights are never read, copied or moved.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from costlab.errors import TraceError, ValuesError, words_of
from costlab.isolation.code_replaced import original
from costlab.isolation.dynamo_aside import dynamo_aside
from costlab.isolation.tensor_attributes import TensorAttributes
from costlab.isolation.unseen_functions import SET, SWAP
from costlab.ops.custom import reason
from costlab.torch_private import (
    function_mode_at,
    function_modes,
    is_wrapped,
    pop_function_mode,
    transform_at_work,
)
from costlab.trace import (
    control_flow,
    gradients_inside,
    movements,
    on_meta,
    reading_values,
    transforms,
)
from costlab.trace.attribute_calls import set_attribute, set_from
from costlab.trace.basics import Basic, by_rule
from costlab.trace.calls import OPEN, note_call, note_of, opened, steps_first
from costlab.trace.checkpoints import Checkpoints
from costlab.trace.classification import (
    CUTS,
    RESHAPED,
    Call,
    Kind,
    classify,
)
from costlab.trace.devices import Devices
from costlab.trace.fitting_places import require_fits
from costlab.trace.followed_functions import follow_as_one, follow_function
from costlab.trace.known_values import KnownValues
from costlab.trace.module_stack import Places
from costlab.trace.observation import CallNote
from costlab.trace.ranges import PLACES, require_in_range
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
from costlab.trace.sparse import SparseCalls, is_among, is_semi_structured_among, is_sparse, taken
from costlab.trace.tape import Tape
from costlab.trace.tensors import META, nested, of_its_kind, tensors
from costlab.trace.users_answers import (
    changed_arguments,
    given_by,
    note,
)
from costlab.trace.weightless import is_weightless

_NO_LAYERS = {Kind.DIRECT, Kind.DEVICE, Kind.SETS, Kind.REFUSED}


class Recorder(TorchFunctionMode):
    """Answers the calls of one forward pass by shapes; if ``observed``, notes how each is made.

    With ``gradients`` it notes where code cuts them: what was called while they are disabled.
    """

    is_real = False
    """Whether it computes."""
    tapes = Tape
    """What it notes operations on."""

    def __init__(self, module: nn.Module, observed: bool = False, gradients: bool = False) -> None:
        super().__init__()
        rules()  # also those for kinds of modules
        self.places = Places(module)
        self.tape = self.tapes(self.places)
        self.known = KnownValues(self.tape)
        self.tape.value_of = self.value_of
        self.devices = Devices(self.tape, self.places)
        self.sparse = SparseCalls(self.tape)
        own = self.places.parameters.values()
        odd = [t for _, t in own if t.layout is not torch.strided or type(t) is not nn.Parameter]
        self.has_sparse = any(map(is_sparse, odd))
        self.is_among = is_semi_structured_among if self.has_sparse else is_among
        self.is_weightless = is_weightless(module)
        """Whether values may be unknown that a module made as usual would have."""
        self.observed, self._gradients = observed, gradients
        self.checkpoints = Checkpoints()
        self.function_cuts: bool | None = None
        """In a ``torch.autograd.Function``: whether gradients are cut around it."""
        self.notes: list[CallNote] = []
        """Of the calls of an observed run, in their order."""
        self._heard = ""
        self._calls: dict[Any, Call] = {}
        self.attributes = TensorAttributes()
        self.reshaped: dict[int, Tensor] = {}
        """Of tensors that were there before, and that code has given another shape: one of that."""
        self.offsets: dict[int, Tensor] = {}
        """What stands for where rows of nested inputs begin, which several may share."""
        self.objects: list[Any] = []
        """Inputs that are no tensors: forward gets them as they are."""
        self.transforms = False
        """Whether a transform of ``torch.func`` was at work."""
        self.arrays: list[Tensor] = []
        """What stands for the tensors whose elements code has as arrays of numpy."""

    def given(self, tensor: Tensor, name: str = "") -> Tensor:
        """What forward gets in place of the input of that name."""
        is_whole = not is_sparse(tensor)
        standin = torch.empty(tensor.shape, dtype=tensor.dtype, device=META)
        standin = of_its_kind(standin, tensor) if is_whole else taken(tensor)
        self.tape.given(standin, tensor.requires_grad)
        self.devices.place(standin, tensor.device)
        if is_whole:
            self.known.give(standin, tensor, name)
        return standin

    def given_inside(self, tensor: Tensor, name: str) -> None:
        """A tensor that an input of that name holds is an input, if it is no parameter."""
        if not self.tape.knows(tensor):
            self.tape.given(tensor, tensor.requires_grad)
            self.known.give(tensor, tensor, name)

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        made = self._calls.get(func)
        if made is None:
            made = self._calls[func] = classify(func)
        if made.rule is None and made.kind in _NO_LAYERS:
            return self._without_layers(made, func, args, kwargs)
        self._enter(made, args, kwargs, sys._getframe(1))
        if self.observed and made.name in OPEN:
            with self:
                return opened(func)(*args, **kwargs)
        if made.kind is Kind.FUNCTION:
            return follow_function(self, made, func, args, kwargs)
        if made.kind is Kind.USERS_WHOLE and not _is_transformed((args, kwargs)):
            return follow_as_one(self, made, func, args, kwargs)
        if made.kind is Kind.CONTROL:
            return control_flow.follow(self, func, args, kwargs)
        if not self._gradients:
            return self._answered(made, func, args, kwargs)
        self.tape.cuts = made.name in CUTS or self.cuts_gradients()
        first, checkpoint = len(self.tape.records), self.checkpoints.around(sys._getframe(1))
        with torch.no_grad():
            result = self._answered(made, func, args, kwargs)
        for record in self.tape.records[first:]:
            record.checkpoint = checkpoint
        return result

    def returned(self, result: Any) -> tuple[int, ...]:
        """The numbers of the tensors in what the model returns."""
        return self.tape.returned(result)

    def leave(self) -> None:
        """The run is over. Its frames hold all that it made, and the tape: they are let go."""
        self.tape.leave()
        self.places.leave()
        self.checkpoints.clear()

    def cuts_gradients(self) -> bool:
        """Whether code cuts gradients now. Torch itself does in the forward of a function."""
        if self.function_cuts is not None:
            return self.function_cuts
        return not torch.is_grad_enabled()

    def _answered(self, made: Call, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Answer a call of torch that computes or moves something."""
        if _is_transformed((args, kwargs)):
            return self.transform(made, func, args, kwargs)
        appeared = self.tape.stored.appeared
        appeared.taken = args, kwargs
        if self.arrays:
            self._note_of_arrays(args, kwargs)
        try:
            if not self.known.is_concerned(made, args):
                result = self.answer(made, func, args, kwargs)
            else:
                result = self._answer_and_follow(made, func, args, kwargs)
            if made.in_place or kwargs:
                self._follow_shapes(made, args, kwargs)
            appeared.given.append(result)
            return result
        except Exception as error:
            note_call(error, made.name, args, kwargs)
            raise

    def _follow_shapes(self, made: Call, args: Any, kwargs: dict[str, Any]) -> None:
        """Note tensors that were there before, and have another shape in the run from now on."""
        targets = tensors(kwargs.get("out"))
        if made.in_place and made.name in RESHAPED:
            targets += tensors(args)[:1]
        for target in targets:
            standin = self.tape.standin(target)
            if standin.shape != target.shape:
                self.reshaped[id(target)] = standin

    def _as_reshaped(self, arguments: Any) -> Any:
        """Nested arguments with the shapes that they have by now."""
        if not self.reshaped:
            return arguments
        return nested(lambda tensor: self.reshaped.get(id(tensor), tensor), arguments)

    def _note_of_arrays(self, args: Any, kwargs: dict[str, Any]) -> None:
        """Note tensors that were made of arrays by no call that is seen: from those code has."""
        for tensor in tensors((args, kwargs)):
            if not self.tape.knows(tensor) and self.tape.stored.appeared.is_of_an_array(tensor):
                note(self.tape, "from_array", None, tensor, tuple(self.arrays), {}, [])

    def _without_layers(self, made: Call, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Answer a call that computes nothing."""
        if made.kind is Kind.DIRECT:
            result = func(*self._as_reshaped(args), **kwargs)
            self.tape.stored.appeared.given.append(result)
            return result
        if made.kind is Kind.DEVICE:
            return self.device(made, func, args)
        if made.kind is Kind.REFUSED:
            return False
        if func is SET:
            return set_from(self, *args, **kwargs)
        if func is SWAP:
            return self.attributes.swap(*args)
        return self.set(made.name, func, args, kwargs)

    def device(self, made: Call, func: Any, args: Any) -> Any:
        """Answer a question about a tensor's device."""
        return self.devices.answer(made.name, args[0])

    def _answer_and_follow(self, made: Call, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Answer a call, and do it on values that are known, if it is not about them."""
        if made.name not in PLACES:
            require_in_range(self.known, made.name, args, kwargs)
        result = self.answer(made, func, args, kwargs)
        if made.kind is not Kind.VALUES and made.kind is not Kind.GRADIENTS:
            self.known.follow(made, func, args, kwargs, result)
        return result

    def _enter(
        self, made: Call, args: Any, kwargs: dict[str, Any], frame: FrameType | None
    ) -> None:
        """Note which module makes a call, from the frame that it is made in, and how."""
        path, frame = self.places.of(frame)
        counted = self.places.counted(path, frame)
        if counted:
            path, frame = counted
        if counted or self.places.is_leaf(path):
            frame = self.places.began(path, frame)
        if self.observed:
            registered = self.tape.stored.parameters
            taken = (tensor for tensor in tensors((args, kwargs)) if id(tensor) in registered)
            shapes = tuple(tuple(tensor.shape) for tensor in taken)
            self.notes.append(note_of(len(self.tape.records), made.name, args, shapes))
            function = self._heard or f"({made.spelled})"
            strided = bool(args) and _is_strided(steps_first(made.name, args))
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

    def answer(self, made: Call, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """What a call gives: tensors that stand for its results."""
        if self.is_among(args) or made.kind is Kind.SPARSE or (kwargs and self.is_among(kwargs)):
            return self.sparse.answer(self, made, func, args, kwargs)
        if made.name == "where" and len(args) + len(kwargs) == 1:
            return reading_values.read(self, made._replace(name="nonzero"), func, args, kwargs)
        if made.rule is not None:
            result = self._by_rule(made, made.rule, func, args, kwargs)
            if result is not NotImplemented:
                return result
        elif made.kind is Kind.MOVES:
            return movements.move(self, made, func, args, kwargs)
        elif made.kind is Kind.MAKES:
            result = self.on_meta(made.name, func, args, kwargs | {"device": META})
            if self.arrays and args and hasattr(args[0], "__array__"):
                note(self.tape, made.name, None, result, tuple(self.arrays), {}, [])
            return self.devices.made(result, args, kwargs)
        elif made.kind is Kind.USERS:
            return self.by_users_rule(made, func, args, kwargs)
        elif made.kind is Kind.VALUES:
            return reading_values.read(self, made, func, args, kwargs)
        elif made.kind is Kind.GRADIENTS:
            return gradients_inside.on_shapes(self, made, func, args, kwargs)
        if has_other_types(args, kwargs):
            require_types(made.name, func, args, kwargs)
        return self.of_basics(made, func, args, kwargs)

    def _by_rule(self, made: Call, rule: Rule, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """What a rule says that a call gives; ``NotImplemented`` where it says nothing."""
        tape = self.tape
        now = self._as_reshaped(args)
        if made.asked:
            self.require(made, func, now, kwargs)
        result = by_rule(tape, rule, now, self._as_reshaped(kwargs))
        if made.name in ODD or has_other_types(args, kwargs):
            require_types(made.name, func, args, kwargs)
        if result is NotImplemented:
            return result
        if made.in_place and args and isinstance(args[0], Tensor):
            require_in_place(now[0], result)
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
        if made.name == "baddbmm" and torch.dtype in map(type, (*args, *kwargs.values())):
            return  # of which torch has no right answer on meta
        if made.in_place and args and isinstance(args[0], Tensor):  # torch would change its shape
            args = (torch.empty_like(self.tape.standin(args[0])), *args[1:])
        try:
            with dynamo_aside():
                func(*self.tape.stood(args), **self.tape.stood(kwargs))
        except Exception as error:
            if not any(word in words_of(error).lower() for word in ("meta", "not allocated")):
                raise  # else torch cannot tell without values
        if call is not None:
            TAKEN[call] = None

    def require_fits(self, made: Call, func: Any, args: Any, kwargs: dict[str, Any]) -> None:
        """Refuse elements that do not fit where a call puts them, or where it takes them from."""
        require_fits(self, made, func, args, kwargs)

    def set(self, name: str, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Let an attribute of a tensor be set, until the end of the run."""
        return set_attribute(self, name, func, args, kwargs)

    def transform(self, made: Call, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Answer a call inside a transform of ``torch.func``, such as ``vmap``."""
        self.transforms = True
        return transforms.answer(self, made, func, args, kwargs)

    def on_meta(self, name: str, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Run a call on ``meta``."""
        return on_meta.run(self, name, func, args, kwargs)

    def __exit__(self, *error: Any) -> None:
        """Leave this mode, and before it those that the run entered and did not leave."""
        while (depth := function_modes()) and function_mode_at(depth - 1) is not self:
            pop_function_mode()
        super().__exit__(*error)  # type: ignore[no-untyped-call]

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

    def of_basics(self, made: Call, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Run a call on ``meta``, and note the basic operations that it consists of."""
        with Basic(self.tape, made.name) as basic:
            result = self.on_meta(made.name, func, args, kwargs)
        basic.given(result)
        if made.in_place and args and isinstance(args[0], Tensor):
            return self.tape.renewed(args[0], self.tape.standin(args[0]))
        return result

    def value_of(self, tensor: Tensor, what: str) -> Tensor | None:
        """The elements of a tensor, which decide what a rule counts; None if not known."""
        known = self.known.of(self.tape.original(tensor))
        if known is None:
            if self.is_weightless and tensor.is_floating_point():
                raise self.needs_values(what)
            return None
        self.known.decide(what, self.where(), known.inputs)
        return known.copy

    def needs_values(self, name: str) -> ValuesError:
        """The error of a call that asks for values."""
        return ValuesError(
            f"{name} at {self.where()} needs the values of a tensor, and only shapes are known: "
            "run it on real tensors with real=True, or --real"
        )

    def where(self) -> str:
        """The module at work, and the line of code outside of torch."""
        place = self.tape.site.place or "the model"
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            home = frame.f_globals.get("__name__", "")
            if home == "costlab.trace":  # who called us did not write the model
                return place
            if home.partition(".")[0] not in ("torch", "costlab"):
                return f"{place} ({frame.f_code.co_filename}:{frame.f_lineno})"
            frame = frame.f_back
        return place


def _is_transformed(arguments: Any) -> bool:
    """Whether a transform of ``torch.func``, such as ``vmap``, is at work on arguments."""
    return transform_at_work() is not None and any(map(is_wrapped, tensors(arguments)))


def _is_strided(value: Any) -> bool:
    return isinstance(value, Tensor) and not is_sparse(value) and not value.is_contiguous()
