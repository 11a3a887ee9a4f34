"""The largest batch whose bytes fit into a size."""

from __future__ import annotations

from collections.abc import Callable

from costlab.errors import ChoiceError

_DOUBLINGS = 2**20
"""A batch up to which bytes that do not grow may still begin to."""


def largest(needed: Callable[[int], int], size: int, start: int) -> int:
    """The largest batch that needs at most ``size`` bytes, 0 if none does; beginning at ``start``.

    ``needed`` grows with the batch, in straight pieces: a line through two batches that were asked
    says which to ask next, and halving in turn with it bounds their number. Both the batch and the
    one after it have been asked. Raises ``ChoiceError`` if the bytes do not grow.
    """
    low, high = (start, start + 1) if needed(start) <= size else (0, start)
    while low and needed(high) <= size:
        rise = needed(high) - needed(low)
        if rise <= 0 and high > _DOUBLINGS * start:
            raise ChoiceError("what it holds does not grow with the batch: any batch fits")
        ahead = (size - needed(high)) * (high - low) // rise + 1 if rise > 0 else high
        low, high = high, high + ahead
    by_line = True
    while high - low > 1:
        guess = (low + high) // 2
        if by_line and low:
            slope = needed(high) - needed(low)
            guess = low + (size - needed(low)) * (high - low) // slope
            guess = min(max(guess, low + 1), high - 1)
        by_line = not by_line
        low, high = (guess, high) if needed(guess) <= size else (low, guess)
    return low
