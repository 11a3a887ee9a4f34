"""Sizes as symbols: nested floors become one, and each size that has one becomes a name.

A network's grids are floors of floors, ``⌊(⌊(H - 1)/2⌋ + 1)/2⌋``: exact, and unreadable. For whole
n and k, ``⌊(⌊x⌋ + n)/k⌋ = ⌊(x + n)/k⌋`` (Graham, Knuth and Patashnik, Concrete Mathematics,
section 3.2), which leaves one floor: ``⌊(H + 1)/4⌋``. As a name it takes part in polynomials that
can be expanded and factored. Only a formula loads this file, since it loads sympy.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

import sympy
from sympy import Abs, Add, Expr, Max, Min, Mod, Symbol, floor

from costlab.graph import Graph
from costlab.graph.arithmetic import Ratio
from costlab.graph.op import Condition
from costlab.symbols.assumptions import Assumptions
from costlab.symbols.size import Size

_OPAQUE = (floor, Max, Min, Mod, Abs)
_SIGNS = {Max: "max", Min: "min", Mod: "mod", Abs: "abs"}
_SUPERSCRIPT = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def symbol(name: str, like: Any = 1) -> Any:
    """The symbol of a choice whose published value is ``like``: a whole number, or a ratio."""
    if isinstance(like, float):
        return Ratio(Symbol(name, positive=True), 1)
    return Symbol(name, integer=True, positive=True)


class Sizes:
    """Expressions with names for their floors: ``names`` has what they stand for, in order."""

    def __init__(self) -> None:
        self.names: dict[Symbol, Expr] = {}
        self._symbols: dict[Expr, Symbol] = {}

    def of(self, value: Any) -> Any:
        """The value with its floors as names, if it is an expression or a tuple of some."""
        if isinstance(value, tuple):
            return tuple(map(self.of, value))
        if not isinstance(value, Expr):
            return value
        value = tidy(value)
        if _shifted(value) is not None:
            return self.named(value)  # one name for ⌊(H - 5)/2⌋, and none for ⌊(H + 1)/2⌋ - 3
        return value.xreplace({part: self.named(part) for part in _outermost(value)})

    def graph(self, graph: Graph) -> Graph:
        """The graph with names for the floors in its shapes and attributes."""
        return graph.resized(self.of)

    def named(self, value: Expr) -> Symbol:
        """The name of an expression."""
        if value not in self._symbols:
            name = Symbol(f"_{len(self.names):04}", integer=True)
            self.names[name], self._symbols[value] = value, name
        return self._symbols[value]


def polynomial(size: Any, sizes: Sizes, known: dict[int, Any]) -> Expr:
    """A size of ours as an expression of sympy, with names for its floors.

    ``known`` has the names by the numbers of atoms, and is filled.
    """
    if not isinstance(size, Size):
        return sympy.sympify(size)
    symbols = {name: symbol(name) for name in size.symbols}
    terms = []
    for monomial, factor in size.terms.items():
        for number in dict.fromkeys(monomial):
            if number not in known:
                known[number] = _atom(size.of, number, symbols, sizes, known)
        terms.append(sympy.Mul(factor, *(known[number] for number in monomial)))
    return Add(*terms)


def _atom(of: Assumptions, number: int, symbols: Any, sizes: Sizes, known: dict[int, Any]) -> Expr:
    """What a size is made of; a floor of what is whole is none."""
    atom = of.atoms[number]
    if atom.kind == "floor" and of.known.is_whole(atom):
        above, below = atom.arguments
        return polynomial(above, sizes, known) / below.hint
    if atom.kind == "most":
        sums = [tidy(sympy.expand(argument.at(symbols, {}))) for argument in atom.arguments]
        return sizes.named(Max(*sums, evaluate=False))
    return sizes.of(of.atom_at(number, symbols, {}))


@cache
def tidy(value: Expr) -> Expr:
    """The same number, with as few floors as can be."""
    if value.is_Atom:
        return value
    arguments = [tidy(argument) for argument in value.args]
    if isinstance(value, floor):
        return _floor(arguments[0])
    value = value.func(*arguments)
    shift, rest = value.as_coeff_Add()
    if isinstance(rest, (Max, Min)):
        return rest.func(*(argument + shift for argument in rest.args))
    return value


def _floor(value: Expr) -> Expr:
    above, below = sympy.together(value).as_numer_denom()
    above = sympy.expand(above)
    if not below.is_Integer:
        return floor(value)
    terms = Add.make_args(above)
    if above.is_integer and all(_negative(term) for term in terms if not term.is_Integer):
        return -_floor((below - 1 - above) / below)  # -⌊-a/k⌋ is ⌊(a + k - 1)/k⌋
    if below == 2 and (either := _either(terms)) is not None:
        return either
    inner = [term for term in terms if isinstance(term, floor)]
    rest = above - sum(inner)
    if len(inner) == 1 and rest.is_integer:
        return _floor((inner[0].args[0] + rest) / below)
    return floor(above / below)


def _either(terms: tuple[Expr, ...]) -> Expr | None:
    """``(a + b ± |a - b|)/2``, from the terms of what is halved, is the larger or smaller one."""
    for term in terms:
        sign, size = term.as_coeff_Mul()
        if isinstance(size, Abs) and abs(sign) == 1:
            rest = Add(*(other for other in terms if other is not term))
            a, b = (sympy.expand((rest + turn * size.args[0]) / 2) for turn in (1, -1))
            if a.is_integer and b.is_integer:
                return Max(a, b) if sign == 1 else Min(a, b)
    return None


def _negative(term: Expr) -> bool:
    return bool(term.as_coeff_Mul()[0].is_negative)


def _shifted(value: Expr) -> Expr | None:
    """``x + n`` for ``⌊x⌋ + n``, which is its floor; None for anything else."""
    shift, rest = value.as_coeff_Add()
    return rest.args[0] + shift if isinstance(rest, floor) and shift.is_Integer else None


def _outermost(value: Expr) -> Iterator[Expr]:
    if isinstance(value, _OPAQUE):
        yield value
    else:
        for argument in value.args:
            yield from _outermost(argument)


def text(value: Any, names: Mapping[Symbol, Expr] | None = None) -> str:
    """For people: ``800·C·H·W``, ``⌊(H + 1)/2⌋``, ``H²``, ``1,024``."""
    if not isinstance(value, Expr):
        return f"{value:,}"
    sizes = Sizes()
    written = sympy.sstr(sizes.of(value))
    written = re.sub(r"\*\*(\d+)", lambda power: power[1].translate(_SUPERSCRIPT), written)
    written = re.sub(r"(?<![\w,.])\d{4,}", lambda n: f"{int(n[0]):,}", written).replace("*", "·")
    meanings = {**(names or {}), **sizes.names}
    known = {symbol.name: meaning for symbol, meaning in meanings.items()}
    return re.sub(r"_\d{4,}", lambda name: _opaque(known[name[0]]), written)


def _opaque(value: Expr) -> str:
    inside = _shifted(value)
    if inside is None:
        ordered = value.args if isinstance(value, Mod) else sorted(value.args, key=str)
        return f"{_SIGNS[value.func]}({','.join(map(text, ordered))})".replace(" ", "")
    above, below = sympy.together(inside).as_numer_denom()
    above = sympy.expand(above)
    over = text(above).replace(" ", "")
    if below == 1:
        return f"⌊{over}⌋"
    under = text(below).replace(" ", "")
    under = under if below.is_Atom else f"({under})"
    return f"⌊({over})/{under}⌋" if above.is_Add else f"⌊{over}/{under}⌋"


def latex(value: Any, names: Mapping[Symbol, Expr]) -> str:
    """LaTeX, with what the names stand for."""
    long = [symbol for symbol in _symbols(value, names) if len(symbol.name) > 1]
    words = {symbol: f"\\mathit{{{symbol}}}" for symbol in long}
    spelled = {
        name: sympy.latex(_fraction(meaning), symbol_names=words, mul_symbol="dot")
        for name, meaning in names.items()
    }
    return str(sympy.latex(value, symbol_names=words | spelled, mul_symbol="dot"))


def _symbols(value: Any, names: Mapping[Symbol, Expr]) -> set[Symbol]:
    known: set[Symbol] = sympy.sympify(value).free_symbols
    return known.union(*(meaning.free_symbols for meaning in names.values()))


def code(value: Any, names: Mapping[Symbol, Expr]) -> str:
    """Python code that gives the expression exactly where the symbols are sympy's."""
    if not isinstance(value, Expr):
        return str(value)
    return str(value.xreplace({name: _fraction(meaning) for name, meaning in names.items()}))


