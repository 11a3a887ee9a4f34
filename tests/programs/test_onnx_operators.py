"""Single operators that nobody here wrote: the test models of onnx itself.

What costlab says that they give has the shape that onnx says; what it does not know is uncounted.
"""

from __future__ import annotations

import contextlib
import inspect
import pkgutil
import sys
import warnings
from collections import Counter
from functools import cache, partial
from importlib import import_module
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional
from wrapped import Fn

import costlab
from costlab.errors import CostlabError, ProgramError
from costlab.programs import onnx_schemas
from costlab.programs.onnx_attributes import NOT_FOLLOWED, OF_VALUES_ALONE
from costlab.programs.onnx_file import read
from costlab.programs.onnx_operators import OPERATORS
from costlab.programs.onnx_values import Known

onnx = pytest.importorskip("onnx", reason="onnx is not installed")

LAYERS = (
    "conv gemm matmul einsum lstm gru simple_rnn batchnorm instancenorm layer_normalization lrn "
    "globalaveragepool globalmaxpool softmax resize reduce attention_4d"
)
OTHERS = (
    "add sub mul div pow relu sigmoid tanh gelu clip concat split slice reshape transpose gather "
    "flatten squeeze unsqueeze expand tile constant_pad depthtospace where "
    "top_k argmax cumsum range shape"
)


SLOW = {"averagepool", "lppool", "maxpool"}
"""What onnx takes seconds to compute the values of."""


@cache
def cases(slow: bool = False) -> list[Any]:
    from onnx.backend.test.case import node

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _, name, _ in pkgutil.iter_modules(node.__path__):
            if slow or name not in SLOW:
                import_module(f"{node.__name__}.{name}")
    return list(node._NodeTestCases)


def tensor(array: Any) -> Tensor:
    own = np.asarray(array)
    return torch.tensor(own.tolist(), dtype=getattr(torch, str(own.dtype))).reshape(own.shape)


@pytest.mark.parametrize("kind", [*LAYERS.split(), *OTHERS.split()])
def test_the_shapes_of_an_operator_are_those_of_onnx(kind: str) -> None:
    seen: Counter[str] = Counter()
    for case in cases():
        if case.name.startswith(f"test_{kind}_") or case.name == f"test_{kind}":
            seen[verdict(case)] += 1
    assert seen["right"] > 0
    assert seen["wrong"] == 0


@pytest.mark.more
def test_no_operator_of_onnx_has_another_shape() -> None:
    """What is said of how many is in docs/modules.md, of onnx 1.23.2."""
    verdicts = Counter(map(verdict, cases(slow=True)))
    assert verdicts.pop("wrong", 0) == 0
    if onnx.__version__ == "1.23.2":
        assert verdicts == {"right": 1079, "uncounted": 435, "not read": 302, "refused": 68}


def verdict(case: Any) -> str:
    """Whether the shapes are ``right``, ``wrong``, or an operator is not known."""
    given, wanted = case.data_sets[0]
    if any(isinstance(value, list) for value in (*given, *wanted)):  # a sequence
        return "not read"
    try:
        inputs, outputs = tuple(map(tensor, given)), list(map(tensor, wanted))
        module = read(case.model, case.name)
        table = costlab.analyze(module, inputs=inputs)
    except (
        AttributeError,
        ValueError,
        ProgramError,
    ):  # another type, an older opset
        return "not read"
    except CostlabError:
        return "refused"
    table.graph.check()
    if not table.complete:
        return "uncounted"
    return "right" if table.graph.outputs == tuple(tuple(o.shape) for o in outputs) else "wrong"


VALUES_ALONE = """
    argmax argmin selu spacetodepth top_k_same_values attention_3d_scaled attention_4d_scaled
    attention_3d_gqa_scaled attention_4d_gqa_scaled attention_3d_diff_heads_sizes_scaled
    attention_4d_diff_heads_sizes_scaled averagepool_2d_same averagepool_2d_pads
    averagepool_2d_ceil_last_window gridsample_bicubic gru_seq_length gru_reverse lstm_reverse
    simple_rnn_reverse maxpool_with_argmax_2d_precomputed_strides resize_downsample
    resize_upsample_scales_cubic_asymmetric resize_upsample_sizes_nearest
    resize_upsample_scales_linear_half_pixel_symmetric
"""
"""Operators that give other values here, by the same work: which of equal elements, the order of
elements, factors, rounded places, what an average is divided by, one of two forms of a gate."""


