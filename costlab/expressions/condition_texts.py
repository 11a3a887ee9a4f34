"""The texts of conditions that are joined: what each is called, as its author wrote it."""

from __future__ import annotations

from collections.abc import Collection
from itertools import pairwise

from costlab.expressions.nodes import COMPARISONS
from costlab.expressions.tokens import tokens


def condition_texts(text: str) -> list[str]:
    """``a < b <= c and d`` as ``a < b``, ``b <= c`` and ``d``: see ``Expression.conditions``.

    Of a text that has been parsed.
    """
    text = text.strip()
    if len(_parted(text, ("or",))) > 1:
        return [text]
    joined = _parted(text, ("and",))
    if len(joined) > 1:
        return [condition for part, _ in joined for condition in condition_texts(part)]
    within = _within_parentheses(text)
    if within is not None:
        return condition_texts(within)
    compared = [] if tokens(text)[0].text == "not" else _parted(text, COMPARISONS)
    pairs = pairwise(compared)
    return [f"{left} {sign} {right}" for (left, sign), (right, _) in pairs] or [text]


def _parted(text: str, signs: Collection[str]) -> list[tuple[str, str]]:
    """The text at these signs outside of parentheses: each part, and the sign behind it."""
    parts, begin, depth = [], 0, 0
    for token in tokens(text):
        if token.form == "end" or (depth == 0 and token.text in signs):
            parts.append((text[begin : token.place].strip(), token.text))
            begin = token.place + len(token.text)
        depth += _DEEPER.get(token.text, 0)
    return parts


def _within_parentheses(text: str) -> str | None:
    """What stands between them, if the text is all in one pair of parentheses."""
    *inside, last, _ = tokens(text)
    depth = 0
    for token in inside:
        depth += _DEEPER.get(token.text, 0)
        if depth == 0:
            return None
    return text[1:-1] if last.text == ")" else None


_DEEPER = {"(": 1, "[": 1, ")": -1, "]": -1}
