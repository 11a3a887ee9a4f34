"""Sizes and conditions in words: ``⌊(H + 1)/2⌋``, ``32 divides W``, ``H ≥ 33``."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from costlab.symbols.size import Atom, Monomial, Size

_SUPERSCRIPT = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def written(size: Size) -> str:
    """A size, its largest products first."""
    ordered = sorted(size.terms.items(), key=lambda term: (-len(term[0]), term[0]))
    text = ""
    for monomial, factor in ordered:
        product = _product(size, monomial, abs(factor))
        if not text:
            text = product if factor > 0 else f"-{product}"
        else:
            text += f" {'+' if factor > 0 else '-'} {product}"
    return text or "0"


def _product(size: Size, monomial: Monomial, factor: int) -> str:
    words = [] if factor == 1 and monomial else [f"{factor:,}"]
    for number, power in Counter(monomial).items():
        word = _atom(size.of.atoms[number])
        words.append(word + (str(power).translate(_SUPERSCRIPT) if power > 1 else ""))
    return "·".join(words)


def _atom(atom: Atom) -> str:
    if atom.kind == "symbol":
        return atom.name
    first, *others = (written(argument) for argument in atom.arguments)
    if atom.kind == "abs":
        return f"|{first}|"
    if atom.kind != "floor":
        kind = "max" if atom.kind == "most" else atom.kind
        return f"{kind}({', '.join((first, *others))})"
    above, below = atom.arguments
    over = f"({first})" if len(above.terms) > 1 else first
    return f"⌊{over}/{others[0] if _is_one_factor(below) else f'({others[0]})'}⌋"


def _is_one_factor(size: Size) -> bool:
    """Whether it is a number or an atom alone: ``W/(2·H)`` has what is below in brackets."""
    if size.number is not None:
        return True
    (monomial, factor), *others = size.terms.items()
    return factor == 1 and len(monomial) == 1 and not others


def condition(size: Size, kind: str) -> str:
    """What it says that a size is at least 0, is 0, or is not."""
    divides = _divides(size) if kind != "≥ 0" else None
    if divides is not None:
        below, above, rest = divides
        return f"{above} mod {below} {kind[0]} {rest}"
    if kind == "≥ 0":
        floored = _as_floor(size)
        if floored is not None:
            return condition(floored, kind)
    left = {m: c for m, c in size.terms.items() if c > 0 and m}
    right = {m: -c for m, c in size.terms.items() if c < 0 and m}
    shift = size.terms.get((), 0)
    sign = kind[0]
    if not left or (not right and shift > 0):
        left, right, shift = right, left, -shift
        sign = {"≥": "≤"}.get(sign, sign)
    if not right and len(left) == 1:  # 2·H ≥ 5 is H ≥ 3
        ((monomial, factor),) = left.items()
        bound = -shift
        atom = size.of.atoms[monomial[0]]
        root = None
        if sign == "=" and len(set(monomial)) == 1:
            root = size.of.known.root(atom, len(monomial), factor, bound)
        if root is not None:  # ⌊S/16⌋² = 196 is ⌊S/16⌋ = 14
            monomial, factor, bound = monomial[:1], 1, root
            if (between := _between(atom, root)) is not None:
                return between
            left = {monomial: 1}
        if sign == "≥":
            left, bound = {monomial: 1}, -(-bound // factor)
        elif sign == "≤" or bound % factor == 0:
            left, bound = {monomial: 1}, bound // factor
        shift = -bound
    make = type(size)
    if right:
        (left if shift > 0 else right)[()] = abs(shift)
        right = {m: c for m, c in right.items() if c}
        left = {m: c for m, c in left.items() if c}
    else:
        right = {(): -shift} if shift else {}
    return f"{written(make(size.of, left, 0))} {sign} {written(make(size.of, right, 0))}"


def _between(atom: Atom, number: int) -> str | None:
    """``224 ≤ S ≤ 239`` for ``⌊S/16⌋ = 14``."""
    if atom.kind != "floor" or (below := atom.arguments[1].number) is None:
        return None
    above = atom.arguments[0]
    shift = above.terms.get((), 0)
    rest = above - shift
    if list(rest.terms.values()) != [1]:
        return None
    first = number * below - shift
    return f"{first:,} ≤ {written(rest)} ≤ {first + below - 1:,}"


def _divides(size: Size) -> tuple[str, str, int] | None:
    """``k``, ``p`` and ``r``, if the size is ``p mod k - r``, or the opposite of that."""
    for monomial, factor in size.terms.items():
        atom = size.of.atoms[monomial[0]] if len(monomial) == 1 else None
        if atom is None or atom.kind != "floor" or abs(factor) < 2:
            continue
        floor, number = size.of.of_atom(atom), abs(factor)
        rest = size - factor * floor if factor < 0 else factor * floor - size
        shift = rest.terms.get((), 0)
        for inside, left in ((rest - shift, -shift), (rest, 0)):
            if not (inside // number - floor).terms:
                text = written(inside)
                return f"{number:,}", f"({text})" if len(inside.terms) > 1 else text, left
    return None


def _as_floor(size: Size) -> Size | None:
    """``p - n·k`` for ``⌊p/k⌋ - n``, which is at least 0 where that is."""
    rest = [(monomial, factor) for monomial, factor in size.terms.items() if monomial]
    if len(rest) != 1 or len(rest[0][0]) != 1:
        return None
    ((number,), factor) = rest[0]
    atom = size.of.atoms[number]
    if atom.kind != "floor" or factor <= 0 or atom.arguments[1].number is None:
        return None
    below = atom.arguments[1].number
    least = -(size.terms.get((), 0) // factor)
    above: Size = atom.arguments[0] - least * below
    return above
