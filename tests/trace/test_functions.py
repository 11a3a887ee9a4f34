"""Every spelling of a call: shapes and types are torch's own, and nothing is left uncounted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from agreeing import FLOATS, agrees, seen
from torch import Tensor, library, nn
from tracing import checked
from wrapped import Applied

from costlab.costs.table import costs
from costlab.ops.element_functions import EACH, PAIR
from costlab.trace import trace

pytestmark = pytest.mark.filterwarnings("ignore")  # of torch, about what it takes all the same

WHOLE = torch.arange(10).reshape(2, 5) % 3 + 1
TRUTH = FLOATS > 0.5
INPUTS = {"floats": FLOATS, "whole": WHOLE, "truth": TRUTH, "one": torch.tensor(0.5)}


def product(x: Tensor) -> Tensor:
    return (x @ x.transpose(1, 2)).relu()


def written(name: str) -> Iterator[Callable[..., Any]]:
    """A function in its rooms, as a method, and in place on a copy."""
    for room in (torch, torch.special, torch.Tensor, nn.functional):
        if callable(getattr(room, name, None)):
            yield getattr(room, name)
    if hasattr(torch.Tensor, f"{name}_"):
        yield lambda x, *more, **named: getattr(x.clone(), f"{name}_")(*more, **named)


# what takes more than an element, or is a name of ours
ARGUMENTS: dict[str, tuple[Any, ...]] = {"threshold": (0.5, 0.0), "clamp": (0.2, 0.7)}
ARGUMENTS |= {"clamp_min": (0.5,), "clamp_max": (0.5,)}


@pytest.mark.parametrize("name", sorted(EACH))
def test_a_function_of_an_element_is_traced_in_every_spelling(name: str) -> None:
    more = ARGUMENTS.get(name, ())
    functions = list(written(name.removesuffix("_tanh") if name == "gelu_tanh" else name))
    found = [
        agrees(lambda x, f=f: f(x, *more), each)  # type: ignore[misc]
        for f in functions
        for each in INPUTS.values()
    ]
    assert any(found)


@pytest.mark.parametrize(
    "name", sorted(PAIR.keys() - {"masked_fill", "where", "addcmul", "addcdiv"})
)
def test_a_function_of_two_elements_is_traced_in_every_spelling(name: str) -> None:
    others: list[Callable[[Tensor], Any]] = [
        lambda x: x,
        lambda x: x[:1],
        lambda x: x.double(),
        lambda x: x.sum(),
        lambda x: 2,
        lambda x: 1.5,
        lambda x: True,
    ]
    more = (0.5,) if name == "lerp" else ()
    found = [
        agrees(lambda x, f=f, other=other: f(x, other(x), *more), each)  # type: ignore[misc]
        for f in written(name)
        for each in taken(name)
        for other in others
    ]
    assert any(found)


def taken(name: str) -> list[Tensor]:
    """Without truth values where torch takes them on the CPU and not on ``meta``."""
    odd = name in ("pow", "**", "<<", ">>") or "shift" in name
    return [each for each in INPUTS.values() if not (odd and each.dtype == torch.bool)]


REDUCTIONS = "sum mean prod amax amin argmax argmin any all logsumexp norm var std nansum max min"
REDUCTIONS += " cumsum cumprod cummax cummin softmax log_softmax aminmax count_nonzero"
REDUCTIONS += " std_mean var_mean"


@pytest.mark.parametrize("name", REDUCTIONS.split())
def test_a_reduction_is_traced_in_every_spelling(name: str) -> None:
    ways: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
        ((), {}),
        ((1,), {}),
        ((1, True), {}),
        (((0, 1),), {}),
        ((), {"dim": -1}),
        ((), {"dim": 1, "keepdim": True}),
        ((), {"axis": 1}),
        ((), {"dim": None}),
        ((), {"dim": 1, "dtype": torch.float64}),
    ]
    if name in ("var", "std"):
        ways.append(((False,), {}))
    one_axis = name.endswith("softmax") or name.startswith("cum")
    found = [
        agrees(lambda x, f=f, a=args, k=named: f(x, *a, **k), each)  # type: ignore[misc]
        for f in written(name)
        for each in INPUTS.values()
        if each.dim() or not one_axis  # of a single element: uncounted
        for args, named in ways
    ]
    assert any(found)


OPERATORS = ["+", "-", "*", "/", "//", "%", "**", "<", "<=", ">", ">=", "==", "!=", "&", "|", "^"]
OPERATORS += ["<<", ">>"]


@pytest.mark.parametrize("sign", OPERATORS)
def test_an_operator_is_traced_in_every_spelling(sign: str) -> None:
    forms = [f"x {sign} {y}" for y in ("x", "x[:1]", "2", "2.5", "True", "x.double()")]
    forms += [f"{y} {sign} x" for y in ("2", "2.5", "True")]
    functions = [eval(f"lambda x: {form}") for form in forms]
    if sign not in ("<", "<=", ">", ">=", "==", "!="):
        for y in ("x", "2"):
            room: dict[str, Any] = {}
            exec(f"def grown(x):\n    x = x + 0\n    x {sign}= {y}\n    return x", room)
            functions.append(room["grown"])
    found = [agrees(function, each) for function in functions for each in taken(sign)]
    assert any(found)


SHAPES = {
    "in place": lambda x: x.clone().unsqueeze_(0).transpose_(0, 1).squeeze_(1) + 1,
    "resize": lambda x: x.clone().resize_(5) + 1,
    "out": lambda x: torch.add(x, x, out=torch.empty(2, 5, 3)),
    "out resized": lambda x: torch.sum(x, 1, out=torch.empty(0)),
    "out of a product": lambda x: torch.matmul(x, x.mT, out=torch.empty(2, 5, 5)),
    "method where": lambda x: x.where(x > 0, 0) + torch.where(x > 0, x, 0.0),
    "types by name": lambda x: x.type(torch.DoubleTensor).type("torch.HalfTensor").type(torch.int),
    "types by keyword": lambda x: x.type(dtype=torch.half, non_blocking=True),
    "a type by that of another": lambda x: torch.ones(3).type(x.half().type()) * x.half(),
    "types joined": lambda x: torch.cat([x, x.double()], 1),
    "complex": lambda x: torch.view_as_real(torch.complex(x, x)),
    "drawn": lambda x: (
        x + torch.normal(0.0, 1.0, (3,)) + torch.normal(x, 1.0) + x.clone().normal_()
    ),
    "keywords": lambda x: (
        torch.mm(input=x[0], mat2=x[0].T) + torch.pow(self=2, exponent=x[0, 0, 0])
    ),
    "more keywords": lambda x: (
        torch.lerp(x, end=x, weight=0.5) + torch.addcmul(x, 2 * x, x, value=2)
    ),
    "scattered": lambda x: x.scatter_add(1, torch.zeros(2, 2, 3, dtype=torch.long), x),
    "scattered extremes": lambda x: x.scatter_reduce(1, torch.zeros(2, 5, 3).long(), x, "amax"),
    "added by index": lambda x: x.index_add(1, torch.tensor([0, 1]), x[:, :2], alpha=2),
    "distance": lambda x: torch.dist(x, x) + x.norm(3) + torch.linalg.vector_norm(x, float("inf")),
    "cross": lambda x: torch.cross(x, x, dim=-1) + torch.linalg.cross(x, x),
    "folded": lambda x: nn.functional.fold(torch.zeros(2, 36, 36), (8, 8), 3) + x.sum(),
    "bags": lambda x: nn.functional.embedding_bag(
        torch.zeros(6).long(), x[0], torch.tensor([0, 2]), mode="max"
    ),
    "a channels-last view": lambda x: (
        nn.functional.conv2d(x[None].permute(0, 3, 1, 2), torch.zeros(4, 3, 1, 1))
        .permute(0, 2, 3, 1)
        .view(-1)
    ),
    "printed": lambda x: [f"{x} {x.shape}", x + 1][1],
    "normalised, with statistics": lambda x: (
        torch.native_layer_norm(x, (3,), None, None, 1e-5)[0]
        + torch.native_group_norm(x, None, None, 2, 5, 3, 5, 1e-5)[0]
        + torch.native_batch_norm(x, None, None, None, None, True, 0.1, 1e-5)[0]
    ),
    "of matrices": lambda x: torch.linalg.norm(x, 1, (1, 2)) + torch.linalg.norm(x[0]),
    "out in a composite": lambda x: nn.functional.normalize(x, out=torch.empty(2, 5, 3)),
    "lengths of complex numbers": lambda x: torch.complex(x, x).conj().abs() > 1,
    "time first": lambda x: torch.conv_tbc(x, torch.zeros(3, 3, 2), torch.zeros(2)),
}


@pytest.mark.parametrize("name", SHAPES)
def test_a_change_of_shape_is_traced(name: str) -> None:
    assert agrees(SHAPES[name], FLOATS)


ADDED: list[Callable[[Tensor], Any]] = [
    lambda x: x.clone().index_put_((torch.tensor([0]),), x[0], accumulate=True),
    lambda x: x.scatter(1, torch.zeros(2, 5, 3, dtype=torch.long), x, reduce="add"),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("function", ADDED)
@pytest.mark.parametrize("real", [False, True])
def test_what_adds_is_not_taken_for_what_moves(function: Any, real: bool) -> None:
    table = costs(trace(Applied(function), inputs=FLOATS, real=real))
    assert [row.label for row in table.uncounted] in (["index_put"], ["scatter"])


def test_a_view_that_torch_refuses_is_an_error() -> None:
    from costlab import TraceError

    assert seen(Applied(lambda x: x.transpose(1, 2).view(2, -1)), FLOATS) is None
    with pytest.raises(TraceError, match="view size is not compatible"):
        trace(Applied(lambda x: x.transpose(1, 2).view(2, -1)), inputs=FLOATS)


def test_a_norm_of_a_matrix_is_not_that_of_its_elements() -> None:
    """Its largest singular value."""
    for axes in (None, (1, 2)):
        x = FLOATS if axes else FLOATS[0]
        table = costs(trace(Applied(lambda x, axes=axes: torch.linalg.norm(x, 2, axes)), inputs=x))
        assert [row.label for row in table.uncounted] == ["linalg_norm"]


@pytest.mark.parametrize("how", ["scripted", "traced"])
@pytest.mark.parametrize("real", [False, True])
def test_a_scripted_function_is_what_it_consists_of(how: str, real: bool) -> None:
    """Torch asks no mode about it, so that its result would seem to have been there before."""
    jit: Any = torch.jit
    function = jit.script(product) if how == "scripted" else jit.trace(product, FLOATS)
    called = vars(torch.jit.ScriptFunction)["__call__"]
    for _ in range(3):  # later runs of such a function are optimised
        table = costs(trace(Applied(lambda x: function(x) + 1), inputs=FLOATS, real=real))
        counted = [row.label for row in table.rows if row.count and row.count.flops]
        assert counted == ["matmul", "relu", "add"]
        assert (table.total.macs, table.complete) == (150, True)
    assert vars(torch.jit.ScriptFunction)["__call__"] is called


def test_an_operator_of_another_library_is_not_torchs_of_that_name() -> None:
    @library.custom_op("costlab_tests::relu", mutates_args=())
    def relu(x: Tensor) -> Tensor:
        return x @ x.mT

    @relu.register_fake
    def _(x: Tensor) -> Tensor:
        return x.new_empty(2, 5, 5)

    ours = torch.ops.costlab_tests.relu
    for function in (relu, ours, ours.default):
        graph = checked(Applied(lambda x, f=function: f(x) * 2), inputs=FLOATS)
        assert graph.outputs == ((2, 5, 5),)
        assert [row.label for row in costs(graph).uncounted] == ["relu"]


ROWS = torch.rand(2, 6, 5)
ORDERED: dict[str, tuple[Callable[[Tensor], Any], int]] = {
    "topk": (lambda x: x.topk(1), 12 * 4),
    "topk of an axis": (lambda x: torch.topk(x, k=6, dim=1, largest=False), 10 * 11),
    "topk of all": (lambda x: torch.ops.aten.topk(x, 5), 12 * 8),
    "sort": (lambda x: torch.sort(x, 1, True), 10 * 11),
    "stable sort": (lambda x: x.sort(stable=True), 12 * 8),
    "argsort": (lambda x: x.argsort(1), 10 * 11),
    "stable argsort": (lambda x: torch.argsort(x, stable=True), 12 * 8),
    "msort": (torch.msort, 30),
    "median": (lambda x: x.median(), (30 * 5 - 32 + 1) + 30 * 5),
    "median of an axis": (lambda x: x.median(1, keepdim=True), 10 * (0 + 1 + 2 + 2 + 2 + 2)),
    "kthvalue": (lambda x: torch.kthvalue(x, 5), 12 * 8),
    "isin": (lambda x: torch.isin(x, torch.tensor([1.0, 2.0])), 120),
    "isin of a number": (lambda x: torch.isin(x, 1.0), 60),
    "all true": (lambda x: torch._is_all_true(x > 2), 60 + 59),
    "bucketize": (lambda x: torch.bucketize(x, torch.arange(7.0)), 60 * 3),
    "searchsorted": (lambda x: torch.searchsorted(torch.rand(8), x, right=True), 60 * 4),
    "searchsorted of a number": (lambda x: torch.searchsorted(x.flatten(), 0.5), 6),
    "searchsorted by a sorter": (
        lambda x: torch.searchsorted(x, x, sorter=torch.zeros(*x.shape, dtype=torch.int64)),
        60 * 3,
    ),
    "histc": (lambda x: torch.histc(x, 4, 0, 1), 300),
    "cdist": (lambda x: torch.cdist(x, x), 2 * 36 * 15),
    "cdist of order 1": (lambda x: torch.cdist(x, x, p=1), 2 * 36 * 14),
    "solve_triangular": (
        lambda x: torch.linalg.solve_triangular(x[:, :5], x[:, :5], upper=True),
        2 * 25 * (2 + 2 + 1),
    ),
    "fft": (lambda x: torch.fft.fft(x[..., :4]), 12 * (4 + 8)),
    "fft of two axes": (lambda x: torch.fft.fft2(x[:, :4, :4]), 32 * 6),
    "ifft": (lambda x: torch.fft.ifft(x[..., :4]), 12 * (4 + 8) + 48),
    "rfft": (lambda x: torch.fft.rfft(x[..., :4]), 12 * (4 + 8)),
    "irfft": (lambda x: torch.fft.irfft(x[..., :3]), 12 * (4 + 8) + 48),
    "whole numbers": (lambda x: torch._int_mm(x[0].to(torch.int8), x[0].to(torch.int8).T), 0),
}


@pytest.mark.parametrize("name", ORDERED)
def test_what_orders_finds_and_transforms(name: str) -> None:
    """Operations by hand."""
    function, operations = ORDERED[name]
    x = ROWS if name != "whole numbers" else torch.rand(1, 32, 32)
    assert agrees(function, x)
    for real in (False, True):
        table = costs(trace(Applied(function), inputs=x, real=real))
        assert table.complete
        assert table.total.count.other == operations
    if name == "whole numbers":
        assert table.total.macs == 32**3


def test_more_of_the_largest_than_there_are_is_an_error() -> None:
    from costlab import CostlabError

    with pytest.raises(CostlabError, match=r"topk on 2×6×5.* k not in range"):
        trace(Applied(lambda x: x.topk(6)), inputs=ROWS)


def test_histograms_are_traced() -> None:
    for call, operations in (
        (torch.bincount, 10),
        (lambda x: x.bincount(x * 0.5, minlength=9), 10),
        (lambda x: torch.histc(x.float(), 4), 50 + 18),
    ):
        module = Applied(lambda x, call=call: call(x))
        table = costs(trace(module, inputs=WHOLE.flatten(), real=True))
        assert table.complete
        counted = [row for row in table.rows if row.label in ("bincount", "histc")]
        assert [row.count.other for row in counted if row.count] == [operations]


@pytest.mark.parametrize("how", [{"size": (3, 4)}, {"scale_factor": 0.5}, {"scale_factor": (2, 3)}])
def test_interpolation_without_aliases_is_traced(how: dict[str, Any]) -> None:
    def function(x: Tensor) -> Tensor:
        return nn.functional.interpolate(x, mode="bicubic", antialias=True, **how)

    assert agrees(function, torch.rand(1, 2, 6, 8))


@pytest.mark.parametrize("more", [{}, {"center": False}, {"length": 60}, {"onesided": False}])
@pytest.mark.parametrize("real", [False, True])
def test_a_short_time_transform_is_put_together_by_its_parts(
    more: dict[str, Any], real: bool
) -> None:
    """Frames of an inverse transform, times the window, added where they overlap, divided."""
    window, sides = torch.ones(16), {k: v for k, v in more.items() if k == "onesided"}
    spectrum = torch.stft(torch.ones(2, 64), 16, 4, window=window, return_complex=True, **sides)
    frames, size = spectrum.shape[2], 16
    expected = torch.istft(spectrum, 16, 4, window=window, **more)
    module = Applied(lambda x: torch.istft(x, 16, 4, window=window, **more))
    graph = trace(module, inputs=spectrum, real=real)
    table = costs(graph)
    assert table.complete
    assert graph.outputs == (tuple(expected.shape),)
    rows = {row.path: row.flops for row in table.rows if row.flops}
    length = expected.shape[1]
    assert rows["mul"] == rows["fold"] == 2 * frames * size
    assert (rows["pow"], rows["fold_2"]) == (size, frames * size)
    assert rows["div"] == 2 * length
    assert rows["abs"] + rows["min"] + rows["lt"] == 2 * length  # of which nothing is used
