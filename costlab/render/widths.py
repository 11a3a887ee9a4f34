"""Text in the cells of a terminal: how wide it is, padded, and broken into lines.

A character of Chinese or Japanese takes two cells, an accent that joins the one before it none.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from unicodedata import category, east_asian_width


def width(text: str) -> int:
    """The cells that a text takes."""
    return len(text) if text.isascii() else sum(map(_cells, text))


@lru_cache(maxsize=4096)
def _cells(character: str) -> int:
    if category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if east_asian_width(character) in "WF" else 1


def padded(text: str, cells: int, right: bool = False) -> str:
    """A text in so many cells, at their right end if wanted."""
    spaces = " " * (cells - width(text))
    return spaces + text if right else text + spaces


def wrapped(text: str, cells: int, indent: str = "", break_words: bool = False) -> list[str]:
    """Lines of at most so many cells, where words allow it; lines after the first are indented.

    ``break_words`` breaks a word that is longer than a line. A percentage stays in one.
    """
    words = [word.replace("\0", " ") for word in text.replace(" %", "\0%").split()]
    lines: list[str] = []
    line = ""
    for word in _pieces(words, cells - len(indent), break_words):
        if line.strip() and width(line) + 1 + width(word) > cells:
            lines.append(line)
            line = indent + word
        else:
            line = f"{line} {word}" if line.strip() else line + word
    return [*lines, line] if line.strip() else lines


def _pieces(words: Iterable[str], cells: int, break_words: bool) -> Iterable[str]:
    for word in words:
        if not break_words or width(word) <= cells:
            yield word
            continue
        piece = ""
        for character in word:
            if piece and width(piece + character) > cells:
                yield piece
                piece = ""
            piece += character
        yield piece
