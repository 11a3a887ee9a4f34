"""Published figures: every verdict is pinned, and what gives it is tested on its own."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from command_line import Run

import costlab as library
from costlab.figures import quantity
from costlab.figures.ledger import Ledger, ledger
from costlab.figures.source import FIGURE_VERDICTS, FOLDER, read, source, source_names
from costlab.printed import printed_number, printed_shape


@pytest.fixture(scope="module")
def everything() -> Ledger:
    return ledger()


def test_every_verdict_is_the_recorded_one(everything: Ledger) -> None:
    changed = [
        (row.source.id, row.figure.id, row.verdict, row.figure.verdict)
        for row in everything.rows
        if not row.as_recorded
    ]
    assert changed == []
    assert everything.as_recorded


def test_there_are_many_figures_from_many_sources(everything: Ledger) -> None:
    assert len(everything.rows) >= 200
    assert len(everything.sources) >= 12
    assert {row.verdict for row in everything.rows} == set(FIGURE_VERDICTS)


def test_an_explanation_is_there_where_it_is_needed_and_nowhere_else(everything: Ledger) -> None:
    for row in everything.rows:
        needed = row.verdict in ("another unit", "another network")
        assert (row.figure.because is not None) == needed, row.figure.id
        assert (row.explained is not None) == needed
        assert bool(row.because) == needed


@pytest.mark.parametrize("name", source_names())
def test_a_source_says_what_it_is(name: str) -> None:
    each = source(name)
    assert each.name
    assert each.url.startswith("https://")


TABLE_1: dict[str, tuple[Any, ...]] = {
    # weights, MACs and what they are judged to be: Szegedy et al. 2014, Table 1
    "conv1": (9_408, "another network", 118_013_952, "another network"),
    "conv2": (114_688, "another unit", 359_661_568, "reproduced"),
    "3a": (163_328, "another unit", 128_049_152, "reproduced"),
    "3b": (388_096, "not reproduced", 304_267_264, "reproduced"),
    "4a": (375_552, "not reproduced", 73_608_192, "truncated"),
    "4b": (448_512, "not reproduced", 87_908_352, "reproduced"),
    "4c": (509_440, "not reproduced", 99_850_240, "reproduced"),
    "4d": (604_672, "not reproduced", 118_515_712, "reproduced"),
    "4e": (867_328, "not reproduced", 169_996_288, "reproduced"),
    "5a": (1_042_432, "not reproduced", 51_079_168, "not reproduced"),
    "5b": (1_442_816, "not reproduced", 70_697_984, "reproduced"),
    "linear": (1_024_000, "another unit", 1_024_000, "reproduced"),
}


@pytest.mark.parametrize("row", TABLE_1)
def test_googlenets_table_1(row: str) -> None:
    params, ops = ledger([f"googlenet/table1-{row}-params", f"googlenet/table1-{row}-ops"]).rows
    assert (params.computed, params.verdict, ops.computed, ops.verdict) == TABLE_1[row]


def test_the_first_row_of_table_1_is_a_separable_convolution() -> None:
    params, ops = ledger(["googlenet/table1-conv1-params", "googlenet/table1-conv1-ops"]).rows
    assert params.explained == 7 * 7 * 3 * 8 + 24 * 64
    assert ops.explained == 112 * 112 * 2_712


def test_a_coincidence_of_four_digits() -> None:
    """A released network and the paper's with a separable stem: 1.498 and 1.499 G."""
    (released,) = ledger(["torchvision/googlenet-macs"]).rows
    assert released.computed == 1_582_671_872
    assert released.explained == 1_498_376_192
    assert library.analyze('googlenet(stem="separable")').total.macs == 1_498_677_248


@pytest.mark.parametrize(
    ("text", "exact", "rounds", "truncates"),
    [
        ("120M", 120_422_400, True, True),
        ("≈12.4M", 12_443_648, True, True),
        ("73M", 73_608_192, False, True),
        ("74M", 73_608_192, True, False),
        ("1.5 billion", 1_498_677_248, True, False),
        ("1.5 billion", 1_582_671_872, False, True),
        ("60,965,224", 60_965_224, True, True),
        ("60,965,224", 60_965_225, False, False),
        ("5 billion", 5_844_162_656, False, False),  # one digit has none to cut
        ("12×", 12, True, True),
        ("2.5", Fraction(5, 2), True, True),
        ("2.5", Fraction(245, 100), True, False),
        ("94.86%", Fraction(94857, 100_000), True, False),
        ("51 MB", 51 * 10**6 + 500_000, True, True),
        ("50M", 51_000_001, False, False),
    ],
)
def test_what_printed_digits_claim(
    text: str, exact: int | Fraction, rounds: bool, truncates: bool
) -> None:
    number = printed_number(text)
    assert number.rounds(Fraction(exact)) == rounds
    assert number.truncates(Fraction(exact)) == truncates


