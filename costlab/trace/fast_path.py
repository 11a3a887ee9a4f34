"""Modules of torch whose forward is one call of a function: a rule answers them, nothing is run.

What torch does between such a module and its function takes longer than the rule does. A module is
answered only where nothing else would run or see the call (`_shortcut`):

- it is called with one tensor, by position, of a type that it certainly takes;
- no hook sees it, neither one of its own nor one of all modules;
- it, its kind and its function are what torch made them: nobody replaced a method or the function,
  or hid one of them, or a parameter, by an attribute of this one module;
- the recorder of this run is the innermost mode of this thread, and no transform of ``torch.func``
  is at work;
- the rule takes the arguments: what it does not take is refused by torch, in its own words.

In any other case the module runs as ever. `answer_directly` sets ``_compiled_call_impl``, which
torch calls in a module's place, until the run ends.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import lru_cache, partial
from types import BuiltinFunctionType
from typing import TYPE_CHECKING, Any, NamedTuple

from torch import Tensor, nn, strided
from torch.nn import functional

from costlab.torch_private import (
    forward_hooks,
    forward_pre_hooks,
    function_mode_at,
    function_modes,
    transform_at_work,
    unseen_by_modes,
)
from costlab.trace.classification import classify
from costlab.trace.refusals import FLOATS
from costlab.trace.registry import Rule
from costlab.trace.tape import Tape

if TYPE_CHECKING:
    from costlab.trace.recorder import Recorder

Answer = Callable[[Rule, Tape, Any, Tensor], Any]
"""The rule's answer for a module and its input; ``NotImplemented`` where its forward does more."""


class Direct(NamedTuple):
    """The name of the function that a kind of module calls, how, and what of the kind does it."""

    name: str
    answer: Answer
    methods: tuple[str, ...]


def _conv(rule: Rule, on: Tape, module: nn.Conv2d, x: Tensor) -> Any:
    if module.padding_mode != "zeros":
        return NotImplemented
    own = module._parameters
    return rule(
        on,
        x,
        own["weight"],
        own["bias"],
        module.stride,
        module.padding,
        module.dilation,
        module.groups,
    )


def _linear(rule: Rule, on: Tape, module: nn.Linear, x: Tensor) -> Any:
    own = module._parameters
    return rule(on, x, own["weight"], own["bias"])


def _batch_norm(rule: Rule, on: Tape, module: nn.BatchNorm2d, x: Tensor) -> Any:
    own, statistics = module._parameters, module._buffers
    if module.training or statistics["running_mean"] is None or x.dim() != 4:
        return NotImplemented
    return rule(
        on,
        x,
        statistics["running_mean"],
        statistics["running_var"],
        own["weight"],
        own["bias"],
        eps=module.eps,
    )


def _layer_norm(rule: Rule, on: Tape, module: nn.LayerNorm, x: Tensor) -> Any:
    own = module._parameters
    return rule(on, x, module.normalized_shape, own["weight"], own["bias"], module.eps)


def _activation(rule: Rule, on: Tape, module: nn.ReLU, x: Tensor) -> Any:
    return rule(on, x, inplace=module.inplace)


def _gelu(rule: Rule, on: Tape, module: nn.GELU, x: Tensor) -> Any:
    return rule(on, x, approximate=module.approximate)


def _dropout(rule: Rule, on: Tape, module: nn.Dropout, x: Tensor) -> Any:
    return rule(on, x, module.p, module.training, inplace=module.inplace)


def _max_pool(rule: Rule, on: Tape, module: nn.MaxPool2d, x: Tensor) -> Any:
    return rule(
        on,
        x,
        module.kernel_size,
        module.stride,
        module.padding,
        module.dilation,
        ceil_mode=module.ceil_mode,
        return_indices=module.return_indices,
    )


def _avg_pool(rule: Rule, on: Tape, module: nn.AvgPool2d, x: Tensor) -> Any:
    return rule(
        on,
        x,
        module.kernel_size,
        module.stride,
        module.padding,
        module.ceil_mode,
        module.count_include_pad,
        module.divisor_override,
    )


def _adaptive_pool(rule: Rule, on: Tape, module: nn.AdaptiveAvgPool2d, x: Tensor) -> Any:
    return rule(on, x, module.output_size)


_METHODS = ("_call_impl", "forward", "_conv_forward", "_check_input_dim")
"""What torch runs of these modules."""

_HIDDEN = frozenset((*_METHODS, "weight", "bias"))
"""What an attribute of just one module would hide: its kind's methods, its parameters."""

