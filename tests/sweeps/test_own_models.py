"""Sweeps of a user's own network: every row is the trace of its variant."""

from __future__ import annotations

import runpy
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from own_networks import Branches, Fixed, Tokens
from torch import nn
from wrapped import own_rules

import costlab as library
from costlab.costs.quantities import quantities
from costlab.models.module import MadeOnce
from costlab.sweeps import engine, own_models
from costlab.sweeps.files import Store
from costlab.sweeps.own_networks import OwnNetworks
from costlab.sweeps.request import Request
from costlab.sweeps.search import count_blocks
from costlab.sweeps.sweep import Sweep, refusals, run_sweep

HERE = Path(__file__).parent
FILE = str(HERE / "own_networks.py")


def traced(make: Any, sizes: tuple[int, ...], **how: Any) -> dict[str, int] | None:
    """What is counted when the network is followed at that variant; None if it is refused."""
    try:
        total = library.analyze(make(), sizes, **how).total
    except (library.ShapeError, library.TraceError, ValueError):
        return None
    known = quantities(how.get("training_cost", False))
    return {name: own.of(total) for name, own in known.items() if not own.needs_layout}


def rows(frame: Any, names: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = frame[list(names)].to_dict("records")
    return found


SIDES = st.lists(st.integers(1, 40), min_size=1, max_size=2, unique=True)


@settings(max_examples=6)
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "width": st.lists(st.integers(2, 9), min_size=1, max_size=2, unique=True),
            "norm": st.just(["bn", "gn"]),
            "depth": st.just([0, 2]),
            "scale": st.just([0.5, 1.0]),
        },
    ),
    st.fixed_dictionaries({"N": st.sampled_from([[1], [1, 3]]), "H": SIDES, "W": SIDES}),
    st.booleans(),
)
def test_every_row_is_the_trace_of_its_variant(
    choices: dict[str, list[Any]], sizes: dict[str, list[int]], training_cost: bool
) -> None:
    vary = choices | sizes
    expected = []
    for values in product(*vary.values()):
        row = dict(zip(vary, values, strict=True))
        chosen = {name: row[name] for name in choices}
        size = (row["N"], 3, row["H"], row["W"])
        counted = traced(lambda c=chosen: Branches(**c), size, training_cost=training_cost)
        expected.append(row | counted if counted is not None else None)
    there = [row for row in expected if row is not None]
    try:
        frame = library.sweep(Branches, vary, input_size="N,3,H,W", training_cost=training_cost)
    except library.SweepError:
        assert not there
        return
    assert frame.attrs["undefined"] == len(expected) - len(there)
    assert rows(frame, there[0]) == there


@pytest.mark.parametrize("model", ["lenet5", Branches])
@pytest.mark.parametrize(
    "named",
    [{"quantities": "training_macs"}, {"minimize": "training_macs"}, {"where": "training_macs>0"}],
)
def test_a_sweep_counts_what_it_names_of_a_training_step(model: Any, named: dict[str, Any]) -> None:
    asked = library.sweep(model, {"H=W": [32, 64]}, training_cost=True)
    frame = library.sweep(model, {"H=W": [32, 64]}, **named)
    assert frame.to_dict("list") == asked.to_dict("list")


def test_sizes_that_code_makes_numbers_are_networks_of_their_own() -> None:
    frame = library.sweep(Fixed, {"H": range(2, 9), "W": [4, 5]})
    for row in frame.to_dict("records"):
        expected = traced(Fixed, (1, 3, row["H"], row["W"]))
        assert expected is not None
        assert {name: row[name] for name in expected} == expected
    assert len(frame) == 14


def test_ids_of_tokens_and_heads_that_do_not_divide() -> None:
    vary = {"d_model": [8, 12], "nhead": [2, 5], "T": range(1, 9)}
    frame = library.sweep(Tokens, vary, input_size="1,T", input_type="int64")
    assert list(zip(frame.d_model, frame.nhead, frame["T"], strict=True)) == [
        (width, 2, length) for width in (8, 12) for length in range(1, 7)
    ]
    for row in frame.to_dict("records"):
        expected = traced(lambda r=row: Tokens(r["d_model"]), (1, row["T"]), input_type="int64")
        assert expected is not None
        assert {name: row[name] for name in expected} == expected
    said = [text for _, text in frame.attrs["left_out"]]
    assert frame.attrs["undefined"] == 2 * 2 + 2 * 8
    assert "embed_dim must be divisible by num_heads" in " ".join(said)


