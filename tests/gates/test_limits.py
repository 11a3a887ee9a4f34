"""A limit as a value, what it may be, the room between, and the layers that made it fail."""

from __future__ import annotations

import re
from fractions import Fraction

import pytest
from torch import nn

import costlab as library
from costlab.alignment import Alignment, align
from costlab.costs.table import CostTable
from costlab.errors import ExpressionError
from costlab.gates.causes import Cause, Causes
from costlab.gates.limits import Judged, judged, limit
from costlab.gates.settings import Place
from costlab.ops.conv import Conv

SMALL, LARGE = library.analyze("reduced"), library.analyze("reduced(c5r=24)")
MACS = 128_049_152
"""Of the smaller one: reports/naive-vs-reduced.md."""


def of(text: str, table: CostTable = SMALL, base: CostTable | None = None) -> Judged:
    pairs = () if base is None else align(base, table).pairs
    return judged(limit(text, base is not None), Place(), table, base, lambda: pairs)


def behind(one: Judged) -> Causes:
    """The layers that made it fail, of one way."""
    return one.causes[0] if one.causes else Causes()


@pytest.mark.parametrize(
    ("text", "value", "bound", "room", "holds"),
    [
        ("macs <= 130 M", MACS, 130_000_000, 130_000_000 - MACS, True),
        ("macs <= 128 M", MACS, 128_000_000, 128_000_000 - MACS, False),
        (f"macs <= {MACS}", MACS, MACS, 0, True),
        (f"macs < {MACS}", MACS, MACS, 0, False),
        ("128 M >= macs", MACS, 128_000_000, 128_000_000 - MACS, False),
        ("macs >= 128 M", MACS, 128_000_000, MACS - 128_000_000, True),
        (f"macs > {MACS}", MACS, MACS, 0, False),
        (f"macs == {MACS}", MACS, MACS, None, True),
        (f"macs != {MACS}", MACS, MACS, None, False),
        ("1 < 2", 1, 2, 1, True),
        ("macs <= 128049152.75", MACS, MACS, 0, True),
        ("macs >= 128049151.25", MACS, MACS, 0, True),
        ("macs <= 1.02 * base.macs", MACS, MACS * 102 // 100, MACS * 102 // 100 - MACS, True),
        ("base.macs <= macs", MACS, MACS, 0, True),
        ("not macs > 130 M", MACS, 130_000_000, 130_000_000 - MACS, True),
        ("not (128 M > macs)", MACS, 128_000_000, MACS - 128_000_000, True),
        ("not macs == 1", MACS, 1, None, True),
        ("macs / 3 <= 1/3", Fraction(MACS, 3), Fraction(1, 3), Fraction(1 - MACS, 3), False),
    ],
)
def test_a_comparison_has_a_value_a_bound_and_room(
    text: str, value: Fraction, bound: Fraction, room: Fraction | None, holds: bool
) -> None:
    one = of(text, base=SMALL)
    assert (one.value, one.bound, one.room, one.holds) == (value, bound, room, holds)
    assert one.text == text


def test_conditions_of_which_one_has_to_hold_name_the_layers_behind_each() -> None:
    either = "macs < 1 or (params < 1 or 1 < 2 and macs > 1 G)"
    one = of(either)
    assert (one.holds, one.value) == (False, None)
    macs, params = (of(text).causes for text in ("macs < 1", "params < 1"))
    assert one.causes == (*macs, *params)
    assert of("macs < 1 or params > 1").causes == ()
    other = of("macs > base.macs or macs < base.macs", LARGE, LARGE)
    assert [causes.way for causes in other.causes] == ["are largest"]


def test_networks_are_aligned_once_and_only_if_a_limit_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """For thousands of layers it takes seconds."""
    aligned = []

    def noted(*tables: CostTable) -> Alignment:
        aligned.append(tables)
        return align(*tables)

    monkeypatch.setattr("costlab.gates.gate.align", noted)
    limits = ("macs <= base.macs", "params <= base.params", "flops <= base.flops")
    assert library.check(SMALL, *limits, baseline=LARGE).holds
    assert aligned == []
    assert not library.check(LARGE, *limits, baseline=SMALL).holds
    assert aligned == [(SMALL, LARGE)]


def test_conditions_that_are_joined_are_judged_one_by_one() -> None:
    text = "100 M < macs <= 120 M and (params < 7 M and macs[conv] > 1)"
    assert [(one.sign, int(one.value or 0), one.holds) for one in of(text).parts] == [
        (">", MACS, True),
        ("<=", MACS, False),
        ("<", SMALL.total.params, True),
        (">", MACS, True),
    ]
    assert [one.text for one in of(text).parts] == [
        *("100 M < macs", "macs <= 120 M", "params < 7 M", "macs[conv] > 1"),
    ]


PARAMS = SMALL.total.params


@pytest.mark.parametrize(
    ("text", "joint", "parts", "line"),
    [
        (
            "macs < 1 or params > 1",
            "or",
            [("macs < 1", MACS, 1, 1 - MACS), ("params > 1", PARAMS, 1, PARAMS - 1)],
            "",
        ),
        (
            "macs < 9 or (params < 7 or 0 < macs <= 5)",
            "or",
            [
                ("macs < 9", MACS, 9, 9 - MACS),
                ("params < 7", PARAMS, 7, 7 - PARAMS),
                ("0 < macs <= 5", None, None, None),
            ],
            f" fails: {MACS:,} is not less than 9, by {MACS - 9:,}; "
            f"{PARAMS:,} is not less than 7, by {PARAMS - 7:,}; "
            f"{MACS:,} is not at most 5, by {MACS - 5:,}",
        ),
        (
            "not (macs > 9 and params > 7)",
            "or",
            [("not macs > 9", MACS, 9, 9 - MACS), ("not params > 7", PARAMS, 7, 7 - PARAMS)],
            f" fails: {MACS:,} is not at most 9, by {MACS - 9:,}; "
            f"{PARAMS:,} is not at most 7, by {PARAMS - 7:,}",
        ),
        (
            "(macs < 9) != (params < 7)",
            "!=",
            [("macs < 9", MACS, 9, 9 - MACS), ("params < 7", PARAMS, 7, 7 - PARAMS)],
            " fails",
        ),
        ("False", "", [], " fails"),
    ],
)
def test_what_is_joined_otherwise_has_the_numbers_of_each_part(
    text: str, joint: str, parts: list[tuple[object, ...]], line: str
) -> None:
    one = of(text)
    assert (one.value, one.bound, one.room, one.sign) == (None, None, None, "")
    assert (one.joint, one.holds) == (joint, not line)
    assert [(part.text, part.value, part.bound, part.room) for part in one.parts] == parts
    if line:
        assert one.line == text + line


def test_what_is_not_one_of_several_is_none_of_them() -> None:
    """So each has a line of its own."""
    conditions = of("not (params > 1 or macs < 1)")
    assert [(one.text, one.holds) for one in conditions.parts] == [
        ("not params > 1", False),
        ("not macs < 1", True),
    ]


def test_each_part_has_a_line_with_its_numbers() -> None:
    result = library.check("reduced", "macs <= 128 M or params[branch3x3] <= 1 K", "macs < 1 G")
    lines = [" ".join(line.split()) for line in result.to_text().splitlines()]
    assert lines[lines.index("reduced") + 1 :][:4] == [
        "any of: fails",
        "macs <= 128 M 128,049,152 128,000,000 −49,152 fails",
        "params[branch3x3] <= 1 K 129,696 1,000 −128,696 fails",
        "macs < 1 G 128,049,152 1,000,000,000 871,950,848 holds",
    ]
    assert "| – macs <= 128 M " in result.to_markdown().replace("\\", "")
    assert [(record["limit"], record["part_of"]) for record in result.records()] == [
        ("macs <= 128 M or params[branch3x3] <= 1 K", ""),
        ("macs <= 128 M", "macs <= 128 M or params[branch3x3] <= 1 K"),
        ("params[branch3x3] <= 1 K", "macs <= 128 M or params[branch3x3] <= 1 K"),
        ("macs < 1 G", ""),
    ]
    either, _ = result.data()["models"][0]["limits"]
    assert either["joined_by"] == "or"
    assert [part["room"] for part in either["parts"]] == [-49_152, -128_696]


def test_a_limit_is_one_however_it_joins_conditions() -> None:
    either, both = "macs <= 1 or params <= 1", "macs <= 1 G and params <= 1"
    result = library.check("reduced", either, both, "macs <= 1 G")
    text = result.to_text()
    assert "2 of 3 limits fail." in text
    assert [one.text for one in result] == [either, both, "macs <= 1 G"]
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert lines[lines.index("all of: fails") + 1 :][:2] == [
        "macs <= 1 G 128,049,152 1,000,000,000 871,950,848 holds",
        f"params <= 1 {PARAMS:,} 1 −{PARAMS - 1:,} fails",
    ]
    headings = [line for line in lines if line.startswith("reduced: ")]
    assert headings == ["reduced: macs <= 1", "reduced: params <= 1"]


def test_the_line_says_by_how_much() -> None:
    assert of("macs <= 128 M").line == (
        "macs <= 128 M fails: 128,049,152 is not at most 128,000,000, by 49,152"
    )
    assert of("macs == 1").line == "macs == 1 fails: 128,049,152 is not exactly 1"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("macs", "this is a number: compare it"),
        ("mcas < 1", "unknown name 'mcas': did you mean 'macs'"),
        ("macs <= base.macs", "there is no baseline: give one"),
        ("macs[cov] <= 1", "reduced has no layer 'cov'"),
        ("macs / (macs - macs) < 1", "this is 0, and divides"),
    ],
)
def test_what_is_no_limit(text: str, said: str) -> None:
    with pytest.raises(ExpressionError) as raised:
        of(text)
    assert said in str(raised.value)


