"""Single operators that nobody here wrote: the test models of onnx itself.

What costlab says that they give has the shape that onnx says; what it does not know is uncounted.
"""

from __future__ import annotations

import warnings
from collections import Counter
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import costlab
from costlab.errors import CostlabError, ProgramError
from costlab.programs.onnx_file import read

onnx = pytest.importorskip("onnx", reason="onnx is not installed")

LAYERS = (
    "conv gemm matmul einsum lstm gru simple_rnn batchnorm instancenorm layer_normalization lrn "
    "maxpool averagepool globalaveragepool globalmaxpool softmax resize reduce attention_4d"
)
OTHERS = (
    "add sub mul div pow relu sigmoid tanh gelu clip concat split slice reshape transpose gather "
    "flatten squeeze unsqueeze expand tile constant_pad depthtospace where "
    "top_k argmax cumsum range shape"
)


@cache
def cases() -> list[Any]:
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return list(collect_testcases(None))


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
    verdicts = Counter(map(verdict, cases()))
    assert verdicts.pop("wrong", 0) == 0
    if onnx.__version__ == "1.23.2":
        assert verdicts == {"right": 1083, "uncounted": 433, "not read": 320, "refused": 48}


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
