"""Models of ONNX cost what the modules cost that they were exported from."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from sampled import sampled
from torch import Tensor, nn

import costlab
from costlab.costs.table import CostTable
from costlab.errors import CostlabError, ProgramError, ShapeError
from costlab.programs import onnx_schemas, onnx_wire

onnx = pytest.importorskip("onnx", reason="onnx is not installed")

Saved = Callable[..., str]


@pytest.fixture
def saved(tmp_path: Path) -> Saved:
    """A function that exports a module, with other values than those that it is made with.

    Torch's exporter makes one of tensors with the same values.
    """
    pytest.importorskip("onnxscript", reason="onnxscript is not installed")

    def save(module: nn.Module, *inputs: Tensor, **how: Any) -> str:
        torch.manual_seed(0)
        for tensor in (*module.parameters(), *module.buffers()):
            if tensor.is_floating_point():
                nn.init.uniform_(tensor, 0.5, 1.5)
        file = str(tmp_path / "net.onnx")
        logging.disable(logging.WARNING)
        try:
            with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
                warnings.simplefilter("ignore")
                torch.onnx.export(module.eval(), inputs, file, external_data=False, **how)
        finally:
            logging.disable(logging.NOTSET)
        return file

    return save


def totals(table: CostTable) -> tuple[Any, ...]:
    return table.total.macs, table.total.params, table.graph.outputs, table.complete


def with_macs(table: CostTable) -> list[str]:
    return [row.path for row in table.rows if row.macs]


@pytest.mark.parametrize("name", sampled(["reduced", "googlenet", "mobilenet-v1"], "reduced"))
def test_a_model_of_the_catalog_costs_what_the_module_costs(saved: Saved, name: str) -> None:
    traced = costlab.analyze(name)
    module = costlab.build(name)
    file = saved(module, torch.zeros(traced.graph.inputs[0]), dynamo=True, optimize=False)
    table = costlab.analyze(file)
    assert totals(table) == totals(traced)
    assert with_macs(table) == with_macs(traced)
    table.graph.check()


@pytest.mark.parametrize("name", sampled(["shufflenetv2_w1", "efficientnet_b0"]))
def test_a_model_of_others_costs_what_the_module_costs(saved: Saved, name: str) -> None:
    from pytorchcv.model_provider import get_model

    module = get_model(name)
    size = (1, 3, *module.in_size)
    file = saved(module, torch.zeros(size), dynamo=True, optimize=False)
    assert totals(costlab.analyze(file)) == totals(costlab.analyze(module, size))


def test_a_folded_batch_norm_is_named(saved: Saved) -> None:
    """A batch norm has two parameters for a channel, and the convolutions here have biases."""
    traced = costlab.analyze("reduced")
    channels = sum(row.layer.output[1] for row in traced.rows if row.macs)
    module = costlab.build("reduced")
    for how in ({"dynamo": True, "optimize": True}, {"dynamo": False}):
        table = costlab.analyze(saved(module, torch.zeros(1, 192, 28, 28), **how))
        assert table.total.macs == traced.total.macs
        assert table.total.params == traced.total.params - 2 * channels
        assert with_macs(table) == with_macs(traced)
        assert "batch norm is folded into branch1x1.conv, " in table.graph.about
        assert "and 3 more" in table.graph.about


class Noted(nn.Module):
    """Buffers and scalars that are learned, and what an optimiser computes of constants."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.act = nn.Conv2d(4, 4, 1), nn.PReLU(4)
        self.scale, self.table = nn.Parameter(torch.ones(())), nn.Embedding(9, 4)
        self.register_buffer("shift", torch.ones(4, 1, 1))

    def forward(self, x: Tensor) -> Any:
        mask = torch.ones(5, 5, dtype=torch.bool).tril() & (torch.arange(5) < 4)
        rows = self.table(torch.arange(2)).sum(0).view(4, 1, 1)
        return self.act(self.linear(x) * self.scale + self.shift).where(mask, -1.0) + rows


