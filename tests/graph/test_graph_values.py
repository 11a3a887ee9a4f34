"""Values: shapes, types, kinds, names, and whose memory they use; and what holds for each graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from wrapped import Fn

import costlab
from costlab.graph import Graph, Net, Value
from costlab.graph.values import FLOAT32, DType
from costlab.ops.conv import Conv
from costlab.ops.elementwise import ReLU
from costlab.ops.norm import BatchNorm


def graph_of(module: nn.Module, *size: int, **how: Any) -> Graph:
    return costlab.analyze(module, size or None, **how).graph


def test_a_catalogs_layer_takes_its_weights_and_buffers_as_values() -> None:
    net = Net("net", (1, 3, 8, 8))
    x = net.add("conv", Conv(4, 3), *net.inputs)
    graph = net.graph(net.add("norm", BatchNorm(), x))
    assert graph.values == (
        Value((1, 3, 8, 8), kind="input", detached=True),
        Value((4, 3, 3, 3), kind="parameter", name="conv.weight"),
        Value((4,), kind="parameter", name="conv.bias"),
        Value((1, 4, 6, 6)),
        Value((4,), kind="parameter", name="norm.weight"),
        Value((4,), kind="parameter", name="norm.bias"),
        Value((4,), kind="buffer", name="norm.running_mean"),
        Value((4,), kind="buffer", name="norm.running_var"),
        Value((1, 4, 6, 6)),
    )
    conv, norm = graph.layers
    assert (conv.operands, conv.weights, conv.results) == ((0,), (1, 2), (3,))
    assert (norm.operands, norm.weights, norm.results) == ((3,), (4, 5, 6, 7), (8,))


def test_a_half_precision_module_takes_half_the_bytes() -> None:
    def size(module: nn.Module) -> int:
        return sum(value.bytes for value in graph_of(module, 1, 3, 8, 8).values)

    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
    whole = size(module)
    assert whole == 4 * (192 + 108 + 4 + 3 * 144 + 4 * 4)  # input, conv, three results, norm
    assert size(module.half()) * 2 == whole


TYPES: dict[str, tuple[Callable[[Tensor], Any], list[str]]] = {
    "comparison": (lambda x: x > 0, ["bool"]),
    "argmax": (lambda x: x.argmax(1), ["int64"]),
    "cast": (lambda x: x.double(), ["float64"]),
    "max with its indices": (lambda x: tuple(x.max(1)), ["float32", "int64"]),
    "complex": (lambda x: torch.complex(x, x), ["complex64"]),
}


@pytest.mark.parametrize("name", TYPES)
def test_results_have_the_types_that_torch_gives(name: str) -> None:
    function, types = TYPES[name]
    for real in (False, True):
        graph = graph_of(Fn(lambda m, x: function(x)), 2, 3, real=real)
        returned = [graph.values[number] for number in graph.returns]
        assert [value.dtype.name for value in returned] == types
        result = function(torch.zeros(2, 3))
        tensors = [result] if isinstance(result, Tensor) else result
        assert [value.dtype.size for value in returned] == [t.itemsize for t in tensors]


SHARING: dict[str, tuple[Callable[[Tensor], Any], bool]] = {
    "view": (lambda x: (x * 2).view(6), True),
    "transpose": (lambda x: (x * 2).t(), True),
    "slice": (lambda x: (x * 2)[:, 1:], True),
    "relu_": (lambda x: (x * 2).relu_(), True),
    "F.relu in place": (lambda x: F.relu(x * 2, inplace=True), True),
    "relu": (lambda x: (x * 2).relu(), False),
    "contiguous that copies": (lambda x: (x * 2).t().contiguous(), False),
    "clone": (lambda x: (x * 2).clone(), False),
    "cast": (lambda x: (x * 2).double(), False),
}


@pytest.mark.parametrize("name", SHARING)
def test_a_result_shares_memory_where_torch_says_so(name: str) -> None:
    function, shares = SHARING[name]
    graph = graph_of(Fn(lambda m, x: function(x)), 2, 3)
    (returned,) = graph.returns
    (doubled,) = graph.layers[0].results
    assert (graph.values[returned].shares == doubled) is shares
    probe = _Doubled(torch.ones(2, 3))
    assert (function(probe).untyped_storage().data_ptr() == probe.pointer) is shares  # type: ignore[arg-type]


class _Doubled:
    """A tensor that notes where its double lies."""

    def __init__(self, tensor: Tensor) -> None:
        self._tensor = tensor
        self.pointer = 0

    def __mul__(self, factor: int) -> Tensor:
        double = self._tensor * factor
        self.pointer = double.untyped_storage().data_ptr()
        return double


class Tied(nn.Module):
    """A table that is looked up, and multiplied with in the end."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(10, 4)
        self.head = nn.Linear(4, 10, bias=False)
        self.head.weight = self.table.weight

    def forward(self, ids: Tensor) -> Tensor:
        logits: Tensor = self.head(self.table(ids))
        return logits


