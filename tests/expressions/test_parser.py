"""Texts, as they are read and as they are refused: each mistake with its place."""

from __future__ import annotations

import random
import re
from fractions import Fraction

import pytest

from costlab.errors import ExpressionError
from costlab.expressions.nodes import Constant, Selector, ValueType, Variable
from costlab.expressions.parser import Names, condition, listed, number

KINDS: dict[str, ValueType] = {
    "macs": "number",
    "params": "number",
    "c5r": "number",
    "aux": "truth",
    "stem": "word",
}
NAMES = Names(
    KINDS,
    of_layers=("macs", "params"),
    tables=("base",),
    elsewhere={"shape": "it stands alone"},
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7", 7),
        ("1_000", 1000),
        ("120e6", 120_000_000),
        ("1E+3", 1000),
        ("0.1", Fraction(1, 10)),
        ("5.", 5),
        (".5", Fraction(1, 2)),
        ("25e-1", Fraction(5, 2)),
        ("1.6 G", 1_600_000_000),
        ("7M", 7_000_000),
        ("130 M", 130_000_000),
        ("2.7K", 2700),
        ("1e-3 T", 10**9),
        ("0.1K", 100),
        ("0e999999999999", 0),
        ("0." + "0" * 1000 + "1e1001", 1),
    ],
)
def test_numbers_are_exact(text: str, value: Fraction) -> None:
    node = number(text, NAMES).node
    assert isinstance(node, Constant)
    assert node.value == value


def test_a_letter_alone_is_a_name_and_after_a_number_a_suffix() -> None:
    names = Names({"M": "number", "G": "number"})
    product = number("2 M * M + G", names)
    assert product.one(lambda reference: {"M": 3, "G": 5}[reference.name]) == 6_000_005


def test_a_condition_is_read_as_its_variables_with_their_layers_and_places() -> None:
    text = """macs[conv, op.linear, "fc.*", inception_3a.branch5x5] <= base.macs and params < 7"""
    some, base, params = condition(text, NAMES).variables
    assert some == Variable(
        "macs",
        "",
        (
            Selector("name", "conv"),
            Selector("operation", "linear"),
            Selector("path", "fc.*"),
            Selector("name", "inception_3a.branch5x5"),
        ),
    )
    assert (str(base), str(params)) == ("base.macs", "params")
    places = [reference.place for reference in (some, base, params)]
    assert places == [text.index(name) for name in ("macs", "base", "params")]
    assert [text[selector.place] for selector in some.selectors] == ["c", "o", '"', "i"]


def test_words_are_as_they_are_written() -> None:
    word = condition("stem == 'a  b\\'", NAMES)
    assert word.one(lambda reference: "a  b\\") is True


def test_lists_are_parted_by_the_commas_outside_of_brackets() -> None:
    assert listed(" macs[conv, linear], -c5r,,(1) ") == ["macs[conv, linear]", "-c5r", "(1)"]
    assert listed('macs["a,b"],macs') == ['macs["a,b"]', "macs"]
    assert listed("") == []


