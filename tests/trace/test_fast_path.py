"""Modules that a rule answers without running them: only where nothing else would be run."""

from __future__ import annotations

import copy
import subprocess
import sys
from collections.abc import Callable
from threading import Thread
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.module import register_module_forward_hook
from torch.overrides import TorchFunctionMode
from tracing import CheckedRecorder, checked

import costlab
from costlab.costs.table import costs
from costlab.trace import trace
from costlab.trace.fast_path import KINDS
from costlab.trace.recorder import Recorder


def paths(module: nn.Module, size: tuple[int, ...] = (1, 3, 8, 8)) -> list[str]:
    return [layer.path for layer in checked(module, size).layers]


class Around(nn.Module):
    """A convolution, and what its owner does with it."""

    def __init__(self, act: Callable[[nn.Conv2d, Tensor], Any]) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.act = act

    def forward(self, x: Tensor) -> Any:
        return self.act(self.conv, x)


def hooked_late(conv: nn.Conv2d, x: Tensor) -> Any:
    conv.register_forward_hook(lambda module, args, output: output * 2)
    return conv(x)


def hooked_before(conv: nn.Conv2d, x: Tensor) -> Any:
    conv.register_forward_pre_hook(lambda module, args: (args[0] + args[0],))
    return conv(x)


def hooked_everywhere(conv: nn.Conv2d, x: Tensor) -> Any:
    handle = register_module_forward_hook(lambda module, args, output: output * 2)
    try:
        return conv(x)
    finally:
        handle.remove()


def copied(conv: nn.Conv2d, x: Tensor) -> Any:
    other = copy.deepcopy(conv)
    assert "_compiled_call_impl" not in vars(other)
    return conv(other(x))


def copied_flat(conv: nn.Conv2d, x: Tensor) -> Any:
    other = copy.copy(conv)
    other._parameters = {"weight": nn.Parameter(torch.ones(3, 3, 1, 1)), "bias": None}
    other.padding = (0, 0)
    return conv(other(x))


def changed(conv: nn.Conv2d, x: Tensor) -> Any:
    conv.weight = nn.Parameter(torch.ones(3, 3, 1, 1))
    return conv(x)


def reflecting(conv: nn.Conv2d, x: Tensor) -> Any:
    conv.padding_mode = "reflect"
    return conv(x)


def entered(conv: nn.Conv2d, x: Tensor) -> Any:
    return conv.forward(x) + nn.Conv2d.forward(conv, x) + conv(x) + conv(input=x)


def again(conv: nn.Conv2d, x: Tensor) -> Any:
    return conv(x) + conv(x[0])


def with_forward(conv: nn.Conv2d, x: Tensor) -> Any:
    conv.forward = lambda x: x * 2 + 1  # type: ignore[method-assign, assignment]
    return conv(x)


def with_part_of_forward(conv: nn.Conv2d, x: Tensor) -> Any:
    """As tiling pictures are made."""
    conv._conv_forward = lambda x, weight, bias: x * 2 + 1  # type: ignore[method-assign, assignment]
    return conv(x)


def with_call(conv: nn.Conv2d, x: Tensor) -> Any:
    conv._call_impl = lambda x: x * 2 + 1  # type: ignore[method-assign, misc]
    return conv(x)


class Scaled(nn.Conv2d):
    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input) * 2


def of_another_kind(conv: nn.Conv2d, x: Tensor) -> Any:
    conv.__class__ = Scaled
    return conv(x)


class Doubling(TorchFunctionMode):
    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        return result * 2 if func is functional.conv2d else result


def in_a_mode(conv: nn.Conv2d, x: Tensor) -> Any:
    with Doubling():
        return conv(x)


def with_another_function(conv: nn.Conv2d, x: Tensor) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(functional, "conv2d", lambda x, *args: x * 2)
        return conv(x)


def with_another_forward(conv: nn.Conv2d, x: Tensor) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nn.Conv2d, "forward", lambda self, x: x * 2)
        return conv(x)


def with_the_same_attributes(conv: nn.Conv2d, x: Tensor) -> Any:
    other = nn.Conv2d.__new__(nn.Conv2d)
    vars(other).update(vars(conv))
    other.padding = (0, 0)
    assert other(x).shape == (1, 3, 6, 6)
    return conv(x)


def given_no_tensor(conv: nn.Conv2d, x: Tensor) -> Any:
    with pytest.raises(TypeError):
        conv("x")
    return conv(x)


