"""Modules of torch whose forward is one call of a function: a rule answers them, nothing is run.

What torch does between such a module and its function takes longer than the rule does.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from threading import get_ident
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.module import _global_forward_hooks, _global_forward_pre_hooks

from costlab.trace.calls import call
from costlab.trace.registry import Rule
from costlab.trace.tape import Tape

if TYPE_CHECKING:
    from costlab.trace.recorder import Recorder

Answer = Callable[[Rule, Tape, Any, Tensor], Any]
"""The rule's answer for a module and its input; ``NotImplemented`` where its forward does more."""


class Direct(NamedTuple):
    """What a kind of module calls, and how; its function and its forward as torch made them."""

    name: str
    answer: Answer
    function: Any
    forward: Any


def _conv(rule: Rule, on: Tape, module: nn.Conv2d, x: Tensor) -> Any:
    if module.padding_mode != "zeros":
        return NotImplemented
    return rule(
        on,
        x,
        **module._parameters,
        stride=module.stride,
        padding=module.padding,
        dilation=module.dilation,
        groups=module.groups,
    )


def _linear(rule: Rule, on: Tape, module: nn.Linear, x: Tensor) -> Any:
    return rule(on, x, **module._parameters)


def _batch_norm(rule: Rule, on: Tape, module: nn.BatchNorm2d, x: Tensor) -> Any:
    if module.training or x.dim() != 4:
        return NotImplemented
    return rule(on, x, None, None, **module._parameters, eps=module.eps)


def _layer_norm(rule: Rule, on: Tape, module: nn.LayerNorm, x: Tensor) -> Any:
    return rule(on, x, module.normalized_shape, **module._parameters, eps=module.eps)


def _activation(rule: Rule, on: Tape, module: nn.ReLU, x: Tensor) -> Any:
    return rule(on, x, inplace=module.inplace)


def _gelu(rule: Rule, on: Tape, module: nn.GELU, x: Tensor) -> Any:
    return rule(on, x, approximate=module.approximate)


def _dropout(rule: Rule, on: Tape, module: nn.Dropout, x: Tensor) -> Any:
    return rule(on, x, module.p, inplace=module.inplace)


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
    kind: Direct(name, answer, getattr(functional, name), kind.forward)
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


def answer_directly(recorder: Recorder) -> None:
    """Let modules answer their calls by a rule, where they are just what torch made them.

    ``_compiled_call_impl`` is what torch calls in place of a module, if it is set; copies of a
    module do not take it along. It is for `state.untouched` to take it away again.
    """
    from costlab.trace.recorder import transformed

    tape, places, thread = recorder.tape, recorder.places, get_ident()
    if places.counts_modules:  # each place is then to be asked about
        return
    paths = places.by_identity

    def answer(rule: Rule, by: Answer, module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        if (
            len(args) == 1
            and not kwargs
            and "forward" not in module.__dict__
            and not module._forward_hooks
            and not module._forward_pre_hooks
            and not _global_forward_hooks
            and not _global_forward_pre_hooks
            and get_ident() == thread
            and transformed() is None
        ):
            path, mark = paths[id(module)], len(tape.records)
            tape.enter(path, object(), False)
            with torch._C.DisableTorchFunction():
                try:
                    result = by(rule, tape, module, args[0])
                except TypeError:  # what is right is said by torch itself
                    result = NotImplemented
            if result is not NotImplemented:
                return result
            tape.forget(mark)
            tape.enter_no_more(path)
        return module._call_impl(*args, **kwargs)  # type: ignore[no-untyped-call]

    def made(kind: type[nn.Module]) -> Any:
        """What makes the answer of a module of that kind, if there is one."""
        direct = KINDS.get(kind)
        if (
            direct is None
            or kind.forward is not direct.forward
            or getattr(functional, direct.name) is not direct.function
        ):
            return None
        rule = call(direct.function).rule
        return rule and partial(partial, answer, rule, direct.answer)

    places.learn(answer, "module")
    known: dict[type[nn.Module], Any] = {}
    for module in places.modules:
        kind = type(module)
        if kind not in known:
            known[kind] = made(kind)
        if make := known[kind]:
            module.__dict__["_compiled_call_impl"] = make(module)