@pytest.mark.more
def test_the_values_of_an_operator_are_those_of_onnx() -> None:
    """Its function here, run on numbers, is the operator; so the layers of it are its work."""
    same, others = 0, set()
    for case in cases():
        if verdict(case) != "right":
            continue
        given, wanted = case.data_sets[0]
        try:
            result = read(case.model, case.name)(*map(tensor, given))
        except NotImplementedError:  # torch has it on shapes alone, for this type
            continue
        several = isinstance(result, (tuple, list)) and not isinstance(result, Known)
        for one, other in zip(result if several else [result], wanted, strict=True):
            own, its = torch.as_tensor(getattr(one, "tensor", one)), tensor(other)
            assert own.dtype == its.dtype, case.name
            about = 1e-2 if its.dtype in (torch.float16, torch.bfloat16) else 1e-4
            own, its = own.to(torch.complex128), its.to(torch.complex128)
            if torch.allclose(own, its, about, about / 10, equal_nan=True):
                same += 1
            else:
                others.add(case.name.removeprefix("test_"))
    assert same > 1000
    known = tuple(VALUES_ALONE.split())
    assert {name for name in others if not name.startswith(known)} == set()
    assert {start for start in known if not any(name.startswith(start) for name in others)} == set()


def test_every_attribute_of_an_operator_is_read_or_said_to_be_left() -> None:
    """So that none is passed over which changes what is computed."""
    for operator, function in OPERATORS.items():
        left = {*NOT_FOLLOWED.get(operator, ()), *OF_VALUES_ALONE.get(operator, ())}
        source = source_of(function)
        known = set()
        for opset in range(onnx_schemas.OLDEST, onnx.defs.onnx_opset_version() + 1):
            with contextlib.suppress(onnx.defs.SchemaError):
                known |= set(onnx.defs.get_schema(operator, opset, "").attributes)
        for name in known - left - GRAPHS:
            assert f'"{name}"' in source, (operator, name)
        assert left <= known, operator


GRAPHS = {"then_branch", "else_branch"}


def source_of(function: Any) -> str:
    """The source of a function, and of those beside it that it calls."""
    home = vars(sys.modules[function.__module__])
    called = (home.get(name) for name in function.__code__.co_names)
    own = (one for one in called if inspect.isfunction(one) and one.__module__ == home["__name__"])
    return "".join(map(inspect.getsource, (function, *own)))


def test_what_changes_an_operator_makes_it_uncounted() -> None:
    """Peepholes, a cap of scores, other activations: their work is not that of the usual form."""
    wanted = "lstm_with_peepholes attention_4d_softcap attention_local_window training_dropout"
    for name in wanted.split():
        case = next(case for case in cases() if case.name == f"test_{name}")
        assert verdict(case) == "uncounted", name


def sampled(module: Any, x: Tensor, grid: Tensor, mode: str) -> Tensor:
    return functional.grid_sample(x, grid, mode, align_corners=False)


def test_a_grid_is_sampled_as_the_file_says() -> None:
    """Of one tap, of four, and of sixteen."""
    work = {}
    for name in ("nearest", "bilinear", "bicubic"):
        case = next(case for case in cases() if case.name == f"test_gridsample_{name}")
        given, _ = case.data_sets[0]
        table = costlab.analyze(read(case.model, name), inputs=tuple(map(tensor, given)))
        x, grid = map(tensor, given)
        module = Fn(partial(sampled, mode=name))
        work[name] = table.total.flops
        assert work[name] == costlab.analyze(module, inputs=(x, grid)).total.flops
    assert work["nearest"] < work["bilinear"] < work["bicubic"]