def paths(one: Judged) -> list[str]:
    return [cause.path for cause in behind(one).layers]


def test_what_holds_has_no_cause() -> None:
    assert behind(of("macs <= 1 G", LARGE, SMALL)).layers == ()


def test_without_a_baseline_the_largest_layers_are_the_cause() -> None:
    one = of("macs <= 1 M")
    assert behind(one).way == "are largest"
    rows = sorted((row for row in SMALL.rows if row.macs), key=lambda row: -row.macs)
    assert [(cause.path, cause.now, cause.before) for cause in behind(one).layers] == [
        (row.path, row.macs, None) for row in rows
    ]
    assert behind(one).layers[0].derivation == "(28·28·128)·(3·3·96)"
    assert behind(one).lines(1) == ["branch3x3.conv 86,704,128: (28·28·128)·(3·3·96)"]
    one = of("macs[branch5x5] <= 1 M")
    assert paths(one) == ["branch5x5.conv", "branch5x5.reduce"]


def test_with_a_baseline_the_layers_that_grew_are_the_cause() -> None:
    one = of("macs <= 1 M", LARGE, SMALL)
    assert behind(one).way == "grew or were added"
    assert behind(one).layers == (
        Cause(
            "macs",
            "branch5x5.conv",
            15_052_800,
            10_035_200,
            "(28·28·32)·(5·5·24)",
            "(28·28·32)·(5·5·16)",
        ),
        Cause(
            "macs",
            "branch5x5.reduce",
            3_612_672,
            2_408_448,
            "(28·28·24)·(1·1·192)",
            "(28·28·16)·(1·1·192)",
        ),
    )
    assert behind(one).layers[1].line == (
        "branch5x5.reduce +1,204,224: (28·28·24)·(1·1·192), was (28·28·16)·(1·1·192)"
    )
    assert behind(one).lines(1) == [behind(one).layers[0].line]
    assert sum(cause.change for cause in behind(one).layers) == LARGE.total.macs - SMALL.total.macs