def _fraction(value: Expr) -> Expr:
    """A floor of one fraction, ``⌊(H - 5)/2⌋``, that sympy does not take apart."""
    inside = _shifted(value)
    return value if inside is None else floor(sympy.together(inside), evaluate=False)


def requirements(conditions: Iterable[Condition]) -> list[str]:
    """Conditions on the symbols as text, as few as possible; that all are at least 1 is implied."""
    margins = [_margin(holds) for holds in dict.fromkeys(holds for holds, _ in conditions)]
    least: dict[Symbol, int] = {}
    most: dict[Symbol, int] = {}
    left: list[Expr] = []
    for margin in dict.fromkeys(margins):
        bound = _bound(margin)
        if margin.is_nonnegative:
            continue
        if bound is None:
            left.append(margin)
        elif bound[1] > 0:
            least[bound[0]] = max(int(sympy.ceiling(bound[2])), least.get(bound[0], 1))
        else:
            value = int(sympy.floor(bound[2]))
            most[bound[0]] = min(value, most.get(bound[0], value))
    bounds = {f"{symbol} ≥ {value:,}": symbol.name for symbol, value in least.items() if value > 1}
    bounds |= {f"{symbol} ≤ {value:,}": symbol.name for symbol, value in most.items()}
    others = (_condition_text(margin) for margin in left if not _implied(margin, least))
    return [*sorted(bounds, key=lambda bound: bounds[bound]), *dict.fromkeys(others)]


