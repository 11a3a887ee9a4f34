"""The files: a source (a paper, a README, a page) and the figures that it prints.

name = "Szegedy et al. 2014, Going Deeper with Convolutions"
url = "https://arxiv.org/abs/1409.4842"

[[figure]]
id = "table1-conv1-params"          # unique in the file
at = "Table 1, first convolution"   # where it stands
printed = "2.7K"                    # as printed; words around it go into says
unit = "parameters"                 # what the source calls one unit
quantity = "weights"                # what costlab computes: see docs/expressions.md
model = "googlenet/conv1"           # a MODEL, with choices and part
verdict = "another network"         # as it is known to come out
[figure.because]                    # if it does not hold as it stands
why = "a separable 7×7"
model = 'googlenet(stem="separable")/conv1'
"""

from __future__ import annotations

import re
import sys
from dataclasses import MISSING, dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from costlab.errors import FigureError, UnknownNameError, misread, unreadable
from costlab.user_files import text_of

FigureVerdict = Literal[
    "reproduced", "truncated", "another unit", "another network", "not reproduced"
]
FIGURE_VERDICTS: tuple[FigureVerdict, ...] = get_args(FigureVerdict)

Relation = Literal["equal", "less than", "more than"]

FOLDER = Path(__file__).parent / "sources"
_FIGURE = re.compile(r"^\s*\[\[\s*figure\s*\]\]", re.MULTILINE)

Entry = TypeVar("Entry", "Because", "Figure")


@dataclass(frozen=True)
class Because:
    """Another model or quantity, which reproduces a number that the figure's own ones do not.

    Only what differs from the figure is given. ``kilo`` is what K stands for (1000 or 1024).
    """

    why: str
    quantity: str = ""
    model: str = ""
    input: str = ""
    versus: str = ""
    kilo: int = 0

    @property
    def same_network(self) -> bool:
        """Whether it is the figure's network, only counted in another unit."""
        return not (self.model or self.input or self.versus)


@dataclass(frozen=True)
class Figure:
    """One published number, or shape, and what it is a figure of.

    ``versus`` is a second model for quantities that compare. ``scale`` is K, M, G or T where it
    stands apart from the number, as in a column's head; ``precision`` is what the last known digit
    is worth where that is not the last one printed; ``note`` is what a reader should know of it.
    """

    id: str
    at: str
    printed: str
    unit: str
    quantity: str
    model: str
    verdict: FigureVerdict
    says: str = ""
    input: str = ""
    versus: str = ""
    scale: str = ""
    precision: str = ""
    kilo: int = 1000
    relation: Relation = "equal"
    because: Because | None = None
    note: str = ""
    line: int = 0


@dataclass(frozen=True)
class Source:
    """A paper, README or page, as of a version that ``url`` or ``version`` names."""

    id: str
    name: str
    url: str
    figures: tuple[Figure, ...]
    version: str = ""

    @property
    def ids(self) -> list[str]:
        """The figures' names."""
        return [figure.id for figure in self.figures]


def source_names() -> list[str]:
    """The sources that costlab comes with."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def source(name: str) -> Source:
    """The source of that name, or in that TOML file.

    Raises ``UnknownNameError``, or ``FigureError`` with the line of what is wrong.
    """
    if name.endswith(".toml"):
        return read(Path(name))
    if name not in source_names():
        raise UnknownNameError("source", name, source_names(), listed=", ".join(source_names()))
    return _own(name)


@cache  # a user's file may be another one when it is read again
def _own(name: str) -> Source:
    return read(FOLDER / f"{name}.toml")


def read(path: Path) -> Source:
    """The source in a file. Raises ``FigureError`` with the line of what is wrong."""
    if sys.version_info >= (3, 11):  # here: the light path waits for none of them
        import tomllib
    else:
        import tomli as tomllib

    try:
        text = text_of(path)
        data = tomllib.loads(text)
    except (OSError, UnicodeDecodeError) as error:
        raise FigureError(unreadable(path, error)) from None
    except (ValueError, RecursionError) as error:  # too many digits, too deep
        raise FigureError(f"{path} is not valid TOML: {misread(error)}") from None
    lines = [text.count("\n", 0, match.end()) + 1 for match in _FIGURE.finditer(text)]
    entries = data.pop("figure", [])
    if not isinstance(entries, list) or len(entries) != len(lines):
        where = _where(path, text, r"(\[\s*)?figure\s*[\]=]")
        raise FigureError(f"{where}: write each figure as a table that begins with [[figure]]")
    figures: dict[str, Figure] = {}
    for entry, line in zip(entries, lines, strict=True):
        where = f"{path}, line {line}"
        because = entry.pop("because", None)
        if because is not None:
            because = _entry(Because, because, f"{where}, because")
        figure = _entry(Figure, entry | {"because": because, "line": line}, where)
        if figure.id in figures:
            raise FigureError(f"{where}: {figure.id!r} is also in line {figures[figure.id].line}")
        figures[figure.id] = figure
    for key in data:
        if key not in ("name", "url", "version"):
            where = _where(path, text, rf"\W*{re.escape(key)}\b")
            raise FigureError(f"{where}: unknown key {key!r}: a source has name, url and version")
    for key in ("name", "url"):
        if not isinstance(data.get(key), str):
            where = _where(path, text, rf"{key}\s*=")
            raise FigureError(f"{where}: a source has a name and a url, both words in quotes")
    return Source(path.stem, data["name"], data["url"], tuple(figures.values()), **_version(data))


def _where(path: Path, text: str, begins: str) -> str:
    """The file, and its first line that begins so; line 1 if none does, since it is missing."""
    numbered = enumerate(text.splitlines(), 1)
    fits = (number for number, line in numbered if re.match(rf"\s*{begins}", line))
    return f"{path}, line {next(fits, 1)}"


def _version(data: dict[str, Any]) -> dict[str, str]:
    return {"version": str(data["version"])} if "version" in data else {}


def _entry(kind: type[Entry], data: Any, where: str) -> Entry:
    """A figure or its because, every key of which is known and of its type."""
    if not isinstance(data, dict):
        raise FigureError(f"{where}: write it as a table of keys and values")
    known = {field.name: field for field in fields(kind)}
    for key, value in data.items():
        if key not in known:
            hint = f"in {where}"
            raise UnknownNameError("key", key, known.keys() - {"line"}, hint)
        is_int = known[key].type == "int"
        if key != "because" and type(value) is not (int if is_int else str):
            raise FigureError(f"{where}: {key} takes {'a whole number' if is_int else 'text'}")
    if data.get("kilo", 1000) not in (1000, 1024):
        raise FigureError(f"{where}: kilo is what K stands for: 1000 or 1024")
    for key, field in known.items():
        if field.default is MISSING and key not in data:
            raise FigureError(f"{where}: {key} is missing")
    for key, words in (("verdict", FIGURE_VERDICTS), ("relation", get_args(Relation))):
        if key in data and data[key] not in words:
            raise UnknownNameError(f"{key} in {where}:", data[key], words)
    return kind(**data)