@pytest.mark.parametrize(
    ("name", "size", "vary", "choices"),
    [
        ("lenet5", "N,1,H,W", {"N": "1,2", "H": "30:34:2", "W": [32, 34]}, {}),
        ("naive", "1,192,H,W", {"H=W": "7:28:7"}, {}),
        ("reduced", "1,192,H,W", {"H=W": "7:28:7"}, {"c5r": "16,24", "cp": "8:16:8"}),
        ("reduced/branch5x5", "1,192,H,W", {"H=W": "7:28:7"}, {}),
    ],
)
def test_the_catalogs_networks_as_modules_are_the_catalogs_sweep(
    name: str, size: str, vary: dict[str, Any], choices: dict[str, Any]
) -> None:
    def make(**chosen: Any) -> Any:
        return library.build(name.partition("/")[0], **chosen)

    def of_catalog(**chosen: Any) -> Any:
        return library.sweep(name, choices | vary, **chosen)

    expected = of_catalog()
    part = name.partition("/")[2]
    model = make if choices else make()
    if part:
        model = getattr(model, part)
    frame = library.sweep(model, choices | vary, input_size=size)
    names = [name for name in frame.columns if name in expected and name != "C"]
    assert len(frame) > 2
    assert frame[names].equals(expected[names])


def test_a_network_is_followed_once_for_many_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    followed = []
    follow = OwnNetworks.follow

    def noted(self: Any, values: Any) -> Any:
        followed.append(values)
        return follow(self, values)

    monkeypatch.setattr(OwnNetworks, "follow", noted)
    vary = {"width": [4, 8], "H": range(21, 221), "W": range(9, 309, 3)}
    frame = library.sweep(Branches, vary, where="macs > 0")
    assert len(frame) == 2 * 200 * 100
    assert len(followed) == 2 * 2  # the pooled width leaves 1 of 3, or another rest


WANTED: list[dict[str, Any]] = [
    {"where": "macs[conv] < 40000 and width % 2 == 0"},
    {"maximize": "macs / params", "top": 7},
    {"pareto": "macs,-activations"},
]


@pytest.mark.parametrize("wanted", WANTED, ids=str)
def test_what_is_wanted_of_regions_is_what_is_wanted_of_all(wanted: dict[str, Any]) -> None:
    """Branches are regions of a block: as a whole, and one variant after the other."""
    vary = {"width": [4, 5, 6], "H": range(17, 25), "W": range(10, 16)}
    frame = library.sweep(Branches, vary, **wanted)
    by_hand = library.sweep(Branches, vary).to_dict("records")
    if "where" in wanted:
        kept = [
            row
            for row in by_hand
            if row["macs"] - row["width"] * 5 < 40000 and row["width"] % 2 == 0
        ]
    elif "maximize" in wanted:
        kept = sorted(by_hand, key=lambda row: -row["macs"] / row["params"])[:7]
    else:
        kept = [
            row
            for row in by_hand
            if not any(
                other["macs"] <= row["macs"]
                and other["activations"] >= row["activations"]
                and (other["macs"], other["activations"]) != (row["macs"], row["activations"])
                for other in by_hand
            )
        ]
        kept.sort(key=lambda row: (row["macs"], -row["activations"]))
    assert frame.to_dict("records") == kept
    assert 1 < len(kept) < len(by_hand)


def test_processes_build_the_named_module_and_find_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    vary = {"width": "4:8", "H": "19:22", "W": "9:14"}
    alone = library.sweep(f"{FILE}:Branches", vary)
    started: list[int] = []
    pool = ProcessPoolExecutor

    def start(workers: int, context: Any, **more: Any) -> Any:
        started.append(workers)
        return pool(workers, context, **more)

    monkeypatch.setattr(engine, "WORTH", 0.0)
    monkeypatch.setattr(engine, "_FIRST", 0)
    monkeypatch.setattr(engine, "ProcessPoolExecutor", start)
    apart = library.sweep(f"{FILE}:Branches", vary, workers=2)
    assert started == [2]
    assert apart.equals(alone)
    assert apart.attrs == alone.attrs


@pytest.mark.filterwarnings("ignore")  # of Dask
def test_a_cluster_finds_the_same() -> None:
    distributed: Any = pytest.importorskip("distributed")
    vary = {"width": "4:8", "H": "19:22", "W": "9:14"}
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        apart = library.sweep(f"{FILE}:Branches", vary, client=client)
    alone = library.sweep(f"{FILE}:Branches", vary)
    assert apart.equals(alone)
    assert apart.attrs == alone.attrs


