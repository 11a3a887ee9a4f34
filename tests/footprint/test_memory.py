"""What is said of memory: totals, layers, the peak, and what is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from command_line import Run
from holding_modules import Cache, Frozen, Tied
from torch import Tensor, nn

import costlab
from costlab.errors import CostlabError
from costlab.footprint.settings import size_in_bytes
from costlab.graph.sizes import Sizes
from costlab.render.plots import Levels
from costlab.render.web.plots import DrawnLevels

Step = Callable[[list[nn.Parameter]], torch.optim.Optimizer]

OPTIMIZERS: dict[str, Step] = {
    "sgd": lambda params: torch.optim.SGD(params, 0.1),
    "momentum": lambda params: torch.optim.SGD(params, 0.1, momentum=0.9),
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(
    ("module", "inputs"),
    [(Frozen(), torch.zeros(3, 8)), (Tied(), torch.zeros(1, 2, dtype=torch.int64))],
)
def test_torchs_own_optimizers_keep_as_much(
    optimizer: str, module: nn.Module, inputs: Tensor, dtype: torch.dtype
) -> None:
    memory = costlab.memory(module, inputs=inputs, training=True, optimizer=optimizer, dtype=dtype)
    real = type(module)().to(dtype)
    step = OPTIMIZERS[optimizer](list(real.parameters()))
    real(inputs.to(dtype) if inputs.is_floating_point() else inputs).sum().backward()
    step.step()
    kept = [
        value
        for state in step.state.values()
        for value in state.values()
        if isinstance(value, Tensor)
    ]
    assert memory.total["optimizer_bytes"] == sum(tensor.nbytes for tensor in kept)


@pytest.mark.parametrize("training", [False, True])
def test_the_chart_has_the_peak_and_who_holds_it(training: bool) -> None:
    memory = costlab.memory("reduced", training=training, depth=1)
    (chart,) = (block for block in memory.page() if isinstance(block, Levels))
    assert max(chart.sums) == memory.total["peak_tensors_bytes"]
    holders, peak = memory.timeline.holders(), chart.moments[chart.peak]
    assert peak.label.split(",")[0] == memory.data()["peak"]["path"].split(".")[0]
    if training:
        saved, gradients, _ = peak.amounts
        assert saved == sum(holder.saved for holder in holders)
        assert gradients == sum(holder.gradients for holder in holders)
        assert chart.moments[0].label.endswith(", forward")
        assert chart.moments[-1].label.endswith(", backward")
    bars = DrawnLevels(chart).bars
    assert min(y for bar in bars for y, _ in bar.parts) == 0
    assert all(sum(height for _, height in bar.parts) <= 240.2 for bar in bars)
    assert DrawnLevels(chart).peak_text in memory.to_html()


def test_the_chart_says_what_holds_the_peak_where_no_layer_does() -> None:
    class Net(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + 1

    page = costlab.memory(Net(), (1, 3)).to_html()
    assert "peak 12 bytes of tensors: (the model)." in page


def test_what_makes_nothing_has_no_chart() -> None:
    assert "<figure" not in costlab.memory(nn.Identity(), (1, 3)).to_html()


def test_the_whole_is_the_sum_of_its_parts() -> None:
    total = costlab.memory("reduced", training=True, optimizer="adam").total
    parts = ("params", "buffers", "inputs", "optimizer", "peak_tensors")
    assert total["peak_bytes"] == sum(total[f"{part}_bytes"] for part in parts)
    assert total["gradients_bytes"] == total["params_bytes"]


def test_layers_by_hand() -> None:
    """Two linear layers on 3 rows: 4 bytes an element."""
    net = nn.Sequential(nn.Linear(5, 7), nn.ReLU(inplace=True), nn.Linear(7, 2))
    memory = costlab.memory(net, (3, 5))
    first, relu, last = memory.records()
    assert first == {
        "path": "0",
        "params_bytes": 4 * (5 * 7 + 7),
        "buffers_bytes": 0,
        "inputs_bytes": 4 * 3 * 5,
        "outputs_bytes": 4 * 3 * 7,
        "saved_bytes": 0,
        "read_bytes": 4 * (3 * 5 + 5 * 7 + 7),
        "written_bytes": 4 * 3 * 7,
        "live_bytes": 4 * 3 * 7,
        "backward_live_bytes": None,
    }
    assert (relu["inputs_bytes"], relu["outputs_bytes"]) == (4 * 3 * 7, 0)  # in place
    assert (last["outputs_bytes"], last["live_bytes"]) == (4 * 3 * 2, 4 * 3 * (7 + 2))
    peak = json.loads(memory.to_json())["peak"]
    assert (peak["path"], peak["phase"]) == ("2", "forward")
    assert [(holder["path"], holder["bytes"]) for holder in peak["holders"]] == [
        ("0", 4 * 3 * 7),
        ("2", 4 * 3 * 2),
    ]
    trained = costlab.memory(net, (3, 5), training=True)
    assert [row["saved_bytes"] for row in trained.records()] == [0, 4 * 3 * 7, 0, 0]
    assert trained.total["saved_bytes"] == 4 * 3 * 7
    assert [row["backward_live_bytes"] is None for row in trained.records()] == [False] * 4


def test_a_built_module_lets_go_of_what_nobody_reads_any_more() -> None:
    holders = costlab.memory("googlenet").timeline.holders()
    assert [holder.path for holder in holders] == ["norm2", "conv2.relu"]


@pytest.mark.parametrize("training", [False, True])
def test_holders_and_layers_add_up(training: bool) -> None:
    memory = costlab.memory("reduced", training=training)
    for depth in (None, 1):
        data = json.loads(memory.to_depth(depth).to_json())
        peak, rows = data["peak"], data["rows"]
        assert (
            sum(holder["bytes"] for holder in peak["holders"])
            == (data["total"]["peak_tensors_bytes"])
        )
        assert sum(row["saved_bytes"] for row in rows) == data["total"]["saved_bytes"]
        assert sum(row["params_bytes"] for row in rows) == data["total"]["params_bytes"]
        most = max(max(row["live_bytes"], row["backward_live_bytes"] or 0) for row in rows)
        assert most == data["total"]["peak_tensors_bytes"]
    assert [row["path"] for row in rows][:2] == ["branch1x1", "branch3x3"]


def test_the_backward_pass_has_its_layers() -> None:
    """A peak in the backward pass is at the layer whose operation is derived."""
    net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 400), nn.Linear(400, 400))
    memory = costlab.memory(net, (1, 4), training=True)
    moment = memory.timeline.peak_moment
    assert moment.backward
    assert moment.path == "1"
    gradients = {holder.path: holder.gradients for holder in memory.timeline.holders()}
    assert gradients["2"] == 4 * (400 * 400 + 400)


@pytest.mark.parametrize("training", [False, True])
def test_the_model_and_random_numbers_are_left_as_they_were(training: bool) -> None:
    module = Cache().train()
    inputs = torch.randn(3, 8)
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    state, given, call = torch.get_rng_state(), inputs.clone(), nn.Module.__call__
    costlab.memory(module, inputs=inputs, training=training, dtype="bfloat16")
    costlab.memory(module, inputs=inputs, training=training, real=True)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(inputs, given)
    after = module.state_dict()
    assert all(
        torch.equal(after[name], tensor) and after[name].dtype is tensor.dtype
        for name, tensor in before.items()
    )
    assert (module.calls, module.kept, module.training) == (0, [], True)
    assert all(parameter.grad is None for parameter in module.parameters())
    assert nn.Module.__call__ is call
    assert torch.is_grad_enabled()


def test_values_that_are_asked_for_need_real_tensors() -> None:
    class Asking(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Any:
            return self.linear(x) if x.sum() > 0 else x

    with pytest.raises(CostlabError, match=r"needs the values of tensors.*--real") as raised:
        costlab.memory(Asking(), (2, 4))
    assert "test_memory.py" in str(raised.value)
    real = costlab.memory(Asking(), inputs=torch.ones(2, 4), real=True)
    assert real.timeline.peak == 4 * 2 * 4


def test_an_encoder_that_packs_what_its_mask_leaves_says_what_to_do() -> None:
    """torch has no answer on shapes but "Internal error. Please file an issue"."""
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    encoder = nn.TransformerEncoder(layer, 1)
    given = {"src": torch.zeros(2, 4, 8), "src_key_padding_mask": torch.arange(4).expand(2, 4) > 2}
    with pytest.raises(CostlabError, match=r"real=True or --real .* enable_nested_tensor=False"):
        costlab.memory(encoder, inputs=given)
    encoder.use_nested_tensor = False
    assert costlab.memory(encoder, inputs=given)


@pytest.mark.parametrize("training", [False, True])
def test_pieces_are_rounded_one_by_one(training: bool) -> None:
    exact = costlab.memory("reduced", training=training, optimizer="adam" if training else "")
    blocks = costlab.memory(
        "reduced", training=training, optimizer="adam" if training else "", round_to=512
    )
    parameters = list(costlab.build("reduced").parameters())
    by_hand = [512 * -(-parameter.nbytes // 512) for parameter in parameters]
    assert blocks.total["params_bytes"] == sum(by_hand) > exact.total["params_bytes"]
    if training:
        assert blocks.total["gradients_bytes"] == sum(by_hand)
        assert blocks.total["optimizer_bytes"] == 2 * sum(by_hand) + 4 * len(by_hand)
    pieces = zip(exact.timeline.pieces, blocks.timeline.pieces, strict=True)
    assert all(up.bytes % 512 == 0 and 0 <= up.bytes - own.bytes < 512 for own, up in pieces)
    assert "rounded up to 512 bytes" in blocks.to_text()
    assert costlab.memory("reduced", round_to=1).to_json() == costlab.memory("reduced").to_json()
    with pytest.raises(CostlabError, match="from 1, such as 512"):
        costlab.memory("reduced", round_to=0)


def test_a_part_is_what_its_module_is_alone(tmp_path: Path) -> None:
    """In the network its input wants a gradient, since something before it learns."""
    file = tmp_path / "mine.py"
    file.write_text(
        "import torch\n"
        "from torch import nn\n"
        "def net():\n"
        "    block = nn.Sequential(nn.Linear(8, 5), nn.BatchNorm1d(5), nn.Dropout())\n"
        "    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), block, nn.Linear(5, 2))\n"
    )
    block = nn.Sequential(nn.Linear(8, 5), nn.BatchNorm1d(5), nn.Dropout())
    x = torch.zeros(3, 8)
    for training in (False, True):
        part = costlab.memory(f"{file}:net/2", (3, 4), training=training)
        alone = costlab.memory(block, inputs=x.requires_grad_(training), training=training)
        assert part.total == alone.total
        assert part.records() == alone.records()


def test_what_cannot_be_run_is_no_alternative() -> None:
    class Single(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            assert x.dtype == torch.float32
            return x * 2

    fits = costlab.memory(Single(), (2, 8), fits="1K").fits
    assert fits is not None
    assert not fits.alternatives


def test_layers_have_their_buffers() -> None:
    memory = costlab.memory("reduced/branch5x5")
    by_layer = {row["path"]: row["buffers_bytes"] for row in memory.records()}
    assert {path: size for path, size in by_layer.items() if size} == {
        "reduce_bn": 16 * 8 + 8,
        "bn": 32 * 8 + 8,
    }
    assert sum(by_layer.values()) == memory.total["buffers_bytes"]


class FixedBatch(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Any:
        return self.linear(x.view(2, 4))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: costlab.memory(FixedBatch(), (2, 4), fits="1G"),
            "the batch of FixedBatch is fixed by its code: it runs with 2, and with 3 ",
        ),
        (
            lambda: costlab.memory(FixedBatch(), Sizes(((2, 4),), batch=5)),
            "the batch of FixedBatch is fixed by its code: it runs with 2, and with 5 ",
        ),
        (
            lambda: costlab.analyze(FixedBatch(), Sizes(((2, 4),), batch=5)),
            "the batch of FixedBatch is fixed by its code: it runs with 2, and with 5 ",
        ),
        (lambda: costlab.analyze(FixedBatch(), Sizes(((3, 4),), batch=5)), "view on 5×4"),
        (lambda: costlab.memory("reduced", fits="1K"), "reduced does not fit into 1,000 bytes"),
        (lambda: costlab.memory("reduced", fits="many"), "cannot read the size 'many'"),
        (
            lambda: costlab.memory("reduced", fits="0G"),
            "0G is a size of 0 bytes, into which nothing fits",
        ),
        (
            lambda: costlab.memory("reduced", fits="9999999T"),
            "9999999T is more than the 9,223,372,036,854,775,807 bytes that torch can count",
        ),
        (
            lambda: costlab.memory("reduced", (10**12, 192, 10**5, 10**5)),
            "torch makes no input of 1000000000000×192×100000×100000",
        ),
        (lambda: costlab.memory("reduced", dtype="float33"), "did you mean 'float32'"),
        (
            lambda: costlab.memory("reduced", dtype="float8_e5m2"),
            "unknown type of floating-point numbers 'float8_e5m2'",
        ),
        (
            lambda: costlab.memory("reduced", dtype="int8"),
            "unknown type of floating-point numbers 'int8'",
        ),
        (
            lambda: costlab.memory("reduced", training=True, optimizer="adamm"),
            "unknown optimizer 'adamm': did you mean 'adam' or 'adamw'",
        ),
        (lambda: costlab.memory("reduced", optimizer="adam"), "give training=True, or --training"),
        (
            lambda: costlab.memory(
                nn.MultiheadAttention(4, 1),
                inputs=tuple(torch.zeros(n, 1, 4) for n in (2, 3, 3)),
                fits="1G",
            ),
            "the inputs of MultiheadAttention is the batch? Their first ones differ "
            "(2×1×4 + 3×1×4 + 3×1×4)",
        ),
        (lambda: costlab.memory(nn.Linear(4, 4)), "what is the input of"),
        (lambda: costlab.memory(nn.Linear(4, 4), (2, 5)), "the model cannot be run"),
        (
            lambda: costlab.memory(nn.Linear(4, 4).requires_grad_(False), (2, 4), training=True),
            "no gradient goes back",
        ),
        (lambda: costlab.memory("reduced", inputs=torch.zeros(1)), "is for an nn.Module"),
        (lambda: costlab.memory(nn.LazyLinear(4), (2, 4)), "of a lazy module has no shape yet"),
    ],
)
def test_what_is_wrong_with_a_question_of_memory_is_one_line(
    call: Callable[[], Any], message: str
) -> None:
    with pytest.raises(CostlabError) as raised:
        call()
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_sizes_of_memory() -> None:
    sizes = {"24G": 24 * 10**9, "80GiB": 80 * 2**30, "512M": 512 * 10**6, "1.5 kib": 1536}
    sizes |= {"7000": 7000, "3 GB": 3 * 10**9, "0.1T": 10**11}
    assert {text: size_in_bytes(text) for text in sizes} == sizes
    for text in ("", "G", "-1G", "1e9", "1..5G", "1X", "1iB", "²G"):
        with pytest.raises(CostlabError, match="cannot read the size"):
            size_in_bytes(text)


def test_memory_takes_no_rules_and_says_why(costlab: Run) -> None:
    done = costlab("memory", "naive", "--rules", "rules.py")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "memory takes no --rules: these say what a call computes" in done.stderr


def test_the_memory_command(costlab: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from torch import nn\n\ndef net():\n"
        "    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))\n"
    )
    done = costlab("memory", "mine.py:net", "--input-size", "3,4", cwd=tmp_path)
    assert done.returncode == 0
    assert "mine.py:net" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    args = ("--training", "--optimizer", "adam", "--dtype", "bfloat16", "--format", "json")
    data = json.loads(costlab("memory", "reduced", *args, "--depth", "1").stdout)
    assert (data["training"], data["optimizer"], data["dtype"]) == (True, "adam", "bfloat16")
    assert data["total"]["params_bytes"] == 2 * 164_432
    assert data["complete"]
    output = tmp_path / "memory.csv"
    assert costlab("memory", "reduced", "-o", str(output)).returncode == 0
    header = output.read_text(encoding="utf-8").partition("\n")[0]
    assert set(header.split(",")) - {"made_by"} == set(data["rows"][0])
    wrong = costlab("memory", "mine.py:net/7", "--input-size", "3,4", cwd=tmp_path)
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)
    assert "7 is no module of Sequential" in wrong.stderr
    fits = costlab("memory", "reduced", "--fits", "64M", "--format", "json")
    assert json.loads(fits.stdout)["fits"]["size_bytes"] == 64_000_000


@pytest.mark.parametrize("model", ["naive", "googlenet"])
@pytest.mark.parametrize("training", [(), ("--training",)])
def test_the_tables_of_memory_fit_a_terminal(
    costlab: Run, model: str, training: tuple[str, ...]
) -> None:
    text = costlab("memory", model, "--depth", "1", *training).stdout
    assert "█" in text
    assert max(map(len, text.splitlines())) <= 80


def test_layers_of_long_names_stand_in_the_table_once(costlab: Run) -> None:
    text = costlab("memory", "googlenet", "--training").stdout
    assert text.partition("Layer by layer:")[2].count("\nconv1.conv ") == 1
    assert "Left out at 80 columns: most live" in text


class Unread(nn.Module):
    """Has a layer that it does not call."""

    def __init__(self) -> None:
        super().__init__()
        self.used, self.unused = nn.Linear(4, 4), nn.Linear(5, 5)

    def forward(self, x: Tensor) -> Any:
        return self.used(x)


@pytest.mark.parametrize("training", [False, True])
def test_params_that_nothing_reads_are_said(training: bool) -> None:
    """They are held, and ``analyze`` does not count them."""
    memory = costlab.memory(Unread(), (2, 4), training=training)
    assert memory.held.params - costlab.analyze(Unread(), (2, 4)).total.params_bytes == 120
    said = " ".join(memory.to_text().split())
    assert "Of the params 120 bytes are held, and nothing reads them" in said


@pytest.mark.parametrize(
    "module",
    [nn.LSTM(4, 4), nn.TransformerEncoderLayer(4, 1, 8, batch_first=True), nn.BatchNorm1d(3)],
)
def test_params_that_are_read_are_not_said(module: nn.Module) -> None:
    assert costlab.memory(module, (2, 3, 4)).held.params_not_read == 0
