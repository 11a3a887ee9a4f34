"""Text for LaTeX: literal, and how wide it is in print."""

from __future__ import annotations

from costlab.formatting import printable

_ESCAPES = str.maketrans(
    {
        **{sign: f"\\{sign}" for sign in "{}$&#_%"},
        "\\": r"\textbackslash{}",
        "^": r"\textasciicircum{}",
        "~": r"\textasciitilde{}",
        "×": r"$\times$",
        "÷": r"$\div$",
        "−": r"$-$",
        "·": r"$\cdot$",
        "→": r"$\to$",
        "≥": r"$\ge$",
        "≤": r"$\le$",
        "≈": r"$\approx$",
        "⌊": r"$\lfloor$",
        "⌋": r"$\rfloor$",
        "<": "$<$",
        ">": "$>$",
        **{power: f"$^{n}$" for n, power in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")},
    }
)


def escape(text: str) -> str:
    """The text with everything that LaTeX would run made literal."""
    return printable(text).translate(_ESCAPES)


_WIDTHS = {
    **dict.fromkeys(".,:;!|'il", 2.5),
    **dict.fromkeys("()[]tfrjI-/ ·", 3.3),
    **dict.fromkeys("mMwW@%", 7.0),
    **dict.fromkeys("ABCDEFGHJKLNOPQRSTUVXYZ→≥≤≈+=<>", 6.2),
    **dict.fromkeys("×÷−", 6.8),
}
"""Points of characters in Computer Modern of 8 points, rounded up; others take 4.4 or 8."""


def points(text: str, bold: bool = False) -> float:
    """How wide a text is in ``\\footnotesize``, at most."""
    width = sum(_WIDTHS.get(sign, 4.4 if sign.isascii() else 8.0) for sign in printable(text))
    return width * (1.16 if bold else 1)