def test_layers_that_were_added_have_no_before() -> None:
    one = of("params <= 1", library.analyze("reduced"), library.analyze("naive"))
    added = {cause.path: cause for cause in behind(one).layers if cause.before is None}
    assert added.keys() >= {"branch5x5.reduce", "branchpool.project"}
    assert added["branchpool.project"].derivation == "32×192×1×1 + 32"


def network(**scopes: tuple[int, ...]) -> CostTable:
    """Convolutions of these widths, one behind the other, in scopes that number them."""
    net = library.Net("network", (1, 4, 8, 8))
    (x,) = net.inputs
    for scope, widths in scopes.items():
        with net.scope(scope):
            for number, width in enumerate(widths):
                x = net.add(str(number), Conv(width, 1), x)
    return library.analyze(net.graph(x))


def test_a_layer_that_has_another_path_now_is_not_the_cause() -> None:
    before, now = network(body=(4, 8, 16, 32)), network(renamed=(4, 8, 8, 16, 32))
    one = of("macs <= base.macs", now, before)
    (added,) = behind(one).layers
    assert (added.now, added.before) == (8 * 8 * 8 * 8, None)


def test_in_a_part_what_came_from_outside_of_it_is_new() -> None:
    """So what the layers changed by adds up to the difference of the value."""
    before, now = network(a=(4,), b=(8, 16)), network(a=(4, 8), b=(16,))
    one = of("macs[a] <= base.macs[a]", now, before)
    assert [(c.path, c.now, c.before) for c in behind(one).layers] == [("a.1", 8 * 8 * 8 * 4, None)]
    assert behind(one).layers[0].change == now.at("a").total.macs - before.at("a").total.macs


