"""Text for LaTeX: literal, how wide it is in print, and where it may be broken."""

from __future__ import annotations

import re

from costlab.formatting import printable

LINE = 345.0
"""Points of a line of the class article on paper of any size."""

_GREEK = (
    "αalpha βbeta γgamma δdelta εvarepsilon ζzeta ηeta θtheta ιiota κkappa λlambda μmu νnu ξxi "
    "πpi ρrho σsigma τtau φvarphi χchi ψpsi ωomega ΓGamma ΔDelta ΘTheta ΛLambda ΞXi ΠPi ΣSigma "
    "ΦPhi ΨPsi ΩOmega"
)

_ESCAPES = str.maketrans(
    {
        **{sign: f"\\{sign}" for sign in "{}$&#_%"},
        "\\": r"\textbackslash{}",
        "^": r"\textasciicircum{}",
        "~": r"\textasciitilde{}",
        "|": "$|$",
        "×": r"$\times$",
        "÷": r"$\div$",
        "−": r"$-$",
        "±": r"$\pm$",
        "·": r"$\cdot$",
        "→": r"$\to$",
        "≥": r"$\ge$",
        "≤": r"$\le$",
        "≠": r"$\ne$",
        "≈": r"$\approx$",
        "⌊": r"$\lfloor$",
        "⌋": r"$\rfloor$",
        "█": r"\rule{4.4pt}{5pt}",
        "<": "$<$",
        ">": "$>$",
        **{power: f"$^{n}$" for n, power in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")},
        **{letter[0]: f"$\\{letter[1:]}$" for letter in _GREEK.split()},
    }
)

_JOINED = re.compile(r"([-,'`])(?=\1)")
"""Two of them are one sign in print: the dash of ``--depth``."""

_BEYOND = re.compile("[^\u0000-\u017f–—‘’“”†•…]")
"""What pdfLaTeX has no sign for."""

_BREAK = r"\allowbreak{}"


def escape(text: str) -> str:
    """The text with everything that LaTeX would run, or print as something else, made literal."""
    return _JOINED.sub(r"\1{}", printable(text).translate(_ESCAPES))


def breakable(text: str, room: float, bold: bool = False) -> str:
    """Literal text in which words that are wider than the room may be broken.

    After a dot or another such sign, or anywhere if what is between them is too wide still.
    """
    words = []
    for word in text.split(" "):
        pieces = [word]
        if points(word, bold) > room:
            pieces = re.findall(r"[^._/,·×)]+[._/,·×)]*|[._/,·×)]+", word)
        if any(points(piece, bold) > room for piece in pieces):
            pieces = list(word)
        words.append(_BREAK.join(map(escape, pieces)))
    return " ".join(words)


def beyond_pdflatex(text: str) -> str:
    """The signs of a LaTeX text that need XeLaTeX or LuaLaTeX and a font that has them."""
    return "".join(dict.fromkeys(_BEYOND.findall(text)))


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