@pytest.mark.parametrize(
    ("act", "wanted"),
    [
        (hooked_late, ["conv.conv2d", "conv.scale"]),
        (hooked_before, ["conv.add", "conv.conv2d"]),
        (hooked_everywhere, ["conv.conv2d", "conv.scale"]),
        (copied, ["conv2d", "conv"]),
        (copied_flat, ["conv2d", "conv"]),
        (changed, ["conv"]),
        (reflecting, ["conv.pad", "conv.conv2d"]),
        (entered, ["conv", "conv@2", "add", "conv@3", "add_2", "conv@4", "add_3"]),
        (again, ["conv", "slice", "conv@2", "add"]),
        (with_forward, ["conv.scale", "conv.add"]),
        (with_part_of_forward, ["conv.scale", "conv.add"]),
        (with_call, ["scale", "add"]),
        (of_another_kind, ["conv.conv2d", "conv.scale"]),
        (in_a_mode, ["conv.conv2d", "conv.scale"]),
        (with_another_function, ["conv"]),
        (with_another_forward, ["conv"]),
        (with_the_same_attributes, ["conv2d", "conv"]),
        (given_no_tensor, ["conv"]),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_what_users_do_to_a_module_of_torch_is_done(
    act: Callable[..., Any], wanted: list[str]
) -> None:
    module = Around(act)
    state = dict(vars(module.conv))
    assert paths(module) == wanted
    assert vars(module.conv) == state
    assert type(module.conv) is nn.Conv2d


UNUSUAL: dict[type[nn.Module], nn.Module] = {
    type(module): module
    for module in (
        nn.Conv1d(6, 4, 3, 2, 1, 2, 2, bias=False),
        nn.Conv2d(6, 4, (3, 2), (2, 1), (1, 0), (2, 1), 2, bias=False),
        nn.Conv3d(6, 4, 3, padding="same", dilation=2),
        nn.Linear(9, 4, bias=False),
        nn.BatchNorm2d(6, eps=0.1, affine=False),
        nn.LayerNorm((9, 9), eps=0.1, bias=False),
        nn.ReLU(inplace=True),
        nn.SiLU(inplace=True),
        nn.GELU("tanh"),
        nn.Dropout(0.25, inplace=True),
        nn.MaxPool2d(3, 2, 1, 2, ceil_mode=True),
        nn.AvgPool2d((3, 2), 2, 1, ceil_mode=True, count_include_pad=False, divisor_override=2),
        nn.AdaptiveAvgPool2d((None, 2)),
    )
}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_function_that_was_replaced_is_called(
    kind: type[nn.Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also a forward."""
    module = nn.Sequential(UNUSUAL[kind])
    size = (1, 6, 9, 9, 9)[: {"Conv1d": 3, "Conv3d": 5}.get(kind.__name__, 4)]
    (before,) = checked(module, size).layers
    with monkeypatch.context() as patch:
        patch.setattr(functional, KINDS[kind].name, lambda x, *args, **kwargs: torch.tanh(x))
        assert [layer.op.name for layer in trace(module, size).layers] == ["tanh"]
    with monkeypatch.context() as patch:
        patch.setattr(kind, "forward", lambda self, x: torch.tanh(x))
        assert [layer.op.name for layer in trace(module, size).layers] == ["tanh"]
    assert trace(module, size).layers == (before,)


def test_compiled_modules_are_run_as_they_were_made() -> None:
    module = nn.Sequential(nn.Sequential(nn.Linear(4, 4)), nn.Linear(4, 4))
    for each in module.modules():
        each.compile(backend="eager")
    compiled = [vars(each)["_compiled_call_impl"] for each in module.modules()]
    assert costlab.analyze(module, (1, 4)).total.macs == 32
    assert [vars(each)["_compiled_call_impl"] for each in module.modules()] == compiled


def test_another_thread_runs_the_module_itself() -> None:
    """While it is traced here."""
    x = torch.ones(1, 3, 4, 4)
    own = nn.Conv2d(3, 3, 3, padding=1)

    def act(conv: nn.Conv2d, traced: Tensor) -> Any:
        found: list[bool] = []
        other = Thread(target=lambda: found.append(torch.equal(conv(x), own(x))))
        other.start()
        other.join()
        assert found == [True]
        return conv(traced)

    module = Around(act)
    own.load_state_dict(module.conv.state_dict())
    trace(module, x.shape)


def test_a_subclass_of_a_layer_of_torch_is_run() -> None:
    class Doubled(nn.Linear):
        def forward(self, input: Tensor) -> Tensor:
            return super().forward(input) * 2

    assert paths(nn.Sequential(Doubled(8, 8))) == ["0.linear", "0.scale"]


@pytest.mark.parametrize("name", ["weight", "bias"])
@pytest.mark.parametrize("registered", [True, False])
@pytest.mark.parametrize(
    "made", [lambda: nn.Linear(8, 8), lambda: nn.BatchNorm2d(3), lambda: nn.LayerNorm(8)]
)
def test_weights_that_are_no_parameters_are_there(
    made: Callable[[], Any], registered: bool, name: str
) -> None:
    module = made()
    value = getattr(module, name).detach()
    delattr(module, name)
    if registered:
        module.register_buffer(name, value)
    else:
        setattr(module, name, value)
    (row,) = costs(checked(nn.Sequential(module), (1, 3, 8, 8))).rows
    (whole,) = costs(checked(nn.Sequential(made()), (1, 3, 8, 8))).rows
    assert row.layer.op == whole.layer.op
    assert row.params == whole.params - value.numel()


REPLACED = """
from functools import wraps
import costlab
from torch import nn
from torch.nn import functional

forward, relu = nn.Linear.forward, functional.relu
nn.Linear.forward = wraps(forward)(lambda self, x: forward(self, x) + x)
functional.relu = wraps(relu)(lambda x, inplace: relu(x) + x)
table = costlab.analyze(nn.Sequential(nn.Linear(4, 4), nn.ReLU()), (1, 4))
print(*[row.path for row in table.rows])
"""


def test_what_was_replaced_before_the_tracer_was_loaded_is_called() -> None:
    run = subprocess.run(
        [sys.executable, "-c", REPLACED], check=False, capture_output=True, text=True
    )
    assert run.stdout.split() == ["0.linear", "0.add", "1.relu", "1.add"], run.stderr


MISTAKEN: dict[str, tuple[nn.Module, nn.Module]] = {
    "stride": (nn.Conv2d(3, 3, 2, stride=2.0), nn.Conv2d(3, 3, 2, stride=2)),  # type: ignore[arg-type]
    "groups": (nn.Conv2d(3, 3, 2, groups=True), nn.Conv2d(3, 3, 2, groups=1)),
    "window": (nn.MaxPool2d((2.0, 2.0)), nn.MaxPool2d((2, 2))),  # type: ignore[arg-type]
    "output": (nn.AdaptiveAvgPool2d((2.0, 2.0)), nn.AdaptiveAvgPool2d((2, 2))),  # type: ignore[arg-type]
    "divisor": (nn.AvgPool2d(2, divisor_override=2.0), nn.AvgPool2d(2, divisor_override=2)),  # type: ignore[arg-type]
}
"""What torch refuses, and takes."""


@pytest.mark.parametrize("name", MISTAKEN)
def test_equal_numbers_of_another_type_are_not_the_same(name: str) -> None:
    """Whichever comes first."""
    wrong, right = map(nn.Sequential, MISTAKEN[name])
    for _ in range(2):
        with pytest.raises(costlab.TraceError, match="TypeError"):
            trace(wrong, (1, 3, 10, 10))
        assert all(type(d) is int for d in checked(right, (1, 3, 10, 10)).outputs[0])


def test_numbers_of_numpy_are_numbers() -> None:
    two = np.int64(2)
    for module in (nn.Conv2d(3, 3, 2, (two, two)), nn.MaxPool2d((two, two)), nn.AvgPool2d(2, two)):
        (layer,) = checked(nn.Sequential(module), (1, 3, 14, 14)).layers
        assert "int64" not in repr(layer)


@pytest.mark.parametrize(
    ("module", "size"),
    [
        (nn.MaxPool2d(2), (8, 8)),
        (nn.MaxPool2d(2), (1, 1, 8, 8, 8)),
        (nn.MaxPool3d(2), (8, 8, 8)),
        (nn.AvgPool2d(2), (8, 8)),
        (nn.AdaptiveAvgPool2d(2), (8,)),
        (nn.FractionalMaxPool2d(2, output_size=3), (8, 8)),
    ],
    ids=str,
)
def test_an_input_of_another_rank_is_refused_as_by_torch(
    module: nn.Module, size: tuple[int, ...]
) -> None:
    with pytest.raises((RuntimeError, IndexError)):
        module(torch.zeros(size))
    place = rf"0 \({type(module).__name__}\) cannot be run: .*(RuntimeError|IndexError)"
    for kind in (CheckedRecorder, Recorder):
        with pytest.raises(costlab.TraceError, match=place):
            trace(nn.Sequential(module), size, kind=kind)


def test_a_module_under_a_transform_is_run() -> None:
    """Its input stands for a whole batch, of which it sees one."""
    module = Around(lambda conv, x: torch.vmap(conv)(x[:, None]))
    graph = checked(module, (5, 3, 8, 8))
    assert costs(graph).total.macs == 5 * 8 * 8 * 3 * 27