def test_a_tied_weight_is_one_value_that_two_layers_take() -> None:
    table = costlab.analyze(Tied(), (1, 3), input_type="int64")
    (weight,) = [n for n, value in enumerate(table.graph.values) if value.kind == "parameter"]
    assert [layer.weights for layer in table.graph.layers] == [(weight,), (weight,)]
    assert table.graph.values[weight].name == "table.weight"
    assert [row.params for row in table.rows] == [40, 0]
    assert table.graph.values[0].dtype == DType("int64", 8)


def test_tensors_in_one_memory_share_it() -> None:
    first_layer, second_layer = nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False)
    second_layer.weight = nn.Parameter(first_layer.weight.data)
    module = nn.Sequential(first_layer, second_layer)
    values = graph_of(module, 1, 4).values
    first, second = (n for n, value in enumerate(values) if value.kind == "parameter")
    assert (values[first].shares, values[second].shares) == (None, first)


class Several(nn.Module):
    """What gives several results, and what returns a parameter as it is."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d(2, return_indices=True)
        self.lstm = nn.LSTM(4, 5)
        self.own = nn.Parameter(torch.ones(3))

    def forward(self, x: Tensor) -> Any:
        pooled, places = self.pool(x)
        y, (h, c) = self.lstm(pooled[0])
        best, which = y.topk(2)
        return places, h, c, best, which, self.own


def test_several_results_are_results_of_one_layer() -> None:
    graph = graph_of(Several(), 1, 3, 8, 8)
    layers = {layer.path: layer for layer in graph.layers}
    assert list(layers) == ["pool", "slice", "lstm", "topk", "own"]
    shapes = {
        path: [graph.values[n].shape for n in layer.results] for path, layer in layers.items()
    }
    assert shapes["pool"] == [(1, 3, 4, 4), (1, 3, 4, 4)]
    assert shapes["lstm"] == [(3, 4, 5), (1, 4, 5), (1, 4, 5)]
    assert shapes["topk"] == [(3, 4, 2), (3, 4, 2)]
    assert graph.outputs == ((1, 3, 4, 4), (1, 4, 5), (1, 4, 5), (3, 4, 2), (3, 4, 2), (3,))
    assert graph.unused == ()


def test_a_layer_without_a_batch_is_one_row_and_gives_what_torch_gives() -> None:
    table = costlab.analyze(nn.Conv2d(3, 4, 3), (3, 8, 8))
    assert [row.path for row in table.rows] == ["conv2d"]
    assert table.graph.outputs == ((4, 6, 6),)


def broken(**changes: Any) -> Graph:
    """A small graph with something changed in its last layer, or in itself."""
    net = Net("net", (1, 4))
    x = net.add("a", ReLU(), *net.inputs)
    graph = net.graph(net.add("b", ReLU(), x))
    own = {key: value for key, value in changes.items() if key in ("values", "returns", "layers")}
    rest = {key: value for key, value in changes.items() if key not in own}
    first, last = graph.layers
    return replace(graph, layers=(first, last._replace(**rest)), **own)


SMALL = (Value((1, 4), kind="input"), Value((1, 4)), Value((1, 4)))
BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "takes what nothing gave": ({"operands": (2,)}, "takes value 2, which nothing gave before"),
    "no value of that number": ({"operands": (7,)}, "takes value 7"),
    "as many operands as shapes": ({"operands": (1, 1)}, "has 2 operands, not 1"),
    "gives what is there": ({"results": (1,)}, "gives value 1, which is there already"),
    "gives a value twice": ({"results": (2, 2)}, "gives value 2, which is there already"),
    "gives nothing": ({"results": ()}, "gives nothing"),
    "a path twice": ({"path": "a"}, "two layers have one path"),
    "no path": ({"path": ""}, "or one has none"),
    "an orphan": ({"values": (*SMALL, Value((1, 4)))}, "value 3"),
    "returns nothing known": ({"returns": (9,)}, "nothing gives value 9"),
    "a nameless buffer": ({"values": (*SMALL, Value((1,), FLOAT32, "buffer"))}, "without a name"),
    "memory of nobody": (
        {"values": (*SMALL[:2], Value((1, 4), shares=2))},
        "shares memory with 2",
    ),
}


@pytest.mark.wrong_graphs
@pytest.mark.parametrize("name", BROKEN)
def test_check_names_what_does_not_hold_of_a_graph(name: str) -> None:
    changes, problem = BROKEN[name]
    broken().check()
    with pytest.raises(AssertionError, match=problem):
        broken(**changes).check()