def test_printed_numbers_have_a_scale_a_kilo_and_a_precision() -> None:
    assert printed_number("2.5", "M").value() == 2_500_000
    assert printed_number("112K").value(1024) == 114_688
    assert printed_number("51 MB").value(1024) == 51 * 2**20
    assert printed_number("650,000", precision="10000").truncates(Fraction(659_272))
    assert printed_number("23.830", "M", "0.01").rounds(Fraction(23_834_568))
    assert not printed_number("23.830", "M").rounds(Fraction(23_834_568))
    with pytest.raises(library.FigureError, match="unknown scale 'X': known are K, M, G, T"):
        printed_number("2.5", "X")
    assert printed_shape("28×28×416") == printed_shape("28x28x416") == (28, 28, 416)


@pytest.mark.parametrize("wrong", ["", "about", "3 or 4", "1.5", "28 by 28", "28×-1"])
def test_printed_words_that_are_no_number_or_shape(wrong: str) -> None:
    read_it = printed_shape if wrong in ("1.5", "28 by 28", "28×-1") else printed_number
    with pytest.raises(library.FigureError):
        read_it(wrong)


@pytest.mark.parametrize(
    "text",
    [
        *("120.4 MMACs", "120.4M", "120.4 MFLOPs", "120.4 Megaflops", "120.4 mln", "120.4 Mio"),
        *("120.4 million multiply-adds", "~120.4M", "about 120.4M", "120.4Mops", "120.4 M MACs"),
        *("1.204亿", "12040万", "12.04 crore", "1.204×10^8", "1.204 x 10^8", "1.204·10**8"),
        *("1.204e8", "1.204E+8", "1.204×10⁸", "120,400,000", "120400000 MACs", "0.1204 GFLOPs"),
    ],
)
def test_one_number_in_many_spellings(text: str) -> None:
    assert printed_number(text).value() == 120_400_000


@pytest.mark.parametrize("text", ["1.2亿", "1.2×10^8", "1.2e8", "12 crore", "0.12 billion"])
def test_a_power_of_ten_scales_what_the_last_digit_stands_for(text: str) -> None:
    assert printed_number(text).step() == 10**7


@pytest.mark.parametrize(
    "text",
    [
        *(
            "120.4MM",
            "120Mi",
            "120 Q",
            "120 apples",
            "120Mapples",
            "120 MFLOP/s",
            "1.2兆",
            "120 M M",
        ),
        *(">100M", "<150M", "≥100M", "-5", "+5", "5±1", "5-6M", "120,4M", "12,04,22,400", "1.2.3"),
        *(
            "1×2",
            "1.2×10^",
            "1.2e",
            "1.2e8M",
            "1.2e8 million",
            "1e400",
            "9" * 5000,
            "１２０M",
            "٣",
            "×",
        ),
        *("1 million billion", "1e-5", "0x10", "1/0", "120.M", "the 120M", "120 M M"),
    ],
)
def test_a_printed_number_that_is_not_understood_is_refused(text: str) -> None:
    with pytest.raises(library.FigureError, match=r"cannot read the printed|too many|power of ten"):
        printed_number(text)


def test_a_scale_beside_a_power_of_ten_or_bytes_of_another_unit_are_refused() -> None:
    with pytest.raises(library.FigureError, match="give one"):
        printed_number("1.2e8", "M")
    with pytest.raises(library.FigureError, match="is a number of bytes, and its unit is 'MACs'"):
        printed_number("120MB", unit="MACs")
    assert printed_number("120MB", unit="MB of 2^20 bytes").value() == 120_000_000
    assert printed_number("1.2B", unit="parameters").value() == 1_200_000_000


@pytest.mark.parametrize("precision", ["1/0", "0", "-1", "1e999999999", "abc", "nan"])
def test_a_precision_that_is_none_is_refused(precision: str) -> None:
    with pytest.raises(library.FigureError, match="cannot read the precision"):
        printed_number("120", precision=precision)