def test_counts_of_networks_beyond_64_bits_are_told() -> None:
    sides = [20, 10**6, 10**9, 10**12 - 1]
    frame = library.sweep(Branches, {"H": sides, "W": sides})
    assert frame.attrs["beyond"] > 0
    for row in frame.to_dict("records"):
        expected = traced(Branches, (1, 3, row["H"], row["W"]))
        assert expected is not None
        assert {name: row[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("model", "vary", "how", "said"),
    [
        (Branches, {"widht": "1:4"}, {"input_size": "1,3,8,8"}, "did you mean 'width'"),
        (Branches, {"H": "8"}, {"input_size": "1,3,8,8"}, "unknown argument or size"),
        (Branches, {"widht": "4,8"}, {}, "did you mean 'width'"),
        (Branches, {"width": "4,8"}, {}, "say what goes in: an input size"),
        (Branches, {"H": "8"}, {"input_size": "1,3,H,W"}, "W of the input has no size"),
        (Branches, {"H=W": "0,8"}, {}, "a size is from 1"),
        (Branches, {"width": "4"}, {"input_size": "1,3,width,8"}, "vary width=of_width if"),
        (Branches, {"width": "4"}, {"input_size": "1,3,8,8", "width": 8}, "given twice"),
        (Branches, {"width": "a"}, {"input_size": "1,3,8,8"}, "width takes whole numbers"),
        (Branches, {"norm": "gn"}, {"input_size": "1,3,8,8", "width": 6}, "4 groups need"),
        (Branches, {"H=W": "8"}, {"where": "macs[attention] > 1"}, "no layer 'attention'"),
        (Branches(), {"width": "4"}, {"input_size": "1,3,8,8"}, "give the class"),
        ("own_networks:Brunches", {"H=W": "8"}, {}, "did you mean 'Branches'"),
        (f"{FILE}:Branches(width=4)", {"width": "4", "H=W": "8"}, {}, "given twice"),
        (
            f"{FILE}:Branches(width=2*w)",
            {"w": "4", "H=W": "8"},
            {},
            "vary it by its own name, as width=8",
        ),
        (3, {"H=W": "8"}, {}, "not int"),
        (
            lambda width=4: Branches(width),
            {"H=W": "8"},
            {"workers": 2},
            "cannot be sent to other processes",
        ),
    ],
)
def test_what_cannot_be_swept_says_what_to_do(
    model: Any, vary: Any, how: dict[str, Any], said: str
) -> None:
    with pytest.raises(library.CostlabError, match=said):
        library.sweep(model, vary, **how)


def test_an_interrupted_sweep_goes_on_unless_the_code_has_changed(tmp_path: Path) -> None:
    file, imported, output = tmp_path / "net.py", tmp_path / "net_parts.py", tmp_path / "out.csv"
    code = Path(FILE).read_text(encoding="utf-8")
    file.write_text("from net_parts import Branches\n", encoding="utf-8")
    imported.write_text(code, encoding="utf-8")
    vary = {"width": "4:6", "norm": "bn,gn", "H": "19:22", "W": "9,12"}
    plan = Request(f"{file}:Branches", vary).plan()
    store = Store(plan, output)
    store.add(count_blocks(plan, 0, 2).found, 2)
    store.save()
    store.close()
    again = Store(plan, output, resume=True)
    assert again.begin == 2
    run_sweep(plan, again)
    whole = library.sweep(f"{FILE}:Branches", vary)
    assert Sweep(again).to_frame().equals(whole.convert_dtypes())
    assert [point for point, _ in refusals(again)] == [p for p, _ in whole.attrs["left_out"]]
    assert len(whole.attrs["left_out"]) == 1
    again.save()
    again.close()
    for changed in (file, imported):
        before = changed.read_text(encoding="utf-8")
        changed.write_text(f"{before}\n", encoding="utf-8")
        with pytest.raises(library.SweepError, match="holds another sweep"):
            Store(Request(f"{file}:Branches", vary).plan(), output, resume=True)
        changed.write_text(before, encoding="utf-8")
    Store(Request(f"{file}:Branches", vary).plan(), output, resume=True).close()


def test_what_has_no_rule_is_a_lower_bound() -> None:
    class Unknown(nn.Module):
        def forward(self, x: Any) -> Any:
            return torch.linalg.qr(x)[0] if x.shape[2] > 8 else x + 1

    frame = library.sweep(Unknown, {"H=W": "7:10"})
    assert frame.uncounted.tolist() == [0, 0, 1, 1]
    counted = library.sweep(Unknown, {"H=W": "7:10"}, where="uncounted == 0")
    assert counted.H.tolist() == [7, 8]
    plan = Request(Unknown, {"H=W": "7:10"}).plan()
    store = Store(plan)
    run_sweep(plan, store)
    said = Sweep(store).to_markdown()
    assert "2 variants have operations without a rule: these numbers are lower bounds" in said


def test_a_rule_that_came_later_counts(tmp_path: Path) -> None:
    file = tmp_path / "bessel.py"
    file.write_text(
        "import torch\n\nclass Net(torch.nn.Module):\n"
        "    def forward(self, x): return torch.special.bessel_j0(x)\n"
    )
    rule = tmp_path / "rule.py"
    rule.write_text(
        "import costlab\nEACH = 1\ndef elements(x): return EACH * x.numel()\n"
        "def rule(result, x): return costlab.OpCount(special=elements(x))\n"
    )

    def swept() -> Any:
        return library.sweep(f"{file}:Net", {"N": [3]}, input_size=("N", 4)).iloc[0]

    with own_rules():
        assert swept().uncounted == 1
        for special in (12, 24):  # by the same code, with another number
            library.counting(torch.special.bessel_j0, replace=True)(
                lambda result, x, special=special: library.OpCount(special=special)
            )
            row = swept()
            assert (row.uncounted, row.special) == (0, special)
        module = runpy.run_path(str(rule))
        library.counting(torch.special.bessel_j0, replace=True)(module["rule"])
        assert swept().special == 12
        module["rule"].__globals__["EACH"] = 2  # which another function reads
        assert swept().special == 24
    assert swept().uncounted == 1


@pytest.mark.parametrize(
    ("model", "asked"), [(Branches, "training_peak_bytes"), (Fixed, "peak_bytes")]
)
def test_what_runs_hold_is_swept_by_formulas_and_else_at_each_size(model: Any, asked: str) -> None:
    vary = {"N": [2, 3], "H": range(12, 30, 5), "W": range(12, 15)}
    frame = library.sweep(model, vary, input_size="N,3,H,W", minimize=asked, top=99)
    assert len(frame) == 24
    for row in frame.to_dict("records"):
        size = (row["N"], 3, row["H"], row["W"])
        held = library.memory(model(), size, training=asked.startswith("training"))
        assert row[asked] == held.peak_bytes


def test_what_a_run_holds_is_not_of_layers() -> None:
    with pytest.raises(library.ExpressionError, match="not counted by layers"):
        library.sweep(Fixed, {"H": [4], "W": [5]}, where="peak_bytes[conv] > 1")


def test_exported_programs_and_models_of_onnx_are_swept_and_checked(tmp_path: Path) -> None:
    module, sizes = Branches().eval(), {"N": torch.export.Dim("N"), "W": torch.export.Dim("W")}
    varying = {"x": {0: sizes["N"], 3: 3 * sizes["W"]}}
    program = torch.export.export(module, (torch.zeros(2, 3, 12, 18),), dynamic_shapes=varying)
    torch.export.save(program, tmp_path / "net.pt2")
    onnx = pytest.importorskip("onnx")
    image = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["N", 3, 12, "W"])
    result = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)
    pooled = onnx.helper.make_node("AveragePool", ["x"], ["y"], kernel_shape=[3, 3])
    graph = onnx.helper.make_graph([pooled], "net", [image], [result])
    onnx.save(onnx.helper.make_model(graph), tmp_path / "net.onnx")
    for file, plain in ("net.pt2", module), ("net.onnx", nn.AvgPool2d(3, 1)):
        path, vary = str(tmp_path / file), {"N": [1, 3], "W": [9, 15]}
        frame = library.sweep(path, vary, input_size="N,3,12,W", minimize="peak_bytes")
        assert len(frame) == 4
        for row in frame.to_dict("records"):
            size = (row["N"], 3, 12, row["W"])
            assert row["flops"] == library.analyze(plain, size).total.flops
            assert row["peak_bytes"] == library.memory(path, size).peak_bytes
        assert library.check(path, "flops > 0", input_size="N,3,12,W", vary=vary).holds


def test_at_few_sizes_a_network_is_followed_once_at_each(monkeypatch: pytest.MonkeyPatch) -> None:
    followed: list[bool] = []
    network = MadeOnce.network

    def noted(self: MadeOnce, size: Any, run: Any, choices: Any) -> Any:
        followed.append(run.symbolic is not None)
        return network(self, size, run, choices)

    monkeypatch.setattr(MadeOnce, "network", noted)
    vary = {"width": [4, 8], "H": [30], "W": [30, 31]}
    frame = library.sweep(Branches, vary, input_size="1,3,H,W")
    assert followed == [False] * 4
    assert len(frame) == 4


def test_a_rule_is_the_same_wherever_its_objects_lie() -> None:
    """Another process that goes on with a sweep has them elsewhere."""
    keys, rules = set(), []
    for _ in range(2):
        names: dict[str, Any] = {"THERE": object()}
        exec("def rule(result, x): return THERE", names)
        rules.append(names["rule"])
        with own_rules():
            library.counting(torch.special.bessel_j0)(names["rule"])
            keys.add(own_models._rules())
    assert len(keys) == 1