KINDS: dict[type[nn.Module], Direct] = {
    kind: Direct(name, answer, tuple([method for method in _METHODS if hasattr(kind, method)]))
    for kind, name, answer in (
        (nn.Conv1d, "conv1d", _conv),
        (nn.Conv2d, "conv2d", _conv),
        (nn.Conv3d, "conv3d", _conv),
        (nn.Linear, "linear", _linear),
        (nn.BatchNorm2d, "batch_norm", _batch_norm),
        (nn.LayerNorm, "layer_norm", _layer_norm),
        (nn.ReLU, "relu", _activation),
        (nn.SiLU, "silu", _activation),
        (nn.GELU, "gelu", _gelu),
        (nn.Dropout, "dropout", _dropout),
        (nn.MaxPool2d, "max_pool2d", _max_pool),
        (nn.AvgPool2d, "avg_pool2d", _avg_pool),
        (nn.AdaptiveAvgPool2d, "adaptive_avg_pool2d", _adaptive_pool),
    )
}


_FUNCTIONAL = ("torch.nn.functional", "torch._jit_internal")


@lru_cache(maxsize=256)
def _as_torch_made_them(function: Any, methods: tuple[Any, ...]) -> bool:
    """Whether the function and the methods of a kind of module are torch's own.

    Asked of what they are: who replaced them may have done so before this file was loaded.
    """
    if not isinstance(function, BuiltinFunctionType) and _home(function) not in _FUNCTIONAL:
        return False
    return all(_home(method).startswith("torch.nn.modules.") for method in methods)


def _home(function: Any) -> str:
    """Where the code of a function is from, whatever it says of itself."""
    home: str = getattr(function, "__globals__", {}).get("__name__", "")
    return home


class OneCall(NamedTuple):
    """A kind of module that is one call, as it was when the run began."""

    kind: type[nn.Module]
    name: str
    function: Any
    forward: Any
    rule: Rule
    answer: Answer

    @classmethod
    def of(cls, kind: type[nn.Module]) -> OneCall | None:
        """That kind, if its modules are one call and all of it is torch's own."""
        direct = KINDS.get(kind)
        if direct is None:
            return None
        function = getattr(functional, direct.name)
        methods = tuple([getattr(kind, name, None) for name in direct.methods])
        if not _as_torch_made_them(function, methods):
            return None
        rule = classify(function).rule
        return rule and cls(kind, direct.name, function, kind.forward, rule, direct.answer)

    def is_of(self, module: nn.Module) -> bool:
        """Whether a module is such a call still."""
        return (
            type(module) is self.kind
            and self.kind.forward is self.forward
            and getattr(functional, self.name) is self.function
            and module.__dict__.keys().isdisjoint(_HIDDEN)
        )


def _shortcut(
    recorder: Recorder, module: nn.Module, call: OneCall, *args: Any, **kwargs: Any
) -> Any:
    """What is called in place of a module: the rule's answer, or what the module gives."""
    # Whom torch calls: it may be a module that was given the attributes of this one.
    frame = sys._getframe(1)
    at_work: Any = frame.f_locals.get("self", module)
    if (
        at_work is module
        and len(args) == 1
        and not kwargs
        and isinstance(args[0], Tensor)
        and not module._forward_hooks
        and not module._forward_pre_hooks
        and not forward_hooks
        and not forward_pre_hooks
        and call.is_of(module)
        and recorder.tape.number(args[0]) is not None  # else it may be from nowhere
        and not recorder.reshaped
        # It is the innermost mode: there is none in other threads, or after the run.
        and (depth := function_modes())
        and function_mode_at(depth - 1) is recorder
        and transform_at_work() is None
    ):
        x, tape, path = args[0], recorder.tape, recorder.places.called(module, frame.f_back)
        mark = len(tape.records), len(tape.values)
        tape.enter(path, object())
        result = NotImplemented
        with unseen_by_modes():
            try:
                if x.dtype in FLOATS and x.layout is strided:
                    result = call.answer(call.rule, tape, module, x)
            except (TypeError, KeyError):  # what is right is said by torch itself
                pass
        if result is not NotImplemented:
            return result
        tape.forget(mark)
        tape.enter_no_more(path)
    # From here on another frame says which module is at work (see `Places.learn`).
    called, at_work = at_work, None
    return called._call_impl(*args, **kwargs)


def answer_directly(recorder: Recorder) -> None:
    """Let modules answer their calls by a rule, where they are just what torch made them.

    They have the copies of their attributes that `untouched` gives them: it ends with these.
    """
    places = recorder.places
    # Then each place is to be asked about, or each parameter.
    if places.counts_modules or recorder.has_sparse:
        return
    places.learn(_shortcut, "at_work")
    calls = {kind: call for kind in places.kinds if (call := OneCall.of(kind))}
    for module in places.modules:
        if call := calls.get(type(module)):
            module.__dict__["_compiled_call_impl"] = partial(_shortcut, recorder, module, call)
