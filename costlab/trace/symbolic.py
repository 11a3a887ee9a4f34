"""Follows a module's forward on shapes whose dimensions carry symbols."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields, replace
from typing import Any

import torch
from torch import Tensor, nn

from costlab.errors import ValuesError
from costlab.graph.op import Op, Shape
from costlab.ops.elementwise import Scale
from costlab.symbols.assumptions import Assumptions
from costlab.symbols.size import Size
from costlab.torch_private import SymFloat, SymInt, asserted, enable_python_dispatcher
from costlab.trace.classification import Call
from costlab.trace.known_values import KnownValues
from costlab.trace.recorder import Recorder
from costlab.trace.symbolic_ends import EndsOfTensors
from costlab.trace.symbolic_numbers import at_hint
from costlab.trace.symbolic_views import VIEWED
from costlab.trace.tape import Tape
from costlab.trace.tensors import META, nested, tensors


class SymbolicValues(KnownValues):
    """What is known of values: of tensors whose size depends on symbols, between which they are."""

    def __init__(self, tape: Tape) -> None:
        super().__init__(tape)
        self._ends = EndsOfTensors()

    def is_concerned(self, made: Call, args: Any) -> bool:
        """Whether a call may have to do with what is known."""
        return bool(self._ends) or super().is_concerned(made, args)

    def ends_of(self, indices: Tensor) -> tuple[Any, ...]:
        """Between which numbers elements are, if these are made of symbols."""
        return self._ends.of(indices) or ()

    def follow(self, made: Call, func: Any, args: Any, kwargs: dict[str, Any], result: Any) -> None:
        """Do a call on the copies too, if no size in it depends on symbols."""
        if has_symbols((args, kwargs)) or any(map(is_symbolic, tensors(result))):
            self._changed(made, args, kwargs)
        else:
            super().follow(made, func, args, kwargs, result)
        self._ends.follow(made, args, kwargs, result)

    def of(self, tensor: Tensor) -> Any:
        """What is known of a tensor."""
        return None if is_symbolic(tensor) else super().of(tensor)


class SymbolicTape(Tape):
    """Notes operations whose sizes may be symbols."""

    def record(
        self,
        op: Op,
        inputs: Sequence[Tensor],
        weights: Iterable[Tensor | None] = (),
        dtype: torch.dtype | None = None,
        shapes: tuple[Shape, ...] | None = None,
        result: Tensor | None = None,
    ) -> Tensor:
        if shapes is None:
            shapes = tuple([tuple(tensor.shape) for tensor in inputs])
        if len(shapes) > 1:
            shapes = _spread(op, shapes)
        return super().record(op, inputs, weights, dtype, shapes, result)

    def _note(self, op: Op, *noted: Any) -> None:
        super()._note(_with_numbers(op), *noted)


def _spread(op: Op, shapes: tuple[Shape, ...]) -> tuple[Shape, ...]:
    """The shapes that an operation takes: a size that is 1 where it is followed may have to be.

    Where they do not fit as symbols, those that are 1 are fixed, so that they spread.
    """
    sizes: list[Any] = [d for shape in shapes for d in shape if type(d) is SymInt]
    ones = [d for d in sizes if d.node.value.hint == 1]
    if not ones:
        return shapes
    with ones[0].node.value.of.unasked():
        if all(holds for holds, _ in op.conditions(*shapes)):
            return shapes
    known = set(map(id, ones))
    return tuple(tuple(int(d) if id(d) in known else d for d in shape) for shape in shapes)


def _with_numbers(op: Op) -> Op:
    """An operation with numbers for floats that are made of sizes."""
    floats = {
        part.name: value
        for part in fields(op)  # type: ignore[arg-type]
        if type(value := getattr(op, part.name)) is SymFloat
    }
    if not floats:
        return op
    if isinstance(op, Scale):  # a constant that decides nothing
        return Scale(floats["by"].node.hint)
    return replace(op, **{name: value.node.asked() for name, value in floats.items()})  # type: ignore[type-var]


class SymbolicRecorder(Recorder):
    """A recorder of calls whose sizes may be symbols."""

    tapes = SymbolicTape

    def __init__(
        self,
        of: Assumptions,
        module: nn.Module,
        observed: bool = False,
        gradients: bool = False,
    ) -> None:
        super().__init__(module, observed, gradients)
        self.known = SymbolicValues(self.tape)
        self._assumptions = of
        of.where = self.where
        self._required: set[Any] = set()
        """Calls that torch has taken."""

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if getattr(func, "__name__", "").startswith("sym_"):  # about numbers, not tensors
            return func(*args, **(kwargs or {}))
        if func is asserted and len(args) > 1:
            self._assumptions.said(str(args[1]))
        self._assumptions.settle()
        return super().__torch_function__(func, types, args, kwargs)

    def require(self, made: Call, func: Any, args: Any, kwargs: dict[str, Any]) -> None:
        """Refuse a call that a rule answers, if torch does; what it gives is not looked at.

        So torch need not know which of two ways to that it takes, only what it requires on it.
        """
        if not has_symbols((args, kwargs)):
            return super().require(made, func, args, kwargs)
        args, kwargs = without_floats(made.name, (args, kwargs))
        if "need_weights" in kwargs:  # which torch asks for the number of a width, to scale them
            kwargs = kwargs | {"need_weights": False}
        if made.name in _STEP_BY_STEP:
            return self._require_at_hints(made, func, args, kwargs)
        try:
            call = func, made.in_place, _signature(args), _signature(kwargs)
            if call in self._required:
                return None
        except TypeError:  # something in it has no hash
            call = None
        with enable_python_dispatcher():
            try:
                with self._assumptions.in_general():
                    super().require(made, func, args, kwargs)
            except ZeroDivisionError:  # of a size that is 0 there
                self._require_at_hints(made, func, args, kwargs)
            except (RuntimeError, ValueError, AssertionError) as error:
                if "Cannot view a tensor" in str(error):  # torch's code looks for strides of a view
                    self._require_at_hints(made, func, args, kwargs)
                else:
                    super().require(made, func, args, kwargs)
        if call is not None:
            self._required.add(call)
        return None

    def require_fits(self, made: Call, func: Any, args: Any, kwargs: dict[str, Any]) -> None:
        """Refuse elements that do not fit; what knows of symbols there is torch's Python code."""
        if not has_symbols((args, kwargs)):
            return super().require_fits(made, func, args, kwargs)
        with enable_python_dispatcher(), self._assumptions.in_general():
            return super().require_fits(made, func, args, kwargs)

    def _require_at_hints(self, made: Call, func: Any, args: Any, kwargs: dict[str, Any]) -> None:
        """Refuse what torch refuses at the hints: that is then said of these sizes only."""
        try:
            super().require(made, func, *nested_numbers((args, kwargs)))
        except Exception:
            for size in _symbolic_sizes((args, kwargs)):
                self._assumptions.fixed(size)
            raise

    def needs_values(self, name: str) -> ValuesError:
        """The error of a call that asks for values, which are known of none of these tensors."""
        return ValuesError(
            f"{name} at {self.where()} needs the values of a tensor, whose size is a symbol: give "
            "numbers for the sizes (costlab show), or sweep over them"
        )

    def on_meta(self, name: str, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Run a call on ``meta``; what knows of symbols there is torch's Python code."""
        if not has_symbols((args, kwargs)):
            return super().on_meta(name, func, args, kwargs)
        if name in VIEWED:
            result = VIEWED[name](self.tape.standin(args[0]), *args[1:], **kwargs)
            if result is not None:
                return result
        with enable_python_dispatcher():
            return super().on_meta(name, func, args, kwargs)


def is_symbolic(tensor: Tensor) -> bool:
    """Whether a size of a tensor depends on symbols."""
    return any(type(d) is SymInt for d in tensor.shape)


def has_symbols(value: Any) -> bool:
    """Whether a size in nested arguments depends on symbols."""
    if isinstance(value, Tensor):
        return is_symbolic(value)
    if isinstance(value, (tuple, list)):
        return any(map(has_symbols, value))
    if isinstance(value, dict):
        return any(map(has_symbols, value.values()))
    if type(value) is slice:
        return any(map(has_symbols, (value.start, value.stop, value.step)))
    return type(value) in (SymInt, SymFloat)


def _symbolic_sizes(value: Any) -> Iterator[Size]:
    """The sizes in nested arguments that depend on symbols."""
    if isinstance(value, Tensor):
        yield from _symbolic_sizes(tuple(value.shape))
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from _symbolic_sizes(item)
    elif isinstance(value, dict):
        yield from _symbolic_sizes(tuple(value.values()))
    elif type(value) is SymInt:
        yield value.node.value


def _signature(value: Any) -> Any:
    """All of a call that torch can refuse. Raises ``TypeError`` where that has no hash."""
    if isinstance(value, Tensor):
        return _signature(tuple(value.shape)), value.dtype
    if isinstance(value, (tuple, list)):
        return tuple([_signature(item) for item in value])
    if isinstance(value, dict):
        return tuple([(key, _signature(item)) for key, item in value.items()])
    if type(value) is SymInt:
        return value.node.value.key
    hash(value)
    return value, type(value)


def without_floats(name: str, value: Any) -> Any:
    """Arguments of a call, with numbers for floats made of sizes where these decide nothing."""
    return value if name in _SIZED_BY_FLOATS else _plain_floats(value)


def _plain_floats(value: Any) -> Any:
    if type(value) is SymFloat:
        return at_hint(value)
    if type(value) in (tuple, list):
        return type(value)([_plain_floats(item) for item in value])
    if type(value) is dict:
        return {key: _plain_floats(item) for key, item in value.items()}
    return value


_SIZED_BY_FLOATS = frozenset({"interpolate", "upsample", "arange", "range"})
"""Functions of which a float says the size."""


def on_meta(value: Any) -> Any:
    """Nested arguments with empty tensors on ``meta`` for all others."""
    return nested(
        lambda t: t if t.device.type == "meta" else torch.empty_like(t, device=META), value
    )


def nested_numbers(value: Any) -> Any:
    """Nested arguments with what their sizes are at the hints; tensors are others."""
    if isinstance(value, Tensor) and is_symbolic(value):
        return torch.empty(tuple(map(at_hint, value.shape)), dtype=value.dtype, device=META)
    if isinstance(value, (tuple, list)):
        return type(value)([nested_numbers(item) for item in value])
    if isinstance(value, dict):
        return {key: nested_numbers(item) for key, item in value.items()}
    return at_hint(value)


_STEP_BY_STEP = frozenset({"lstm", "gru", "rnn_tanh", "rnn_relu"})
"""Calls that torch's Python code of them runs for each position; it takes them at any length."""
