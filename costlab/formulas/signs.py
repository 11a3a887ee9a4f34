"""The sign of a size, as far as it is known beyond doubt."""

from __future__ import annotations

from math import lcm
from typing import Any

from costlab.symbols.size import Atom, Size


def sign_of(number: int) -> int:
    """-1, 0 or 1."""
    return (number > 0) - (number < 0)


def known_sign(size: Size) -> int | None:
    """-1, 0 or 1, whatever the symbols are; None where it depends on them, or is not known."""
    above, below = _sums(size)
    if len(above) == len(below) == 1:
        return _sign(size)
    # The largest of some is above that of others, where each of these is below one of the former.
    if all(any(_sign(size - other) == 1 for size in above) for other in below):
        return 1
    if all(any(_sign(size - other) == -1 for other in below) for size in above):
        return -1
    return None


def _sums(size: Size) -> tuple[list[Size], list[Size]]:
    """``a`` and ``b``, sizes of which the largest are ``max(a) - max(b)``, which is the size."""
    of, rest = size.of, size
    sides: dict[int, list[Size]] = {1: [], -1: []}
    for monomial, factor in size.terms.items():
        atom = of.atoms[monomial[0]] if len(monomial) == 1 else None
        if atom is not None and atom.kind == "most" and not sides.get(factor, True):
            sides[factor] += atom.arguments
            rest = rest - factor * of.of_atom(atom)
    above, below = (side or [of.constant(0)] for side in sides.values())
    return [size + rest for size in above], below


def _sign(size: Size) -> int | None:
    low, high = size.of.bounds(size)
    if low == high == 0:
        return 0
    if low > 0 or high < 0:
        return 1 if low > 0 else -1
    for sign in 1, -1:
        if sign * size.hint > 0 and (least := _without_floors(sign * size)) is not None:
            return sign if size.of.bounds(least)[0] > 0 else None
    return None


def _without_floors(size: Size) -> Size | None:
    """Something without floors that is never above a multiple of a size; None if there is none.

    ``⌊p/k⌋`` is between ``(p - k + 1)/k`` and ``p/k``, and so are products of what is not negative.
    """
    of = size.of
    sides: list[tuple[Any, int]] = []
    for monomial, factor in size.terms.items():
        product, times = of.constant(factor), 1
        for number in monomial:
            side, below = _side(of.of_atom(of.atoms[number]), of.atoms[number], factor < 0)
            if of.bounds(side)[0] < 0:
                return None
            product, times = product * side, times * below
        sides.append((product, times))
    common = lcm(*(times for _, times in sides))
    least: Any = of.constant(0)
    for product, times in sides:
        least = least + product * (common // times)
    return least  # type: ignore[no-any-return]


def _side(own: Size, atom: Atom, upper: bool) -> tuple[Size, int]:
    """What is never below an atom, or never above it, and what that is divided by."""
    if atom.kind != "floor" or (below := atom.arguments[1].number) is None:
        return own, 1
    above = atom.arguments[0]
    return above if upper else above - below + 1, below
