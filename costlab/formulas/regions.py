"""Where a size of several symbols has a sign, in conditions that say it for all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import gcd
from typing import Any, NamedTuple

from costlab.formulas.signs import known_sign, sign_of
from costlab.symbols.assumptions import Guard
from costlab.symbols.size import Size


class Region(NamedTuple):
    """Where a size has that sign, -1, 0 or 1, whatever else the symbols are: ``H·W ≥ 934``."""

    sign: int
    where: str


_FEW = 4
"""Of so many terms is a size whose sign is told by a condition on the size itself."""


def exact_regions(size: Size) -> tuple[Region, ...]:
    """All of what there is, by the size itself; none if that is too long to read."""
    of = size.of
    kinds = {of.atoms[number].kind for monomial in size.terms for number in monomial}
    if len(size.terms) > _FEW or "most" in kinds:
        return ()
    common = gcd(*(factor for monomial, factor in size.terms.items() if monomial))
    regions: list[Region] = []
    with of.unasked():
        leading = sign_of(size.terms[max(size.terms, key=lambda m: (len(m), m))])
        for sign in leading, 0, -leading:
            kind: Any = "≥ 0" if sign else "= 0"
            if not sign and size.terms.get((), 0) % common:  # it is never 0
                continue
            part: Any = (sign * size - 1 if sign else size) // common
            if of.decided(kind, part) is not False:
                regions.append(Region(sign, of.sentence(Guard(part, kind, ""))))
    return tuple(regions)


def proven_regions(
    size: Size, names: Iterable[str], guards: list[Guard], furthest: int
) -> tuple[tuple[Region, ...], bool]:
    """From and up to which number of a symbol the sign is known, whatever the others are.

    Where no symbol alone decides, of all at once. Whether that is all there is.
    """
    by_sign: dict[int, list[str]] = {}
    for name in names:
        up_to, first = _edge((name,), size, guards, furthest, upwards=True)
        from_, last = _edge((name,), size, guards, furthest, upwards=False)
        regions = [region for region in (last, first) if region is not None]
        if len(regions) == 2 and from_ <= up_to + 1:
            return tuple(regions), True
        for region in regions:
            by_sign.setdefault(region.sign, []).append(region.where)
    if not by_sign:
        _, last = _edge(tuple(names), size, guards, furthest, upwards=False)
        return (() if last is None else (last,)), False
    return tuple(Region(sign, " or ".join(where)) for sign, where in by_sign.items()), False


def _edge(
    names: tuple[str, ...], size: Size, guards: list[Guard], furthest: int, upwards: bool
) -> tuple[int, Region | None]:
    """The number up to which (``upwards``), or from which on, symbols leave a size one sign."""
    of = size.of
    least = int(max(of.bounds(of.symbols[name])[0] for name in names))
    most = int(min(furthest, *(of.bounds(of.symbols[name])[1] for name in names)))
    known, unknown = (least, most) if upwards else (most, least)

    def bounds(number: int) -> list[Guard]:
        sign = -1 if upwards else 1
        return [Guard(sign * (of.symbols[name] - number), "≥ 0", "") for name in names]

    def sign_at(number: int) -> int | None:
        with of.supposing([*guards, *bounds(number)]):
            return known_sign(size)

    sign = sign_at(known)
    if sign is None or least >= most:
        return known, None
    edge = _farthest(lambda number: sign_at(number) == sign, known, unknown)
    return edge, Region(sign, f"{', '.join(names)} {'≤' if upwards else '≥'} {edge:,}")


def _farthest(holds: Callable[[int], bool], known: int, unknown: int) -> int:
    """The last number from ``known`` towards ``unknown`` for which something holds."""
    while abs(unknown - known) > 1:
        middle = (known + unknown) // 2
        if holds(middle):
            known = middle
        else:
            unknown = middle
    return known