def macs(model: Any, *inputs: Tensor) -> int:
    return costlab.analyze(read(model, "model"), inputs=inputs).total.macs


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("test_basic_conv_with_padding", 25 * 9),
        ("test_basic_conv_without_padding", 9 * 9),
        ("test_gemm_transposeA", 3 * 6 * 4),
        ("test_matmul_3d", 2 * 3 * 3 * 4),
        ("test_convtranspose", 9 * 2 * 9),
    ],
)
def test_multiply_adds_counted_by_hand(name: str, expected: int) -> None:
    case = next(case for case in cases() if case.name == name)
    given, _ = case.data_sets[0]
    assert macs(case.model, *map(tensor, given)) == expected


def of_one(operator: str, *shapes: tuple[int, ...], **attributes: Any) -> Any:
    """A model of one operator on inputs of these shapes; ``()`` is one that is left out."""
    names = [f"x{place}" * bool(shape) for place, shape in enumerate(shapes)]
    known = {name: attributes.pop(name) for name in names if name in attributes}
    node = onnx.helper.make_node(operator, names, ["y"], "it", **attributes)
    floats = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        [node],
        "graph",
        [
            onnx.helper.make_tensor_value_info(name, floats, shape)
            for name, shape in zip(names, shapes, strict=True)
            if name and name not in known
        ],
        [onnx.helper.make_tensor_value_info("y", floats, None)],
        [onnx.numpy_helper.from_array(np.array(value), name) for name, value in known.items()],
    )
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)])


@pytest.mark.parametrize(
    "model",
    [
        partial(of_one, "Pad", (1, 8, 8, 3), (8,), x1=[0, 1, 1, 0] * 2, mode="reflect"),
        partial(of_one, "Pad", (4, 8), (4,), x1=[0, 1, 0, 1], mode="edge"),
        partial(of_one, "Conv", (1, 2, 4, 4, 4, 4), (3, 2, 2, 2, 2, 2)),
        partial(of_one, "ConvTranspose", (1, 2, 4, 4, 4, 4), (2, 3, 2, 2, 2, 2)),
        partial(of_one, "MaxPool", (1, 2, 4, 4, 4, 4), kernel_shape=[2] * 4),
        partial(of_one, "GlobalAveragePool", (1, 2, 4, 4, 4, 4)),
        partial(of_one, "Resize", (1, 2, 4, 4, 4), (), (), (5,), x3=[1, 2, 8, 8, 8], mode="cubic"),
    ],
)
def test_what_torch_does_not_have_on_such_axes_is_uncounted(model: Any) -> None:
    """With the shape that onnx infers, which what is behind it is counted by."""
    own = model()
    (output,) = onnx.shape_inference.infer_shapes(own, data_prop=True).graph.output
    table = costlab.analyze(own)
    assert [row.label for row in table.uncounted] == [model.args[0]]
    assert table.graph.outputs == (
        tuple(dim.dim_value for dim in output.type.tensor_type.shape.dim),
    )


@pytest.mark.parametrize("pads", [[0, 0], [1, 2], [2, 0], [0, 2], [3, 1]])
def test_a_transposed_convolution_leaves_out_what_its_pads_say(pads: list[int]) -> None:
    """Of 2 · 5 + 3 elements, and one that is added, by an even padding or by cutting them off."""
    work = {"strides": [2], "output_padding": [1], "pads": pads}
    table = costlab.analyze(of_one("ConvTranspose", (1, 2, 6), (2, 4, 3), (4,), **work))
    length = 14 - sum(pads)
    assert table.graph.outputs == ((1, 4, length),)
    assert table.total.macs == 6 * 3 * 2 * 4
    assert table.total.flops == 2 * table.total.macs + 4 * length


def test_a_mean_adds_its_inputs_once() -> None:
    """Of three inputs two sums, and a division, for each of 32 elements."""
    assert costlab.analyze(of_one("Mean", *[(4, 8)] * 3)).total.flops == 3 * 32


def test_a_state_that_is_not_given_is_zeros() -> None:
    shapes = (7, 2, 3), (1, 20, 3), (1, 20, 5), (), ()
    state = (1, 2, 5)
    works = {
        costlab.analyze(of_one("LSTM", *shapes, *states, hidden_size=5)).total.flops
        for states in ([], [state], [(), state], [state, state])
    }
    assert len(works) == 1