QUANTITIES = [
    ("macs", 128_049_152),
    ("macs[conv] + add[conv]", 128_049_152 + 28 * 28 * 368),
    ('macs["branch5x5.*"]', 12_443_648),
    ('params["branch5x5.*", "branch1x1.*"]', 15_920 + 12_352),
    ("weights + biases", 163_696),
    ("weights", 163_328),
    ("kernels", 192 * (64 + 96 + 16 + 32) + 96 * 128 + 16 * 32),
    ("channels[conv]", 64 + 96 + 128 + 16 + 32 + 32),
    ('channels["concat"]', 256),
    ("layers[conv]", 6),
    ("depth[conv]", 2),
    ("depth[conv, relu]", 4),
    ("inputs[max_pool]", 192 * 28 * 28),
    ("2*flops - (other + 2*macs)", 2 * 128_049_152 + 28 * 28 * (192 * 8 + 2 * 368)),
    ("versus.params / params", Fraction(6_998_552, 163_696)),
    ("versus.layers[linear]", 1),
]


@pytest.mark.parametrize(("text", "value"), QUANTITIES)
def test_a_quantity_of_a_figure_is_computed(text: str, value: int | Fraction) -> None:
    table, versus = library.analyze("googlenet/inception_3a"), library.analyze("googlenet")
    assert quantity.evaluate(text, table, versus) == value


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("mcas", "did you mean 'macs'"),
        ("macs[softmax]", "has no layer 'softmax' (column 6, before 'softmax]'"),
        ("macs / (macs - macs)", "this is 0, and divides (column 9"),
        ("versus.macs", "versus: there is no second model: give it as versus (column 1"),
        ("shape + 1", "shape: it stands alone: no number can be made of it (column 1"),
        ("macs < 5", "this is true or false: a number is wanted, such as macs (column 1"),
    ],
)
def test_what_is_no_quantity_of_a_figure_is_an_error(text: str, said: str) -> None:
    with pytest.raises(library.ExpressionError) as raised:
        quantity.evaluate(text, library.analyze("googlenet/inception_3a"))
    assert said in str(raised.value)


GOOD = """name = "A paper"
url = "https://example.org"

[[figure]]
id = "one"
at = "Table 1"
printed = "120M"
unit = "multiplications"
quantity = "macs"
model = "naive/branch5x5"
verdict = "reproduced"
"""


