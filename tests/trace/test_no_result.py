"""What gives no tensor is an operation, and what comes from elsewhere has a row."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, library, nn
from wrapped import Applied, Fn

import costlab

from_numpy = torch.from_numpy  # as `from torch import from_numpy` has it: it asks no mode
X = torch.rand(3, 4)


@library.custom_op("costlab_nothing::mm_out", mutates_args={"out"})
def mm_out(x: Tensor, w: Tensor, out: Tensor) -> None:
    out.copy_(x @ w)


@library.custom_op("costlab_nothing::largest", mutates_args=())
def largest(x: Tensor) -> float:
    return float(x.abs().max())


@largest.register_fake
def _(x: Tensor) -> float:
    return 1.0


@pytest.mark.parametrize("real", [False, True])
@pytest.mark.parametrize(
    "call",
    [mm_out, torch.ops.costlab_nothing.mm_out, torch.ops.costlab_nothing.mm_out.default],
    ids=["function", "packet", "overload"],
)
def test_a_kernel_that_writes_into_its_argument_is_an_operation(call: Any, real: bool) -> None:
    def forward(module: Any, x: Tensor) -> Tensor:
        out = torch.empty(3, 5)
        call(x, module.w, out)
        return out * 2

    table = costlab.analyze(Fn(forward, w=torch.ones(4, 5)), inputs=X, real=real)
    assert [(row.label, row.output, row.params) for row in table.rows] == [
        ("mm_out", (3, 5), 20),
        ("scale", (3, 5), 0),
    ]
    assert [row.label for row in table.uncounted] == ["mm_out"]
    assert table.graph.layers[1].operands == table.graph.layers[0].results
    table.graph.check()


@pytest.mark.parametrize("real", [False, True])
@pytest.mark.parametrize("call", [largest, torch.ops.costlab_nothing.largest.default])
def test_a_kernel_that_gives_a_number_is_an_operation(call: Any, real: bool) -> None:
    table = costlab.analyze(Applied(lambda x: x * call(x)), inputs=X, real=real)
    assert [row.label for row in table.uncounted] == ["largest"]
    assert [row.label for row in table.rows] == ["largest", "scale"]
    table.graph.check()


LISTS: dict[str, tuple[Callable[[Tensor], Any], int]] = {
    "in place": (lambda x: torch._foreach_mul_([x, x[:1]], 2.0) or x, 16),
    "new": (lambda x: torch._foreach_add([x, x], [x, x]), 24),
    "numbers": (lambda x: torch._foreach_mul([x, x], [2.0, 3.0]), 24),
    "of elements": (lambda x: torch._foreach_exp([x]), 12),
    "of three": (lambda x: torch._foreach_addcmul([x], [x], [x]), 24),
    "moved": (lambda x: [x, torch._foreach_copy_([torch.zeros(3, 4)], [x])][0], 0),  # type: ignore[func-returns-value]
}


@pytest.mark.parametrize("real", [False, True])
@pytest.mark.parametrize("name", LISTS)
def test_functions_of_lists_are_one_operation_for_each_tensor(name: str, real: bool) -> None:
    call, operations = LISTS[name]
    module = nn.Sequential(nn.Linear(4, 4, bias=False), Applied(call))
    table = costlab.analyze(module, inputs=X, real=real)
    assert table.complete
    assert table.total.count.other == operations
    table.graph.check()


class Elsewhere(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, u: Tensor, a: Tensor) -> Tensor:
        return torch.from_numpy(u.detach().numpy() @ a.detach().numpy())


@pytest.mark.parametrize(
    "call",
    [
        Elsewhere.apply,
        lambda u, a: torch.from_numpy(u.detach().numpy() @ a.detach().numpy()),
        lambda u, a: torch.tensor(np.asarray(u.detach()) @ np.asarray(a.detach())),
    ],
)
def test_what_numpy_computes_is_uncounted_and_its_inputs_are_read(call: Any) -> None:
    module = nn.Sequential(nn.Linear(4, 4), Fn(lambda m, x: call(x, m.a) + 1, a=torch.ones(4, 5)))
    table = costlab.analyze(module, inputs=X, real=True)
    assert not table.complete
    (row,) = table.uncounted
    (layer,) = [layer for layer in table.graph.layers if layer.path == row.path]
    assert layer.output == (3, 5)
    assert table.graph.unused == ()
    assert layer.all_operands
    table.graph.check()


@pytest.mark.parametrize("real", [False, True])
@pytest.mark.parametrize("made", ["from_numpy", "as_tensor", "tensor"])
def test_an_array_is_a_constant_unless_a_tensor_gave_it(made: str, real: bool) -> None:
    for given, unknown in ((lambda i: np.ones(4), 0), (lambda i: np.asarray(i) * 2.0, 1)):
        module = Applied(lambda i, given=given: getattr(torch, made)(given(i)) + 1)
        table = costlab.analyze(module, inputs=torch.arange(4), real=real)
        assert len(table.uncounted) == unknown


def test_an_autograd_function_that_torch_computes_is_what_it_calls() -> None:
    class Twice(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, u: Tensor) -> Tensor:
            return u.relu() * 2

    for real in (False, True):
        table = costlab.analyze(Applied(Twice.apply), inputs=X, real=real)
        assert [row.label for row in table.rows] == ["relu", "scale"]
        assert table.complete


@pytest.mark.parametrize("real", [False, True])
def test_marks_for_a_profiler_are_no_operations(real: bool) -> None:
    def forward(m: Any, x: Tensor) -> Any:
        with torch.profiler.record_function("first"):
            x = x + 1
        return torch.vmap(_marked)(x)

    module = Fn(forward)
    if real:
        module = Fn(lambda m, x: _marked(x))
    table = costlab.analyze(module, inputs=torch.ones(2, 3), real=real)
    assert table.complete
    assert [row.label for row in table.rows] == (["mul"] if real else ["add", "mul"])


def _marked(x: Tensor) -> Tensor:
    with torch.autograd.profiler.record_function("second"):
        return x * x


@library.custom_op("costlab_no_fake::act", mutates_args=())
def _without_fake(x: Tensor) -> Tensor:
    return x.sin()


@pytest.mark.parametrize("spelling", ["decorated", "packet", "default"])
def test_an_operator_without_a_fake_implementation_says_what_to_give(spelling: str) -> None:
    packet: Any = torch.ops.costlab_no_fake.act
    called: Any = {"decorated": _without_fake, "packet": packet, "default": packet.default}
    with pytest.raises(costlab.TraceError, match=r"act at .* has no fake .* output= .* --real"):
        costlab.analyze(Fn(lambda m, x: called[spelling](x)), (2, 3))
    assert not costlab.analyze(Fn(lambda m, x: called[spelling](x)), (2, 3), real=True).complete


def kernel(x: Tensor) -> Tensor:
    """What a compiled function does: torch sees nothing of it."""
    with torch._C.DisableTorchFunction():
        return x @ x.mT


def in_a_thread(x: Tensor) -> Any:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(torch.mm, x, x.mT).result()


@pytest.mark.parametrize(
    "forward",
    [
        lambda m, x: kernel(x) + m.bias,
        lambda m, x: (m.bias, kernel(x * 2)),
        lambda m, x: x + kernel(x.relu())[:, :1],
        lambda m, x: torch.nn.functional.linear(x, kernel(x)[:, :1].expand(3, 4)),
        lambda m, x: m.own(kernel(x)),
        lambda m, x: m.own(in_a_thread(x)),
    ],
    ids=["operand", "returned", "view", "weight", "layer", "thread"],
)
@pytest.mark.parametrize("real", [False, True])
def test_a_tensor_that_appears_from_nowhere_is_uncounted(forward: Any, real: bool) -> None:
    module = Fn(forward, w=torch.ones(3, 3), bias=torch.ones(3))
    module.own = nn.Linear(3, 3)
    table = costlab.analyze(module, inputs=torch.rand(3, 4), real=real)
    assert [row.label for row in table.uncounted] == ["from_nowhere"]


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_what_was_there_before_or_is_made_by_torch_is_a_constant(device: str) -> None:
    there = torch.ones(3, 4, device=device)

    def forward(module: Any, x: Tensor) -> Tensor:
        made = torch.arange(4.0) + torch.Tensor([1, 2, 3, 4]) + nn.Parameter(torch.ones(4))
        return x + there[:2].mean() + made

    module = Fn(forward, w=torch.ones(1))
    assert costlab.analyze(module, inputs=X).uncounted == ()
    if device == "cpu":
        assert costlab.analyze(module, inputs=X, real=True).uncounted == ()


def test_constructors_of_old_may_have_made_a_constant(tmp_path: Path) -> None:
    """No mode sees their calls; code that has none of these has no such constants."""
    file = tmp_path / "of_old.py"
    name = "FloatTensor"  # which this file does not call
    file.write_text(f"import torch\ndef forward(x): return x * torch.{name}([1, 2, 3, 4])\n")
    module = Applied(runpy.run_path(str(file))["forward"])
    assert costlab.analyze(module, inputs=X, real=True).uncounted == ()


@pytest.mark.parametrize(
    "take",
    [
        lambda y: from_numpy(y.numpy() * 2),
        lambda y: torch.frombuffer(bytearray(y.numpy().tobytes()), dtype=y.dtype),
        lambda y: from_numpy(np.from_dlpack(y) * 2),
    ],
    ids=["numpy", "buffer", "dlpack"],
)
def test_an_array_comes_back_by_what_torch_does_not_see(take: Any) -> None:
    module = Applied(lambda x: take(x.relu().flatten()).exp())
    table = costlab.analyze(module, inputs=X, real=True)
    assert [row.label for row in table.uncounted] == ["from_array"]
    read = table.graph.layers[-2].operands
    assert [row.label for row in table.rows] == ["relu", "flatten", "from_array", "exp"]
    assert read == table.graph.layers[1].results


@pytest.mark.parametrize("real", [False, True])
@pytest.mark.parametrize(
    "take",
    [
        lambda x: torch.utils.dlpack.from_dlpack(x.numpy() * 2),
        lambda x: torch.asarray(x.numpy() * 2),
        lambda x: torch.Tensor(x.numpy() * 2),
        lambda x: x.new_tensor(x.numpy() * 2),
    ],
    ids=["from_dlpack", "asarray", "Tensor", "new_tensor"],
)
def test_an_array_of_known_values_is_uncounted_where_a_layer_takes_it(
    take: Any, real: bool
) -> None:
    module = Applied(lambda x, layer: layer(take(x)), nn.Linear(4, 3))
    assert len(costlab.analyze(module, inputs=torch.ones(2, 4), real=real).uncounted) == 1


def test_an_array_that_no_tensor_gave_is_a_constant() -> None:
    table = np.ones(4, np.float32)
    module = Applied(lambda x: (x.relu(), x + from_numpy(table)))
    for real in (False, True):
        assert costlab.analyze(module, inputs=X, real=real).uncounted == ()
