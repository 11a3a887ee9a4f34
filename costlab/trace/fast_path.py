"""Modules of torch whose forward is one call of a function: a rule answers them, nothing is run.

What torch does between such a module and its function takes longer than the rule does.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import BuiltinFunctionType
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.module import _global_forward_hooks, _global_forward_pre_hooks

from costlab.trace.classification import call
from costlab.trace.refusals import FLOATS
from costlab.trace.registry import Rule
from costlab.trace.tape import Tape

if TYPE_CHECKING:
    from costlab.trace.recorder import Recorder

transformed = torch._C._functorch.peek_interpreter_stack

Answer = Callable[[Rule, Tape, Any, Tensor], Any]
"""The rule's answer for a module and its input; ``NotImplemented`` where its forward does more."""


class Direct(NamedTuple):
    """The name of the function that a kind of module calls, and how."""

    name: str
    answer: Answer


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
    if module.training or x.dim() != 4:
        return NotImplemented
    own, statistics = module._parameters, module._buffers
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


KINDS: dict[type[nn.Module], Direct] = {
    kind: Direct(name, answer)
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


_METHODS = ("_call_impl", "forward", "_conv_forward", "_check_input_dim")
"""What torch runs of these modules."""

_HIDDEN = frozenset((*_METHODS, "weight", "bias"))
"""What an attribute of just one module would hide: its kind's methods, its parameters."""


_FUNCTIONAL = ("torch.nn.functional", "torch._jit_internal")


def _as_torch_made_it(kind: type[nn.Module], name: str) -> bool:
    """Whether the methods of a kind of module and its function are torch's own.

    Asked of what they are: who replaced them may have done so before this file was loaded.
    """
    function = getattr(functional, name)
    if not isinstance(function, BuiltinFunctionType) and _home(function) not in _FUNCTIONAL:
        return False
    homes = [_home(getattr(kind, method)) for method in _METHODS if hasattr(kind, method)]
    return all(home.startswith("torch.nn.modules.") for home in homes)


def _home(function: Any) -> str:
    """Where the code of a function is from, whatever it says of itself."""
    home: str = getattr(function, "__globals__", {}).get("__name__", "")
    return home


@contextmanager
def answered_directly(recorder: Recorder) -> Iterator[None]:
    """Let modules answer their calls by a rule, where they are just what torch made them.

    ``_compiled_call_impl`` is what torch calls in place of a module, if it is set.
    """
    tape, places = recorder.tape, recorder.places
    if places.counts_modules:  # each place is then to be asked about
        yield
        return
    paths = places.by_identity
    modes, mode = torch._C._len_torch_function_stack, torch._C._get_function_stack_at

    def answer(
        kind: type[nn.Module],
        name: str,
        function: Any,
        forward: Any,
        rule: Rule,
        by: Answer,
        path: str,
        module: nn.Module,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        # Whom torch calls: it may be one that was given the attributes of this one.
        at_work: Any = sys._getframe(1).f_locals.get("self", module)
        if (
            at_work is module
            and len(args) == 1
            and isinstance(args[0], Tensor)
            and args[0].dtype in FLOATS  # of others, torch is asked
            and not kwargs
            and not module._forward_hooks
            and not module._forward_pre_hooks
            and not _global_forward_hooks
            and not _global_forward_pre_hooks
            and type(module) is kind
            and kind.forward is forward
            and getattr(functional, name) is function
            and module.__dict__.keys().isdisjoint(_HIDDEN)
            and transformed() is None
            and (depth := modes())  # none in other threads, or after the run
            and mode(depth - 1) is recorder
        ):
            mark = tape.mark()
            tape.enter(path, object(), False)
            with torch._C.DisableTorchFunction():
                try:
                    result = by(rule, tape, module, args[0])
                except (TypeError, KeyError):  # what is right is said by torch itself
                    result = NotImplemented
            if result is not NotImplemented:
                return result
            tape.forget(mark)
            tape.enter_no_more(path)
        called, at_work = at_work, None  # the frames of what runs now say what is at work
        return called._call_impl(*args, **kwargs)

    def made(kind: type[nn.Module]) -> Any:
        """What makes the answer of a module of that kind, if there is one."""
        direct = KINDS.get(kind)
        if direct is None or not _as_torch_made_it(kind, direct.name):
            return None
        name, by = direct
        function = getattr(functional, name)
        rule = call(function).rule
        return rule and partial(partial, answer, kind, name, function, kind.forward, rule, by)

    places.learn(answer, "at_work")  # the name of what it has there
    known: dict[type[nn.Module], Any] = {}
    changed: list[dict[str, Any]] = []  # not the modules: another thread may give them other ones
    try:
        for module in places.modules:
            kind = type(module)
            if kind not in known:
                known[kind] = made(kind)
            if make := known[kind]:
                changed.append(module.__dict__)
                module.__dict__["_compiled_call_impl"] = make(paths[id(module)], module)
        yield
    finally:
        for attributes in changed:
            attributes.pop("_compiled_call_impl", None)
