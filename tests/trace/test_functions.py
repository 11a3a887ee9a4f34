"""Every spelling of a call: shapes and types are torch's own, and nothing is left uncounted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, library, nn
from torch.utils.flop_counter import FlopCounterMode
from tracing import checked
from wrapped import Applied

from costlab.costs.table import costs
from costlab.ops.element_functions import EACH, PAIR
from costlab.trace import trace
from costlab.trace.tensors import tensors

pytestmark = pytest.mark.filterwarnings("ignore")  # of torch, about what it takes all the same

FLOATS = torch.rand(2, 5, 3) + 0.1
WHOLE = torch.arange(10).reshape(2, 5) % 3 + 1
TRUTH = FLOATS > 0.5
INPUTS = {"floats": FLOATS, "whole": WHOLE, "truth": TRUTH, "one": torch.tensor(0.5)}


def product(x: Tensor) -> Tensor:
    return (x @ x.transpose(1, 2)).relu()


def seen(module: nn.Module, x: Tensor) -> list[tuple[Any, ...]] | None:
    """The shapes and types that torch gives; None if it does not take such a call."""
    try:
        return [(tuple(t.shape), t.dtype) for t in tensors(module(x.clone()))]
    except (TypeError, RuntimeError, NotImplementedError, IndexError, AttributeError):
        return None


def agrees(function: Callable[[Tensor], Any], x: Tensor) -> bool:
    """Whether torch takes the call; if so, what is traced and counted is what it gives."""
    module = Applied(function)
    wanted = seen(module, x)
    if not wanted:
        return False
    graph = checked(module, inputs=x)
    assert list(graph.outputs) == [shape for shape, _ in wanted]
    assert costs(graph).complete
    assert len(graph.layers) >= 1
    return True


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


PRODUCTS: dict[str, tuple[Callable[[Tensor], Any], int]] = {
    "addmm": (lambda x: torch.addmm(torch.zeros(5), x[0], x[0].T, beta=2, alpha=3), 75),
    "addmm in place": (lambda x: torch.zeros(5, 5).addmm_(x[0], x[0].T), 75),
    "baddbmm": (lambda x: torch.baddbmm(torch.zeros(5, 5), x, x.mT, alpha=0.5), 150),
    "addbmm": (lambda x: torch.addbmm(torch.zeros(5, 5), x, x.mT, beta=0), 150),
    "addmv": (lambda x: torch.addmv(torch.zeros(5), x[0], x[0, 0]), 15),
    "addr": (lambda x: torch.addr(torch.zeros(3, 3), x[0, 0], x[0, 1]), 0),
    "conv_tbc": (lambda x: torch.conv_tbc(x, torch.zeros(2, 3, 4), torch.zeros(4)), 1 * 5 * 2 * 12),
    "attention": (lambda x: nn.functional.scaled_dot_product_attention(x[:1], x, x), 2 * 25 * 6),
    "tensordot": (lambda x: torch.tensordot(x, x, dims=([0, 1], [0, 1])), 10 * 9),
    "kron": (lambda x: torch.kron(x[0], x[0]), 0),
    "chain": (lambda x: torch.linalg.multi_dot([x[0], x[0].T, x[0]]), 2 * 3 * 5 * 3),
    "inner": (lambda x: torch.inner(x, x[0]), 2 * 5 * 3 * 5),
    "einsum of dots": (lambda x: torch.einsum("...ij,...kj->...ik", x, x), 150),
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_a_product_has_its_macs(name: str) -> None:
    """MACs by hand: torch's counter has none for many of these."""
    function, macs = PRODUCTS[name]
    assert agrees(function, FLOATS)
    assert costs(trace(Applied(function), inputs=FLOATS)).total.macs == macs


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


