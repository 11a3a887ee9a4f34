"""Comparisons of sizes, which are asked when an answer is needed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from costlab.symbols.assumptions import Assumptions, Kind
from costlab.symbols.size import Size


class Truth:
    """Something that holds or not."""

    of: Assumptions

    @property
    def hint(self) -> bool:
        """Whether it holds at the hints."""
        with self.of.unasked():
            return self.asked()

    def decided(self) -> bool | None:
        """What is beyond doubt; None where it depends on symbols."""
        raise NotImplementedError

    def asked(self) -> bool:
        """The answer, which leaves a guard where it depends on symbols."""
        raise NotImplementedError


class Plain(Truth):
    """True or False."""

    def __init__(self, of: Assumptions, truth: bool) -> None:
        self.of, self._truth = of, truth

    def decided(self) -> bool:
        return self._truth

    asked = decided

    def __repr__(self) -> str:
        return repr(self._truth)


class Compared(Truth):
    """A size that is at least 0, or 0."""

    def __init__(self, size: Size, kind: Kind) -> None:
        self.of, self._size, self._kind = size.of, size, kind

    def decided(self) -> bool | None:
        return self.of.decided(self._kind, self._size)

    def asked(self) -> bool:
        question = self.of.is_zero if self._kind == "= 0" else self.of.at_least_zero
        return question(self._size)

    def __repr__(self) -> str:
        return f"{self._size} {self._kind}"


class Not(Truth):
    """The opposite."""

    def __init__(self, truth: Any) -> None:
        self.of, self._truth = truth.of, truth

    def decided(self) -> bool | None:
        known = self._truth.decided()
        return None if known is None else not known

    def asked(self) -> bool:
        return not self._truth.asked()

    def __repr__(self) -> str:
        return f"not {self._truth!r}"


class Joined(Truth):
    """All of them, or any: what one of them decides is not asked of the others."""

    def __init__(self, how: Callable[[Iterable[bool]], bool], truths: tuple[Any, ...]) -> None:
        self.of, self._how, self._truths = truths[0].of, how, truths

    def decided(self) -> bool | None:
        known = [truth.decided() for truth in self._truths]
        enough = self._how is any
        if enough in known:
            return enough
        return None if None in known else not enough

    def asked(self) -> bool:
        known = self.decided()
        if known is not None:
            return known
        if self._how is all:  # the first that does not hold is enough of a guard
            return all(truth.asked() for truth in self._truths if truth.decided() is None)
        # the first that holds is enough of a guard
        holding = next((truth for truth in self._truths if truth.hint), None)
        if holding is not None:
            holds: bool = holding.asked()
            return holds
        return any(truth.asked() for truth in self._truths)

    def __repr__(self) -> str:
        return f" {'and' if self._how is all else 'or'} ".join(map(repr, self._truths))


SIGNS: dict[str, Callable[[Any, Any], bool]] = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def compared(difference: Size, sign: str) -> Truth:
    """How a difference compares with 0."""
    if sign == "==":
        return Compared(difference, "= 0")
    if sign == "!=":
        return Not(Compared(difference, "= 0"))
    if sign == "<":
        return Compared(-difference - 1, "≥ 0")
    if sign == "<=":
        return Compared(-difference, "≥ 0")
    return Compared(difference - 1 if sign == ">" else difference, "≥ 0")