def test_too_little_is_caused_by_what_shrank_or_went() -> None:
    before = network(body=(4, 8, 16))
    one = of("macs >= base.macs", network(body=(4, 8)), before)
    assert (behind(one).way, paths(one)) == ("shrank or were removed", ["body.2"])


@pytest.mark.parametrize("quantity", ["macs", "params", "flops"])
@pytest.mark.parametrize("sign", ["<=", ">="])
def test_what_changed_adds_up_to_the_difference(quantity: str, sign: str) -> None:
    """Also where one layer grew and another one went; what the limit is about comes first."""
    naive, reduced = library.analyze("naive"), library.analyze("reduced(c3r=512)")
    now, before = (naive, reduced) if sign == ">=" else (reduced, naive)
    one = of(f"{quantity} {sign} {'1 T' if sign == '>=' else '1'}", now, before)
    changes = [cause.change for cause in behind(one).layers]
    assert behind(one).way == "changed"
    assert sum(changes) == getattr(now.total, quantity) - getattr(before.total, quantity)
    grew = [change > 0 for change in changes]
    assert grew == sorted(grew, reverse=sign == "<=")
    assert len(set(grew)) == 2


def test_where_a_layer_was_replaced_by_one_of_another_kind_it_counts_as_removed() -> None:
    before, now = (
        library.analyze(nn.Sequential(layer, nn.Flatten()), (1, 4, 8, 8))
        for layer in (nn.Conv2d(4, 4, 3), nn.Linear(8, 1000))
    )
    one = of("macs <= base.macs", now, before)
    assert [(cause.now, cause.before) for cause in behind(one).layers] == [
        *((4 * 8 * 8 * 1000, None), (None, 6 * 6 * 4 * 3 * 3 * 4))
    ]
    assert behind(one).lines(2)[1] == "0 −5,184: was (6·6·4)·(3·3·4)"


def test_too_little_without_a_baseline_has_no_cause() -> None:
    one = of("macs >= 1 G")
    assert behind(one).layers == ()


def test_where_nothing_grew_the_largest_layers_are_the_cause() -> None:
    one = of("macs <= 1 M", SMALL, LARGE)
    assert behind(one).way == "are largest"