def never(conditions: Iterable[Condition]) -> str:
    """The message of a condition that holds for no values of the symbols, else ``""``."""
    return next((problem for holds, problem in conditions if _margin(holds).is_negative), "")


def _margin(holds: Any) -> Expr:
    """An expression that is at least 0 exactly where the condition on whole numbers holds."""
    if not isinstance(holds, sympy.core.relational.Relational):
        return sympy.Integer(0 if holds else -1)
    margin = holds.lhs - holds.rhs
    if isinstance(holds, (sympy.LessThan, sympy.StrictLessThan)):
        margin = -margin
    if isinstance(holds, (sympy.StrictLessThan, sympy.StrictGreaterThan)):
        margin -= 1
    margin = tidy(margin)
    doubled = Add.make_args(sympy.expand(2 * margin))
    return margin if (either := _either(doubled)) is None else either


def _bound(margin: Expr) -> tuple[Symbol, Expr, Expr] | None:
    """``slope · symbol ≥ slope · edge``, if the margin rises or falls with one symbol alone."""
    shift, rest = margin.as_coeff_Add()
    slope, inner = rest.as_coeff_Mul()
    if isinstance(inner, floor) and slope > 0:  # ⌊x⌋ ≥ y is x ≥ ⌈y⌉
        return _bound(inner.args[0] - sympy.ceiling(-shift / slope))
    if isinstance(inner, Symbol):
        return inner, slope, -shift / slope
    return None


def _implied(margin: Expr, least: Mapping[Symbol, int]) -> bool:
    """Whether it follows from the bounds: it grows with all, from 0 or more where they begin."""
    risen: dict[Expr, Expr] = {}
    for i, part in enumerate([*dict.fromkeys(_outermost(margin)), *margin.free_symbols]):
        if isinstance(part, Max):
            lowest = max((n for n in part.args if n.is_Integer), default=sympy.nan)
        else:
            lowest = part.xreplace({s: sympy.Integer(least.get(s, 1)) for s in part.free_symbols})
        grows = isinstance(part, (Symbol, Max)) or (isinstance(part, floor) and _bound(part))
        if not grows or not lowest.is_Integer:
            return False
        risen[part] = lowest + Symbol(f"_rise{i}", nonnegative=True)
    grown = sympy.expand(margin.xreplace(risen))
    return all(not _negative(term) for term in Add.make_args(grown))


def _condition_text(margin: Expr) -> str:
    """``-|a - b| ≥ 0`` says that a = b, and ``-mod(a, b) ≥ 0`` that b divides a."""
    inner = -margin
    if isinstance(inner, Mod):
        return f"{text(inner.args[1])} divides {text(inner.args[0])}"
    if isinstance(inner, Abs):
        terms = Add.make_args(inner.args[0])
        minus = Add(*(-term for term in terms if _negative(term)))
        return f"{text(inner.args[0] + minus)} = {text(minus)}"
    return f"{text(margin)} ≥ 0"
