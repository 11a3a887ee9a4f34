"""Where one quantity is less than another, for all values of symbols or from a number on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from costlab.formulas.regions import Region, exact_regions, proven_regions
from costlab.formulas.signs import known_sign, sign_of
from costlab.symbols.assumptions import Assumptions, Guard
from costlab.symbols.quotients import without_common
from costlab.symbols.size import Size

FURTHEST = 4096
"""Up to here numbers are tried; beyond, what is said is proven by bounds, or said to end here."""


class Span(NamedTuple):
    """From ``first`` to ``last``, None for no end, a difference has that sign: -1, 0 or 1.

    Both are numbers at which the networks exist; between them may be others.
    """

    first: int
    last: int | None
    sign: int


class Crossing(NamedTuple):
    """The signs of a difference along one symbol; ``at`` has the numbers of the others.

    Without a symbol it has one sign for all values of all symbols, or that of its ``regions``,
    which may leave some values out. ``proven`` is whether the last span goes on without end, beyond
    what was tried.
    """

    symbol: str
    at: Mapping[str, int]
    spans: tuple[Span, ...]
    proven: bool = True
    regions: tuple[Region, ...] = ()


def crossings(difference: Any, guards: list[Guard], hints: Mapping[str, int]) -> list[Crossing]:
    """Where the sign of a difference changes.

    If it is one symbol that decides, along that. Else by conditions on several, where these are
    short, or as far as it is proven for all values of the others; what that leaves open, along
    each, the others as in ``hints``.
    """
    if not isinstance(difference, Size):
        return [Crossing("", {}, (Span(1, None, sign_of(difference)),))]
    of = difference.of
    for guard in guards:
        of.learn(guard)
    if (sign := known_sign(difference)) is not None:
        return [Crossing("", {}, (Span(1, None, sign),))]
    (rest,) = without_common(of.known.without_quotients(difference)[0])
    names = sorted(rest.symbols, key=list(of.hints).index)
    if len(names) == 1:
        return [_along(rest, names[0], {}, hints, guards)]
    if regions := exact_regions(rest):
        return [Crossing("", {}, (), regions=regions)]
    regions, all_is_said = proven_regions(rest, names, guards, FURTHEST)
    told = [Crossing("", {}, (), regions=regions)] if regions else []
    if all_is_said:
        return told
    each_alone = [
        _along(rest, name, {other: hints[other] for other in names if other != name}, hints, guards)
        for name in names
    ]
    changing = [crossing for crossing in each_alone if len(crossing.spans) > 1]
    return [*told, *changing] or each_alone[:1]


def _along(
    size: Size, name: str, at: Mapping[str, int], hints: Mapping[str, int], guards: list[Guard]
) -> Crossing:
    """The signs along one symbol, at the numbers that the guards leave it."""
    own = [guard for guard in guards if name in guard.size.symbols <= {name, *at}]
    of = Assumptions({name: hints[name]})
    with of.unasked():
        alone = of.size(size.at({**at, **of.symbols}, {}))
        spans: list[Span] = []
        for number in range(1, FURTHEST + 1):
            if not all(guard.holds({**at, name: number}) for guard in own):
                continue
            sign = sign_of(alone.at({name: number}, {}))
            if spans and spans[-1].sign == sign:
                spans[-1] = spans[-1]._replace(last=number)
            else:
                spans.append(Span(number, number, sign))
        if not spans:  # only far beyond, or with other numbers of the other symbols
            there = hints[name]
            return Crossing(name, at, (Span(there, there, sign_of(alone.at(hints, {}))),), False)
        last = spans[-1]
        of.learn(Guard(of.symbols[name] - FURTHEST, "≥ 0", ""))
        proven = known_sign(alone) == last.sign
    spans[-1] = last._replace(last=None if proven else FURTHEST)
    return Crossing(name, at, tuple(spans), proven)