CONDITIONS = [
    # names
    ("mac < 5", "unknown name 'mac': did you mean 'macs'? (column 1 of 'mac < 5')"),
    ("shpe < 5", "did you mean 'shape'?"),
    ("shape < 5", "shape: it stands alone (column 1"),
    ("base < 5", "base is a model: write base.macs or the like (column 1"),
    ("vase.macs < 5", "'vase' is no other model: did you mean 'base'? (column 1"),
    ("macs.real < 5", "'macs' is no other model: known are base (column 1"),
    ("1 < base.", "write a quantity after the dot (at the end of '1 < base.')"),
    ("1 < base.c5r", "c5r is not counted by layers, as macs is (column 10, before 'c5r'"),
    ("c5r[conv] < 1", "c5r is not counted by layers, as macs is (column 1"),
    ("é < 5 and macs", "unknown name 'é'"),
    ("__import__('os').system('x') < 1", "unknown name '__import__'"),
    # what is missing, or too much
    ("", "something is missing (the text is empty)"),
    (" \n", "something is missing (the text is empty)"),
    ("macs < ", "something is missing (at the end of 'macs <')"),
    ("macs < 5 and", "something is missing (at the end of 'macs < 5 and')"),
    ("(macs < 5", ") is missing (at the end of '(macs < 5')"),
    ("macs < 5)", "unexpected ')' (column 9, before ')', in 'macs < 5)')"),
    ("macs < 5 params", "unexpected 'params' after a number: write K, M, G or T for"),
    ("macs params < 5", "a sign is missing before this: one of + - * / // %, < <="),
    ("macs 5 < 5", "a sign is missing before this"),
    ("(macs) (5) < 5", "a sign is missing before this"),
    ("macs < < 5", "a number or a name is missing before < (column 8, before '< 5'"),
    ("macs ** 2 < 5", "there are no powers (column 7, before '* 2 < 5'"),
    ("macs < 120 m", "unexpected 'm' after a number: write K, M, G or T"),
    ("macs < 1,000,000", "a number has no commas: write 1_000_000, 1000000 or 1 M (column 9, "),
    ("0x10 < macs", "unexpected 'x10' after a number"),
    # signs of other languages
    ("macs < 5 && aux", "unexpected '&': write and (column 10, before '&& aux'"),
    ("macs < 5 | aux", "write or (column 10"),
    ("!aux", "write not, or != (column 1"),
    ("macs = 5", "unexpected '=': equal is == (column 6, before '= 5'"),
    ("macs ≤ 5", "write <= (column 6"),
    ("macs^2 < 5", "there are no powers (column 5"),
    ("stem == 'plain", "the word has no end (column 9"),
    ("[macs for macs in ()]", "a number or a name is missing before [ (column 1"),
    ("macs < 5 \0", "unexpected '\\x00' (column 10"),
    ("macs < 5 # all", "unexpected '#' (column 10"),
    # kinds
    ("macs", "this is a number: compare it, as in macs < 120 M (column 1 of 'macs')"),
    ("macs < 5 and params", "this is a number: compare it, as in macs < 120 M (column 14"),
    ("not macs", "this is a number: compare it"),
    ("-aux < 1", "this is true or false: a number is wanted, such as macs (column 2"),
    ("macs + (aux and aux) < 5", "this is true or false: a number is wanted"),
    ("macs == 'plain'", "this is a word: a number is wanted, such as macs (column 9"),
    ("stem == 5", "this is a number: a word in quotes is wanted (column 9"),
    ("'plain' < 'x'", "only numbers are compared by < (column 1"),
    ("aux <= True", "only numbers are compared by <="),
    # divisors
    ("macs % 0 == 1", "% takes a whole number from 1 on its right (column 8"),
    ("macs // c5r > 1", "// takes a whole number from 1 on its right (column 9"),
    ("macs // 1.5 > 1", "// takes a whole number from 1 on its right"),
    ("macs // -1 > 1", "// takes a whole number from 1 on its right"),
    ("macs // True > 1", "// takes a whole number from 1 on its right"),
    # layers
    ("macs[", "write an operation, such as conv, or a path, in quotes if it is more than names"),
    ("macs[] < 1", "write an operation, such as conv, or a path"),
    ("macs[1] < 1", "in quotes if it is more than names (column 6, before '1] < 1'"),
    ("macs[features.0] < 1", "] is missing (column 14, before '.0] < 1'"),
    ("macs[conv < 1", "] is missing (column 11"),
    # size
    ("macs < 1e999999999", "this number is too large: the limit is 10^300 (column 8"),
    ("macs < 1e" + "9" * 3000, "this number is too large"),
    ("macs < " + "9" * 301, "this number is too large"),
    ("macs < 1e-999999999", "this number is too small: the limit is 10^-300 (column 8"),
    (
        "+".join(["c5r"] * 1001) + " > 1",
        "this is too long: the limit is 4,000 characters (column 1",
    ),
    ("(" * 500 + "1", "more than 40 parentheses or signs in each other (column 41"),
    ("-" * 3000 + "1 < 2", "more than 40 parentheses or signs in each other"),
    ("not " * 900 + "aux", "more than 40 parentheses or signs in each other"),
    ("c5r < " + "1 or 1 and 1 < 1 + 1 * (" * 100, "more than 40 parentheses or signs"),
]