def test_what_torch_notes_of_initialisers_decides_which_are_parameters(saved: Saved) -> None:
    x = torch.zeros(1, 4, 5, 5)
    traced = costlab.analyze(Noted(), inputs=x)
    plain = costlab.analyze(saved(Noted(), x, dynamo=True, optimize=False))
    assert totals(plain) == totals(traced)
    optimised = costlab.analyze(saved(Noted(), x, dynamo=True))
    assert "counted as parameters: " in optimised.graph.about
    assert "(of table.weight)" in optimised.graph.about
    fewer = traced.total.params - optimised.total.params
    assert fewer == 9 * 4 - 4  # the sum of two rows is in place of the table


class Words(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(10, 12)
        self.lstm = nn.LSTM(12, 6, batch_first=True, bidirectional=True)
        self.norm = nn.LayerNorm(12)
        self.layer = nn.TransformerEncoderLayer(12, 3, 24, batch_first=True)
        self.words = nn.Linear(12, 10)

    def forward(self, ids: Tensor) -> Any:
        x, _ = self.lstm(self.embed(ids))
        return self.words(self.layer(self.norm(x)))


def test_a_model_of_words_costs_what_the_module_costs(saved: Saved) -> None:
    ids = torch.zeros(2, 5, dtype=torch.long)
    traced = costlab.analyze(Words(), inputs=ids)
    table = costlab.analyze(saved(Words(), ids, dynamo=True, optimize=False))
    assert table.total.macs == traced.total.macs
    assert table.total.params == traced.total.params
    assert table.complete


def test_other_counters_confirm_a_model(saved: Saved) -> None:
    module = costlab.build("reduced")
    file = saved(module, torch.zeros(1, 192, 28, 28), dynamo=True, optimize=False)
    assert costlab.crosscheck(file).agrees
    assert costlab.reconcile(file, against="fvcore,torch").explained


def made(nodes: list[Any], weights: dict[str, tuple[int, ...]], **how: Any) -> Any:
    """A model whose input ``x`` has that shape, and that gives ``y``."""
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    shape = how.pop("shape", (1, 3, 8, 8))
    inputs = [helper.make_tensor_value_info("x", kind, shape)]
    outputs = [helper.make_tensor_value_info("y", kind, how.pop("output", None))]
    initializers = []
    for name, size in weights.items():
        one = onnx.TensorProto(name=name, dims=size, data_type=kind)
        one.data_location = onnx.TensorProto.EXTERNAL
        one.external_data.add(key="location", value="../../../../etc/passwd")
        initializers.append(one)
    graph = helper.make_graph(nodes, "made", inputs, outputs, initializers)
    imports = [helper.make_opsetid("", how.pop("opset", 18)), helper.make_opsetid("mine", 1)]
    return helper.make_model(graph, opset_imports=imports, **how)


def node(*args: Any, **how: Any) -> Any:
    return onnx.helper.make_node(*args, **how)


CONV = ("Conv", ["x", "w"], ["h"])


def test_weights_beside_the_file_are_shapes_and_are_not_opened(tmp_path: Path) -> None:
    model = made([node(*CONV), node("Relu", ["h"], ["y"])], {"w": (4, 3, 3, 3)})
    onnx.save(model, tmp_path / "net.onnx")
    for one in (model, str(tmp_path / "net.onnx")):
        table = costlab.analyze(one)
        assert (table.total.macs, table.total.params) == (36 * 4 * 27, 108)


def test_an_initialiser_that_two_operators_take_counts_once() -> None:
    nodes = [node(*CONV), node("Conv", ["h", "w"], ["y"])]
    table = costlab.analyze(made(nodes, {"w": (3, 3, 3, 3)}))
    assert (table.total.macs, table.total.params) == ((36 + 16) * 3 * 27, 81)


def branches() -> Any:
    """An ``If`` whose branches take and compute what is around them."""
    kind = onnx.TensorProto.FLOAT
    given = [onnx.helper.make_tensor_value_info("b", kind, (1, 4, 6, 6))]
    then = onnx.helper.make_graph([node("Conv", ["h", "v"], ["b"], pads=[1] * 4)], "a", [], given)
    other = onnx.helper.make_graph([node("Identity", ["h"], ["b"])], "b", [], given)
    how = {"then_branch": then, "else_branch": other, "name": "/head/strange/If"}
    return node("If", ["c"], ["y"], **how)


@pytest.mark.parametrize(("condition", "macs"), [(True, 36 * 4 * (27 + 36)), (False, 36 * 4 * 27)])
def test_a_branch_is_followed_where_its_condition_is_known(condition: bool, macs: int) -> None:
    constant = onnx.helper.make_tensor("c", onnx.TensorProto.BOOL, (), [condition])
    nodes = [node(*CONV), node("Constant", [], ["c"], value=constant), branches()]
    table = costlab.analyze(made(nodes, {"w": (4, 3, 3, 3), "v": (4, 4, 3, 3)}))
    assert (table.total.macs, table.complete) == (macs, True)


@pytest.mark.parametrize("width", [3, 200])
def test_weights_in_constants_are_parameters_as_initialisers_are(width: int) -> None:
    """But for numbers, what says how to compute, and those of torch, which are of the code."""
    kind = onnx.TensorProto
    many = onnx.helper.make_tensor("w", kind.FLOAT, (width, 64), [0.5] * 64 * width)
    two = onnx.helper.make_tensor("two", kind.FLOAT, (), [2.0])
    to = onnx.helper.make_tensor("to", kind.INT64, (2,), [2, 64])
    given = [node("Constant", [], [one.name], value=one) for one in (many, two, to)]
    nodes = [node("Reshape", ["x", "to"], ["r"]), node("Mul", ["r", "two"], ["m"])]
    nodes += [node("Gemm", ["m", "w"], ["y"], transB=1)]
    model, other = made([*given, *nodes], {}, shape=(2, 64)), made(nodes, {}, shape=(2, 64))
    other.graph.initializer.extend([many, two, to])
    for one in (model, other):
        table = costlab.analyze(one)
        assert (table.total.macs, table.total.params) == (2 * 64 * width, 64 * width)
        assert costlab.crosscheck(one, counters="torch").agrees
    model.producer_name = "pytorch"
    assert costlab.analyze(model).total.params == 0


def test_unknown_operators_and_control_flow_are_uncounted_with_their_place() -> None:
    for other in (
        node("Strange", ["h"], ["y"], domain="mine", name="/head/strange/Strange"),
        node("Hardmax", ["h"], ["y"], name="/head/strange/Hardmax"),
        branches(),
    ):
        nodes = [node(*CONV, name="/stem/Conv")]
        nodes += [node("ReduceMax", ["h"], ["m"]), node("Cast", ["m"], ["c"], to=9), other]
        model = made(nodes, {"w": (4, 3, 3, 3), "v": (4, 4, 3, 3)}, output=(1, 4, 6, 6))
        table = costlab.analyze(model)
        assert not table.complete
        [place] = [row.path for row in table.rows if row.uncounted]
        assert place.startswith("head.strange")
        assert with_macs(table) == ["stem"]


def test_an_operator_whose_result_nobody_knows_is_an_error() -> None:
    nodes = [node(*CONV), node("Strange", ["h"], ["y"], domain="mine")]
    with pytest.raises(CostlabError, match="has mine::Strange at y, which is not followed here"):
        costlab.analyze(made(nodes, {"w": (4, 3, 3, 3)}))


def test_what_an_unknown_operator_gives_varies_with_the_input() -> None:
    """Where the file says it by the name of an input's dimension; else it is not guessed."""
    nodes = [node("Strange", ["x"], ["s"], domain="mine"), node("Conv", ["s", "w"], ["y"])]
    model = made(nodes, {"w": (4, 3, 3, 3)}, shape=("batch", 3, 8, 8))
    kind = onnx.TensorProto.FLOAT
    for dims in (("batch", 3, 8, 8), (5, 3, 8, 8), ("other", 3, 8, 8)):
        del model.graph.value_info[:]
        model.graph.value_info.append(onnx.helper.make_tensor_value_info("s", kind, dims))
        if dims[0] == "other":
            with pytest.raises(CostlabError, match="says only that it gives other×3×8×8: give"):
                costlab.analyze(model, (5, 3, 8, 8))
        else:
            table = costlab.analyze(model, (5, 3, 8, 8))
            assert not table.complete
            assert table.total.macs == 5 * 36 * 4 * 27


def test_a_file_that_the_standard_does_not_allow_is_refused(tmp_path: Path) -> None:
    """Nothing runs it, and what it means would be a guess."""
    conv = {"inputs": ["x", "w"], "outputs": ["y"]}
    for wrong, said in (
        (node("Conv", **conv, kernel_shape="33"), "has kernel_shape of the type STRING, not INTS"),
        (node("Conv", **conv, stride=[2, 2]), "has an attribute 'stride': opset 18"),
        (node("Conv", **conv, kernel_shape=[5, 5]), "has a kernel of 5×5 and a weight of 4×3×3×3"),
        (node("Conv", ["x"], ["y"]), "Conv at 'y' has 1 inputs: opset 18 has no such operator"),
        (node("Conv", ["h", "w"], ["y"]), "'h' is taken, and nothing before gives it"),
        (node("Reshape", ["x", "w"], ["y"]), "has 'w', which says how an operator computes, in a"),
    ):
        with pytest.raises(CostlabError, match=said):
            costlab.analyze(made([wrong], {"w": (4, 3, 3, 3)}))
    cycle = [node("Add", ["x", "b"], ["a"]), node("Relu", ["a"], ["b"]), node("Abs", ["b"], ["y"])]
    onnx.save(made(cycle, {}), tmp_path / "cycle.onnx")
    with pytest.raises(ProgramError, match=r"cycle.onnx: 'b' is taken, and nothing before gives"):
        costlab.analyze(str(tmp_path / "cycle.onnx"))


def test_a_function_of_the_file_is_uncounted_also_by_the_name_of_an_operator() -> None:
    model = made(
        [node(*CONV), node("Relu", ["h"], ["y"])], {"w": (4, 3, 3, 3)}, output=(1, 4, 6, 6)
    )
    imports = [onnx.helper.make_opsetid("", 18)]
    body = [node("Conv", ["a", "a"], ["b"])]
    function = onnx.helper.make_function("", "Relu", ["a"], ["b"], body, imports)
    assert costlab.analyze(model).complete
    model.functions.append(function)
    table = costlab.analyze(model)
    assert [row.label for row in table.uncounted] == ["Relu"]


def test_a_limit_that_is_a_factor_too_is_a_number() -> None:
    """As torch's exporter shares the 6 of a hard swish, and notes it like what a parameter gave."""
    model = made([node("Clip", ["x", "", "six"], ["c"]), node("Div", ["c", "six"], ["y"])], {})
    model.graph.initializer.append(onnx.helper.make_tensor("six", 1, (), [6.0]))
    value = onnx.helper.make_tensor_value_info("six", 1, ())
    value.metadata_props.add(key="pkg.onnxscript.optimizer.folded_from", value="['max_val']")
    model.graph.value_info.append(value)
    table = costlab.analyze(model)
    assert (table.total.params, table.complete) == (0, True)


def test_a_later_opset_is_known_as_far_as_operators_have_not_changed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = made([node(*CONV), node("Gelu", ["h"], ["y"])], {"w": (4, 3, 3, 3)}, opset=20)
    assert costlab.analyze(model).complete
    monkeypatch.setattr(onnx_schemas, "NEWEST", 19)
    table = costlab.analyze(model)
    assert [row.label for row in table.uncounted] == ["Gelu"]
    assert table.total.macs == 36 * 4 * 27
    with pytest.raises(ProgramError, match=r"is of opset 999, and the installed onnx knows \d+"):
        costlab.analyze(made([node(*CONV)], {"w": (4, 3, 3, 3)}, opset=999))


def test_constants_that_grow_take_no_memory_without_bound() -> None:
    """Each operator doubles what it is given: 2^40 elements in the end."""
    nodes = [node("Concat", [f"k{n}", f"k{n}"], [f"k{n + 1}"], axis=0) for n in range(40)]
    nodes += [node("Shape", ["k40"], ["s"]), node("Cast", ["s"], ["f"], to=1)]
    start = onnx.helper.make_tensor("k0", onnx.TensorProto.INT64, (1,), [1])
    nodes.insert(0, node("Constant", [], ["k0"], value=start))
    model = made([*nodes, node("Add", ["x", "f"], ["y"])], {}, shape=(1,))
    assert costlab.analyze(model).graph.outputs == ((1,),)


def test_dimensions_without_a_size() -> None:
    nodes = [node(*CONV), node("GlobalAveragePool", ["h"], ["y"])]
    model = made(nodes, {"w": (4, 3, 3, 3)}, shape=("batch", 3, 8, 8))
    assert costlab.analyze(model).graph.inputs == ((1, 3, 8, 8),)
    assert costlab.analyze(model, (5, 3, 8, 8)).total.macs == 5 * 36 * 4 * 27
    model = made(nodes, {"w": (4, 3, 3, 3)}, shape=("batch", 3, "side", "side"))
    with pytest.raises(ShapeError, match="input x is 1×3×side×side in the program: give an"):
        costlab.analyze(model)
    assert costlab.analyze(model, (1, 3, 8, 8)).total.macs == 36 * 4 * 27


def test_shapes_are_computed_and_are_no_layers() -> None:
    """As of a reshape to the batch and all the rest."""
    zero = onnx.helper.make_tensor("zero", onnx.TensorProto.INT64, (1,), [0])
    rest = onnx.helper.make_tensor("rest", onnx.TensorProto.INT64, (1,), [-1])
    nodes = [
        *(node(*CONV), node("Shape", ["h"], ["s"]), node("Constant", [], ["z"], value=zero)),
        *(node("Gather", ["s", "z"], ["n"]), node("Constant", [], ["r"], value=rest)),
        *(node("Concat", ["n", "r"], ["to"], axis=0), node("Reshape", ["h", "to"], ["y"])),
    ]
    table = costlab.analyze(made(nodes, {"w": (4, 3, 3, 3)}))
    assert [row.layer.op.kind for row in table.rows] == ["conv", "movement"]
    assert table.graph.outputs == ((1, 144),)


class Joining(nn.Module):
    """Attention and an image in sizes that its code computes."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 4, 3, padding=1)
        self.qkv, self.out = nn.Linear(4, 12), nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        y = nn.functional.interpolate(self.first(x), size=x.shape[-2:])
        y = self.last(y).flatten(2).transpose(1, 2)
        batch, length, width = y.shape
        q, k, v = self.qkv(y).view(batch, length, 3, 2, 2).permute(2, 0, 3, 1, 4)
        y = (q @ k.transpose(-2, -1)).softmax(-1) @ v
        y = y.transpose(1, 2).reshape(batch, length, width)
        result: Tensor = self.out(y) + torch.zeros(1, 1, 1).expand(batch, length, width)
        return result


def test_sizes_that_a_graph_computes_stay_symbols(saved: Saved) -> None:
    """Through Shape, Gather, Slice, Concat and products to Reshape, Resize and Expand."""
    names = {"input_names": ["x"], "dynamic_axes": {"x": {0: "N", 2: "H", 3: "W"}}}
    file = saved(Joining(), torch.zeros(2, 3, 16, 16), dynamo=False, **names)
    known = costlab.formula(file, near={"H": 16, "W": 16})
    module = costlab.formula(Joining(), input_size="N,3,H,W", near={"H": 16, "W": 16})
    assert known.symbols == module.symbols
    assert known.macs == module.macs
    for n, h, w in ((3, 20, 24), (2, 7, 9)):
        table = costlab.analyze(Joining(), (n, 3, h, w))
        assert known.at(N=n, H=h, W=w).macs == table.total.macs
        assert costlab.analyze(file, (n, 3, h, w)).graph.outputs == table.graph.outputs


def with_many_elements(model: Any, file: Path, length: int, there: int) -> None:
    """Write a model with an initialiser of so many bytes, of which the file has only some."""
    one = onnx.TensorProto(name="v", dims=(length // 4,), data_type=onnx.TensorProto.FLOAT)
    tensor = one.SerializeToString() + b"\x4a" + written(length)  # the key of raw_data
    graph = model.graph.SerializeToString() + b"\x2a" + written(len(tensor) + length) + tensor
    model.ClearField("graph")
    content = model.SerializeToString() + b"\x3a" + written(len(graph) + length) + graph
    with file.open("wb") as out:
        out.write(content)
        out.truncate(len(content) + there)  # of no bytes on the disk


def written(number: int) -> bytes:
    return bytes([*(number >> 7 * n & 127 | 128 for n in range(9)), number >> 63])


def test_weights_inside_of_a_file_are_not_read(tmp_path: Path) -> None:
    """More of them than protobuf takes, 2 GiB."""
    file, nodes = tmp_path / "net.onnx", [node(*CONV), node("Identity", ["h"], ["y"])]
    with_many_elements(made(nodes, {"w": (4, 3, 3, 3)}), file, 3 * 2**30, 3 * 2**30)
    table = costlab.analyze(str(file))
    assert table.total.macs == 36 * 4 * 27
    assert dict(table.graph.unused) == {"v": 3 * 2**28}
    with_many_elements(made(nodes, {"w": (4, 3, 3, 3)}), file, 3 * 2**30, 2**20)
    with pytest.raises(ProgramError, match=r"\(3,221,225,[0-9]{3} bytes are to follow byte 29\)"):
        costlab.analyze(str(file))


def test_what_a_file_has_beside_its_weights_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = made([node(*CONV), node("Identity", ["h"], ["y"])], {"w": (4, 3, 3, 3)})
    model.doc_string = "x" * 2**20
    onnx.save(model, tmp_path / "net.onnx")
    assert costlab.analyze(str(tmp_path / "net.onnx")).total.macs
    monkeypatch.setattr(onnx_wire, "MOST_KEPT", 2**20)
    with pytest.raises(ProgramError, match="it has more than 1 MiB beside its weights"):
        costlab.analyze(str(tmp_path / "net.onnx"))


def test_what_is_no_model(tmp_path: Path) -> None:
    model = made([node(*CONV)], {"w": (4, 3, 3, 3)})
    content = model.SerializeToString()
    file = tmp_path / "net.onnx"
    with pytest.raises(ProgramError, match=r"there is no file .*net.onnx"):
        costlab.analyze(str(file))
    for wrong in (b"", b"hello", content[: len(content) // 2], content[:-1], b"\x00" * 100):
        file.write_bytes(wrong)
        with pytest.raises(ProgramError, match=r"net.onnx is no whole (file|model) of ONNX"):
            costlab.analyze(str(file))
    with pytest.raises(ProgramError, match="is of opset 9, and operators are known from 11 on"):
        costlab.analyze(made([node(*CONV)], {"w": (4, 3, 3, 3)}, opset=9))