@pytest.mark.parametrize(
    ("text", "quantity", "derivation"),
    [
        ("flops <= 1", "flops", "2·(28·28·128)·(3·3·96) + 100,352 other ops"),
        ("activations[branch1x1.conv] <= 1", "activations", "1×64×28×28"),
        ("weights <= 1", "weights", "conv2d 3×3"),
        ("cmp <= 1", "cmp", "max_pool2d 3×3"),
        ("layers <= 1", "layers", "conv2d 1×1"),
        ("weight_gradient_macs <= 1", "weight_gradient_macs", "(128·3·3·96)·(28·28)"),
        ("input_gradient_macs <= 1", "input_gradient_macs", "(28·28·128)·(3·3·96)"),
        (
            "training_macs[branch3x3.reduce] <= 1",
            "training_macs",
            "forward 14,450,688 + weight gradient 14,450,688",
        ),
    ],
)
def test_how_the_numbers_of_other_quantities_come_about(
    text: str, quantity: str, derivation: str
) -> None:
    one = of(text, library.analyze("reduced", training_cost=True))
    largest = behind(one).layers[0]
    assert (largest.quantity, largest.derivation) == (quantity, derivation)


def test_a_quantity_without_layers_has_no_cause() -> None:
    one = of("depth <= 1")
    assert (one.holds, behind(one).layers) == (False, ())


def test_every_quantity_of_the_model_is_explained() -> None:
    one = of("macs + params <= base.add", LARGE, SMALL)
    assert {cause.quantity for cause in behind(one).layers} == {"macs", "params"}


@pytest.mark.parametrize(
    ("text", "value", "limit", "room"),
    [
        ("time_bound <= 1 us", "10.1 µs", "1.00 µs", "−9.08 µs"),
        ("1 ms >= 2 * time_bound + 3 us", "23.2 µs", "1.00 ms", "977 µs"),
        ("time_bound - base.time_bound < 5 us", "4.67 µs", "5.00 µs", "325 ns"),
        ("time_bound <= 2 * base.time_bound", "10.1 µs", "10.8 µs", "733 ns"),
        ("time_bound / base.time_bound <= 1.02", "1.864", "1.020", "−0.844"),
        ("time_bound / macs < 1", "0.033", "1", "0.967"),
    ],
)
def test_times_have_units(text: str, value: str, limit: str, room: str) -> None:
    """What is made of times otherwise, a factor or a time for each MAC, is a number."""
    gate = library.check("naive", text, baseline="reduced", device="h100-sxm")
    line = next(line for line in gate.to_text().splitlines() if line.startswith("  " + text[:20]))
    assert re.split(r"  +", line)[2:5] == [value, limit, room]
    (record,) = gate.records()
    assert record["unit"] == ("ps" if value.endswith("s") else "")
    assert (record["value"] == 10_082_942) == (text.startswith("time_bound <="))


def test_layers_that_made_a_time_too_long_have_times() -> None:
    gate = library.check("naive", "time_bound <= 1 us", device="h100-sxm")
    assert "time bound of the layers that are largest:" in gate.to_text()
    (finding,) = gate.findings()
    assert finding.text.splitlines() == [
        "time_bound <= 1 us fails: 10.1 µs is not at most 1.00 µs, by 9.08 µs",
        "branch3x3.conv 4.94 µs: 2·165,249,024 needed MACs / 66.9 TFLOPS",
        "branch5x5.conv 3.30 µs: 2·110,321,664 needed MACs / 66.9 TFLOPS",
        "concat 778 ns: 2,609,152 bytes / 3.35 TB/s",
    ]


def test_totals_of_a_time_are_times() -> None:
    gate = library.check("naive", "time_bound <= 1 us", baseline="reduced", device="h100-sxm")
    line = next(line for line in gate.to_text().splitlines() if "time bound " in line)
    assert re.split(r"  +", line.strip()) == [
        *("time bound", "5.41 µs", "10.1 µs", "+4.67 µs", "+86.4 %"),
    ]