@pytest.mark.parametrize(("text", "said"), CONDITIONS, ids=[text[:30] for text, _ in CONDITIONS])
def test_a_mistake_is_pointed_at_in_one_line(text: str, said: str) -> None:
    with pytest.raises(ExpressionError) as raised:
        condition(text, NAMES)
    assert said in str(raised.value)
    assert str(raised.value).isprintable()
    assert len(str(raised.value)) < 300


def test_a_truth_or_a_word_in_place_of_a_number_is_an_error() -> None:
    with pytest.raises(ExpressionError, match="true or false: a number is wanted, such as macs"):
        number("macs < 5", NAMES)
    with pytest.raises(ExpressionError, match="this is a word: a number is wanted"):
        number("'macs'", NAMES)


def test_columns_are_counted_in_characters() -> None:
    with pytest.raises(ExpressionError, match="column 17, before 'nope'"):
        condition("'é×' == 'a' and nope", NAMES)


def test_long_texts_are_cut_in_messages() -> None:
    with pytest.raises(ExpressionError, match=r"column 2106, before 'nope', in 'macs \+ .*…'\)$"):
        number("macs + " * 300 + "    " + " nope", NAMES)


def test_nesting_that_is_allowed_can_be_read_and_evaluated() -> None:
    deep = "1 + 1 * (" * 39 + "1" + ")" * 39
    assert number(deep, NAMES).one(lambda reference: 0) == 40
    long = "1" + "+1" * 1999
    assert number(long, NAMES).one(lambda reference: 0) == 2000


def test_random_texts_are_read_or_refused_with_a_message() -> None:
    """Any text, of pieces of the language and others, gives an expression or ExpressionError."""
    chance = random.Random(14)
    pieces = [*"()[],.+-*/%<>='\"\0 \n\t|&!~`#$\\{}:;?@^éü١²", "//", "==", "and ", "not ", "or "]
    pieces += ["macs", "base", "aux", "stem", "conv", "1", "1.5", "7 M", "1e400", "\ud800", "𝟙"]
    refused = []
    for _ in range(4000):
        text = "".join(chance.choices(pieces, k=chance.randint(1, 12)))
        try:
            condition(text, NAMES)
        except ExpressionError as error:
            refused.append(str(error))
    place = r"\((column \d+|at the end of|the text is empty).*\)"
    assert all(re.search(place, message) for message in refused)
    assert len(refused) < 4000


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("macs <= 2 us", "us is a unit of time, which macs is not: write a count as 1 G"),
        ("macs <= 2 GB", "GB is a unit of bytes, which macs is not"),
        ("peak_bytes <= 1.5 * 2 ms", "ms is a unit of time, which peak_bytes is not"),
        ("params < 3 M and time_bound < 2 KiB", "KiB is a unit of bytes, which time_bound is not"),
        ("time_bound <= 2 us", ""),
        ("macs / time_bound >= 3 / 2 ms", ""),
        ("1.1 * peak_bytes <= 24 GiB", ""),
    ],
)
def test_a_unit_is_that_of_what_is_compared(text: str, said: str) -> None:
    names = Names(dict.fromkeys(("macs", "params", "peak_bytes", "time_bound"), "number"))
    if not said:
        condition(text, names)
        return
    with pytest.raises(ExpressionError, match=said):
        condition(text, names)