def write(tmp_path: Path, text: str) -> str:
    path = tmp_path / "paper.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ('"A paper"', '"A paper', "line 1"),
        ("printed =", "print =", "unknown key 'print': did you mean 'printed'"),
        ('printed = "120M"\n', "", "line 4: printed is missing"),
        ('"120M"', "120", "line 4: printed takes text"),
        ('"reproduced"', '"holds"', "unknown verdict in"),
        (
            '"macs"',
            '"mcas"',
            "line 4, figure one: unknown name 'mcas': did you mean 'macs'? (column 1",
        ),
        ('"naive/branch5x5"', '"nave"', "line 4, figure one: unknown model 'nave'"),
        ('"120M"', '"a lot"', "line 4, figure one: cannot read the printed number 'a lot'"),
        ('url = "https://example.org"\n', "", "line 1: a source has a name and a url"),
        ('"https://example.org"', "1", "line 2: a source has a name and a url"),
        ("url =", "site = 1\nurl =", "line 2: unknown key 'site'"),
        ("[[figure]]", "[figure]", "line 4: write each figure as a table that begins with"),
        ("verdict =", "because = 1\nverdict =", "write it as a table of keys and values"),
        (
            "verdict =",
            'because = { why = "x", kilo = "1024" }\nverdict =',
            "because: kilo takes a whole number",
        ),
    ],
)
def test_a_wrong_source_of_figures_is_named_with_its_line(
    costlab: Run, tmp_path: Path, before: str, after: str, said: str
) -> None:
    assert before in GOOD
    path = write(tmp_path, GOOD.replace(before, after))
    done = costlab("figures", path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "paper.toml" in done.stderr
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_two_figures_of_one_name_are_refused(tmp_path: Path) -> None:
    again = GOOD + GOOD.partition("\n\n")[2]
    with pytest.raises(library.FigureError, match="line 12: 'one' is also in line 4"):
        read(Path(write(tmp_path, again)))


def test_a_file_of_ones_own_is_judged(costlab: Run, tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    done = costlab("figures", path, "introduction/naive-5x5")
    assert (done.returncode, done.stderr) == (0, "")
    assert "2 figures from 2 sources: 2 reproduced." in done.stdout


def test_a_file_that_was_changed_is_read_again(tmp_path: Path) -> None:
    for printed_, verdict in (("120M", "reproduced"), ("119M", "not reproduced")):
        path = write(tmp_path, GOOD.replace('"120M"', f'"{printed_}"'))
        assert ledger([path]).rows[0].verdict == verdict


def test_a_changed_verdict_exits_1_and_says_so(costlab: Run, tmp_path: Path) -> None:
    path = write(tmp_path, GOOD.replace('"120M"', '"119M"'))
    done = costlab("figures", path)
    assert done.returncode == 1
    said = " ".join(done.stdout.split())
    assert "paper/one: the verdict is 'not reproduced', recorded is 'reproduced' (line 4)" in said


@pytest.mark.parametrize(
    ("because", "verdict"),
    [
        ('why = "K = 1024", kilo = 1024', "another unit"),
        ('why = "twice", quantity = "2*macs"', "another unit"),
        ('why = "reduced", model = "reduced/branch5x5"', "not reproduced"),
    ],
)
def test_a_because_must_reproduce_the_number(tmp_path: Path, because: str, verdict: str) -> None:
    exact = {"K": "114.84M", "t": "240.8M"}.get(because[7], "114.84M")
    text = GOOD.replace('"120M"', f'"{exact}"') + f"because = {{ {because} }}\n"
    (row,) = ledger([write(tmp_path, text)]).rows
    assert row.verdict == verdict
    assert (row.explained is not None) == (verdict != "not reproduced")


def test_what_rounds_to_the_digits_is_preferred_to_cutting_some_off(tmp_path: Path) -> None:
    """1.27 of something is a truncated 1.2, if no because rounds to it."""
    text = GOOD.replace('"120M"', '"1.2"').replace('"macs"', '"macs / 95000000"')
    assert ledger([write(tmp_path, text)]).rows[0].verdict == "truncated"
    for quantity_, verdict in (("macs / 100000000", "another unit"), ("macs / 99", "truncated")):
        because = f'because = {{ why = "x", quantity = "{quantity_}" }}\n'
        folder = tmp_path / verdict
        folder.mkdir()
        (row,) = ledger([write(folder, text + because)]).rows
        assert row.verdict == verdict
        assert bool(row.because) == (verdict == "another unit")


def test_googlenets_own_budget_is_that_of_its_table() -> None:
    """1.583 G cut to 1.5 would say less than 1.499 G of the layer that Table 1 shows."""
    (row,) = ledger(["googlenet/text-budget"]).rows
    assert row.verdict == "another network"
    assert row.explained == 1_498_677_248


def test_batch_norms_30_percent_needs_the_separable_layer_on_both_sides() -> None:
    plain, separable = (
        library.analyze(f"bn-inception{stem}").total.macs
        / library.analyze(f"googlenet{stem}").total.macs
        for stem in ("", "(stem='separable')")
    )
    assert (round(plain, 3), round(separable, 3)) == (1.284, 1.300)
    (row,) = ledger(["batch-norm/macs-more"]).rows
    assert row.verdict == "another network"


def test_a_published_figure_may_be_a_bound(tmp_path: Path) -> None:
    for relation, number, verdict in [
        ("less than", "121M", "reproduced"),
        ("less than", "120M", "not reproduced"),
        ("more than", "120M", "reproduced"),
    ]:
        text = GOOD.replace('"120M"', f'"{number}"') + f'relation = "{relation}"\n'
        path = tmp_path / f"{relation}{number}.toml"
        path.write_text(text, encoding="utf-8")
        assert ledger([str(path)]).rows[0].verdict == verdict


def test_unknown_names_list_the_known(costlab: Run) -> None:
    done = costlab("figures", "szegedy")
    assert done.returncode == 2
    assert all(name in done.stderr for name in source_names())
    done = costlab("figures", "googlenet/table1-conv-params")
    assert done.returncode == 2
    assert "'table1-conv1-params'" in done.stderr


def test_figures_in_every_format(costlab: Run, everything: Ledger) -> None:
    frame = everything.to_frame()
    assert len(frame) == len(everything.rows)
    data = json.loads(everything.to_json())
    assert len(data["figures"]) == len(everything.rows)
    assert data["as_recorded"] is True
    (first,) = [
        each
        for each in data["figures"]
        if (each["source"], each["id"]) == ("introduction", "naive-5x5")
    ]
    assert (first["printed"], first["computed"]) == ("≈120M", 120_422_400)
    assert len(everything.to_csv().splitlines()) == len(everything.rows) + 1
    lines = everything.to_text(80).splitlines()
    assert max(len(line) for line in lines if not line.startswith("https://")) <= 80


def test_the_figures_about_one_architecture(everything: Ledger) -> None:
    about = everything.about("lenet5")
    assert {row.source.id for row in about.rows} == {"lenet5"}
    assert len(everything.about("googlenet").rows) > 60
    assert everything.about("pointwise").rows == ()


def test_the_files_are_all_sources() -> None:
    assert {path.name for path in FOLDER.glob("*.toml")} == {
        f"{name}.toml" for name in source_names()
    }


def test_the_name_of_a_source_alone_is_one_source() -> None:
    assert ledger("introduction").to_json() == ledger(["introduction"]).to_json()