CONV: Any = nn.Conv2d(1, 4, (3, 3), padding=1)
TRANSFORMS: dict[str, Callable[[Tensor], Any]] = {
    "products": lambda x: torch.vmap(lambda a: a @ x[0].T)(x),
    "elements": torch.vmap(lambda a: a.clone().add_(1).relu_()),
    "another axis": lambda x: torch.vmap(lambda a: a @ x[0].T, 1, 1)(x) @ x[0],
    "nested": lambda x: torch.vmap(torch.vmap(lambda a: x[0] @ a))(x),
    "modules": lambda x: torch.vmap(CONV)(x[:, None, None]),
    "attention": torch.vmap(lambda a: a.softmax(-1) @ a.mT),
    "makes": torch.vmap(lambda a: a + a.new_ones(3) + torch.arange(3)),
    "weights": lambda x: torch.vmap(lambda w: x @ w)(CONV.weight[:, 0]),
    "gradient": torch.func.grad(lambda a: (a @ a.mT).sum()),
    "jacobian": lambda x: torch.func.jacrev(lambda a: a @ x[0].T)(x[0, 0]),
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_a_transform_is_counted_on_whole_tensors(name: str) -> None:
    """Not on what its function sees, which is one of a batch."""
    assert agrees(TRANSFORMS[name], FLOATS)
    table = costs(trace(Applied(TRANSFORMS[name]), inputs=FLOATS))
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        TRANSFORMS[name](FLOATS.clone())
    assert table.total.macs * 2 == counter.get_total_flops()
    if name == "elements":
        assert table.total.flops == 60


def test_a_block_under_vmap_costs_what_it_costs_on_the_batch() -> None:
    """With its residual connection, its bias and its norm: all operations, not only products."""

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.linear = nn.LayerNorm(8), nn.Linear(8, 8)

        def forward(self, x: Tensor) -> Tensor:
            return x + torch.relu(self.linear(self.norm(x)))

    block = Block()
    one = costs(trace(block, inputs=torch.ones(5, 3, 8))).total
    many = costs(trace(Applied(lambda x, f=block: torch.vmap(f)(x)), inputs=torch.ones(5, 3, 8)))
    assert (many.total.macs, many.total.flops) == (one.macs, one.flops)

    class Around(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.block = block

        def forward(self, x: Tensor) -> Tensor:
            return torch.vmap(self.block)(x)  # type: ignore[no-any-return]

    own = costs(trace(Around(), inputs=torch.ones(5, 3, 8))).total
    assert (own.macs, own.flops, own.params) == (one.macs, one.flops, one.params)


def test_a_transform_that_cannot_be_followed_is_an_error() -> None:
    from costlab import TraceError

    with pytest.raises(TraceError, match="on shapes only"):
        trace(Applied(TRANSFORMS["products"]), inputs=FLOATS, real=True)
    weight = nn.Parameter(torch.ones(3, 4))

    def learns(x: Tensor) -> Tensor:
        return torch.func.grad(lambda w: (x @ w).sum())(weight)  # type: ignore[no-any-return]

    with pytest.raises(TraceError, match="build the module on meta"):
        trace(Applied(learns), inputs=FLOATS)


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
    "histc": (lambda x: torch.histc(x, 4, 0, 1), 300),
    "cdist": (lambda x: torch.cdist(x, x), 2 * 36 * 15),
    "cdist of order 1": (lambda x: torch.cdist(x, x, p=1), 2 * 36 * 14),
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


Q = torch.rand(2, 3, 4, 8)
ATTENTIONS: dict[str, Callable[[Tensor], Any]] = {
    "flash on the CPU": lambda x: torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
        x, x, x
    )[0],
    "efficient": lambda x: torch.ops.aten._scaled_dot_product_efficient_attention(
        x, x, x, None, False
    )[0],
    "flash": lambda x: torch.ops.aten._scaled_dot_product_flash_attention(x, x, x)[0],
    "math": lambda x: torch.ops.aten._scaled_dot_product_attention_math(x, x, x)[0],
    "length first": lambda x: torch.ops.aten._flash_attention_forward(
        x.mT.transpose(1, 3).transpose(2, 3),
        x.mT.transpose(1, 3).transpose(2, 3),
        x.mT.transpose(1, 3).transpose(2, 3),
        None,
        None,
        4,
        4,
        0.0,
        False,
        False,
    )[0],
}


@pytest.mark.parametrize("name", ATTENTIONS)
def test_attention_under_its_own_names(name: str) -> None:
    table = costs(trace(Applied(ATTENTIONS[name]), inputs=Q))
    assert table.complete
    assert table.total.macs == 2 * 3 * 4 * 4 * 16


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


def test_products_that_give_another_type_are_traced() -> None:
    x = torch.rand(4, 8).half()
    for call in (
        lambda x: torch.mm(x, x.T, out_dtype=torch.float32),
        lambda x: torch.addmm(x[:, :4], x, x.T, out_dtype=torch.float32),
        lambda x: torch.baddbmm(x[None, :, :4], x[None], x.T[None], out_dtype=torch.float32),
    ):
        graph = trace(Applied(call), inputs=x)
        assert graph.values[graph.returns[0]].dtype.name == "float32"
        assert costs(graph).complete


ENDS = torch.tensor([3, 8], dtype=torch.int32)
GROUPS: dict[str, tuple[tuple[int, ...], tuple[int, ...], int]] = {
    "rows": ((8, 16), (2, 16, 24), 8 * 16 * 24),
    "columns": ((2, 4, 16), (16, 8), 4 * 16 * 8),
    "what is summed over": ((4, 8), (8, 16), 4 * 8 * 16),
    "stacks": ((2, 4, 8), (2, 8, 16), 2 * 4 * 8 * 16),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", GROUPS)
def test_grouped_products_of_every_type(name: str, dtype: torch.dtype) -> None:
    """On meta torch refuses float32, which it computes."""
    one, other, macs = GROUPS[name]
    ends = None if name == "stacks" else ENDS

    def grouped(pair: Any) -> Tensor:
        first, second = pair
        return torch._grouped_mm(first, second, offs=ends)

    pair = (torch.zeros(one, dtype=dtype), torch.zeros(other, dtype=dtype))
    graph = trace(Applied(grouped), inputs=(pair,))
    assert (costs(graph).total.macs, costs(graph).complete) == (macs, True)
    assert graph.outputs == (tuple(grouped(pair).shape),)
