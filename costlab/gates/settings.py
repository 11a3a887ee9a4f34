"""What a project wants of its models: ``[[tool.costlab.check]]`` of pyproject.toml.

[[tool.costlab.check]]
model = "mine.py:Net"               # a MODEL, as for costlab show
input-size = "1,3,224,224"          # keys have the names of options
baseline = "costs/net.json"         # a MODEL too; costlab check --update writes such a file
limits = ["macs <= 1.6 G", "macs <= 1.02 * base.macs"]

In costlab.toml it is ``[[check]]``.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from costlab.errors import GateError, UnknownNameError, blaming, misread, unreadable
from costlab.models.arguments import parse_axes, parse_sizes, parse_types
from costlab.models.python_code import inputs_of
from costlab.user_files import text_of

PYPROJECT, OWN_FILE = "pyproject.toml", "costlab.toml"

_HEADER = re.compile(r"^\s*\[\[\s*((tool\s*\.\s*)?costlab\s*\.\s*)?check\s*\]\]", re.MULTILINE)


@dataclass(frozen=True)
class Place:
    """A line of a file; no file for what the command line or the library was given."""

    file: str = ""
    line: int = 0

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}" if self.file else ""


@dataclass(frozen=True)
class Check:
    """A model, how it is run, and its limits; ``place`` is where it was written.

    ``input_size`` and the other ways to run it are those of ``costlab show``. ``rules`` is a Python
    file with rules of the user's. ``device`` is what ``time_bound`` in a limit is on, ``dtype`` the
    type of floating-point numbers there, ``optimizer`` what trains where a limit names what a
    training step holds. With ``training_cost`` a training step is counted even if
    no limit names one. ``name`` is what the model is called, by default as it is
    given.
    """

    model: Any
    limits: tuple[str, ...] = ()
    name: str = ""
    input_size: Any = None
    input_type: Any = ""
    inputs: Any = None
    rules: str = ""
    training: bool = False
    training_cost: bool = False
    real: bool = False
    method: str = "forward"
    device: str = ""
    dtype: str = ""
    optimizer: str = ""
    baseline: Any = None
    vary: Any = None
    """What varies, as for ``costlab.sweep``: the limits are to hold for all of it."""
    place: Place = Place()
    places: tuple[Place, ...] = ()
    """Where each of the limits was written, if it was in a file."""

    @property
    def called(self) -> str:
        """What the model is called; nothing for one that has no name yet, such as a module."""
        return self.name or (self.model if isinstance(self.model, str) else "")

    def placed_limits(self) -> list[tuple[Place, str]]:
        """The limits, each with where it was written."""
        places = self.places or (self.place,) * len(self.limits)
        return list(zip(places, self.limits, strict=True))

    def run(self) -> dict[str, Any]:
        """How the model is run: arguments of ``analyze`` beside the input size."""
        inputs = inputs_of(self.inputs) if isinstance(self.inputs, str) else self.inputs
        return {
            "inputs": inputs,
            "input_type": self.input_type,
            "training": self.training,
            "real": self.real,
            "method": self.method,
        }


def _texts(value: Any) -> tuple[str, ...]:
    """The texts of a key that takes one or several; nothing for what is something else."""
    values = value if isinstance(value, list) else [value]
    return tuple(values) if all(isinstance(item, str) for item in values) else ()


def _input_size(texts: tuple[str, ...], batch: int | None, vary: Any) -> Any:
    """The input size; where something varies, with names for it."""
    if not vary:
        return parse_sizes(texts, batch)
    from costlab.models.symbolic_sizes import parse_symbolic_sizes  # others do not wait for it

    return parse_symbolic_sizes(texts, batch)


def _sizes(value: Any) -> tuple[str, ...]:
    """The texts of input sizes; one may be a list of whole numbers."""
    return _texts(value) or (",".join(map(str, value)),) if value != [] else ()


def checks_of(folder: Path) -> tuple[Check, ...]:
    """The checks of a project, which are in one of two files of its folder.

    Raises ``GateError`` if there are none, and with the line of what is wrong.
    """
    tables = _tables(folder)
    if not tables:
        raise GateError(
            f"no checks here: give MODEL --require 'macs <= 1.6 G', or write [[tool.costlab.check]]"
            f" in {PYPROJECT} or [[check]] in {OWN_FILE}"
        )
    if len(tables) > 1:
        raise GateError(f"{OWN_FILE} and [tool.costlab] of {PYPROJECT} are both here: keep one")
    ((path, table),) = tables
    return _checks(path, table)


def named_in(folder: Path, name: str) -> Check | None:
    """The check of that name, if the project has one. Raises ``GateError`` for a broken file."""
    if not _tables(folder):
        return None
    return next((check for check in checks_of(folder) if name in (check.name, check.model)), None)


def one_of(checks: Sequence[Check], name: str) -> Check:
    """The check of that name. Raises ``UnknownNameError``."""
    known = {check.called: check for check in checks}
    of_model = [check for check in checks if check.model == name]
    if name not in known and len(of_model) == 1:
        return of_model[0]
    if name not in known:
        file = checks[0].place.file
        hint = f"in {file}; or give --require 'macs <= 1.6 G'"
        raise UnknownNameError("check", name, known, hint)
    return known[name]


def _tables(folder: Path) -> list[tuple[Path, Any]]:
    """The files that say something to costlab, and what."""
    paths = [path for name in (OWN_FILE, PYPROJECT) if (path := folder / name).is_file()]
    return [(path, table) for path in paths if (table := _table(path)) is not None]


def _table(path: Path) -> Any:
    """What a file says to costlab; None for a pyproject.toml that does not name it."""
    if sys.version_info >= (3, 11):  # here: the light path waits for none of them
        import tomllib
    else:
        import tomli as tomllib

    try:
        data = tomllib.loads(text_of(path))
    except (OSError, UnicodeDecodeError) as error:
        raise GateError(unreadable(path, error)) from None
    except (ValueError, RecursionError) as error:  # too many digits, too deep
        raise GateError(f"{path} is not valid TOML: {misread(error)}") from None
    if path.name == OWN_FILE:
        return data
    tools = data.get("tool")
    return tools.get("costlab") if isinstance(tools, dict) else None


def _checks(path: Path, table: Any) -> tuple[Check, ...]:
    text = path.read_text(encoding="utf-8")
    header = "[[check]]" if path.name == OWN_FILE else "[[tool.costlab.check]]"
    if not isinstance(table, dict):
        raise GateError(f"{path}: write each check as a table that begins with {header}")
    for key in table:
        if key != "check":
            raise UnknownNameError("key", key, ["check"], f"in {path}")
    entries = table.get("check")
    if not isinstance(entries, list) or not entries:
        raise GateError(f"{path}: write each check as a table that begins with {header}")
    lines = text.splitlines()
    starts = [text.count("\n", 0, match.end()) for match in _HEADER.finditer(text)]
    ends = [*starts[1:], len(lines)]
    if len(starts) != len(entries):  # an inline table, or a header in a text
        starts, ends = [0] * len(entries), [len(lines)] * len(entries)
    checks = [
        _check(entry, path, lines[:end], start)
        for entry, start, end in zip(entries, starts, ends, strict=True)
    ]
    _require_apart(checks)
    return tuple(checks)


def _check(entry: Any, path: Path, lines: list[str], start: int) -> Check:
    place = Place(str(path), start + 1)
    if not isinstance(entry, dict):
        raise GateError(f"{place}: write the check as a table of keys and values")
    known = {field.name.replace("_", "-"): str(field.type) for field in fields(Check)}
    del known["place"], known["places"]
    known["batch"] = "int"  # it goes into the input size
    for key, value in entry.items():
        if key not in known:
            line = Place(str(path), _line(key, lines, start) + 1)
            raise UnknownNameError("key", key, known, f"in {line}", ", ".join(known))
        problem = _problem(key, value, known[key])
        if problem:
            raise GateError(f"{place}: {key} takes {problem}")
    if not entry.get("model"):
        raise GateError(f"{place}: model is missing")
    limits = entry.pop("limits", [])
    limits = [limits] if isinstance(limits, str) else limits
    if not limits:
        raise GateError(f'{place}: limits are missing, such as limits = ["macs <= 1.6 G"]')
    with blaming(str(place)):
        vary = parse_axes(_texts(entry.pop("vary", [])))
        size = _input_size(_sizes(entry.pop("input-size", [])), entry.pop("batch", None), vary)
        types = parse_types(_texts(entry.pop("input-type", [])))
    given = {key.replace("-", "_"): value for key, value in entry.items()}
    return Check(
        input_size=size,
        input_type=types,
        vary=vary or None,
        limits=tuple(limits),
        place=place,
        places=tuple(Place(str(path), _line(limit, lines, start) + 1) for limit in limits),
        **given,
    )


def _problem(key: str, value: Any, kind: str) -> str:
    """What a key takes, if that is not what it is given."""
    if key == "limits":
        texts = value if isinstance(value, list) else [value]
        return "" if all(isinstance(text, str) for text in texts) else "conditions in quotes"
    if key == "vary":
        return "" if _texts(value) else 'texts in quotes, such as "H=W=128:512:32"'
    if key == "input-type" or (key == "input-size" and isinstance(value, list)):
        numbers = isinstance(value, list) and all(type(item) is int for item in value)
        fits = _texts(value) or (numbers and key == "input-size")
        return "" if fits else "one text in quotes, or a list with one for each input"
    if kind == "int":
        return "" if type(value) is int and value >= 1 else "a whole number from 1"
    if kind == "bool":
        return "" if isinstance(value, bool) else "true or false"
    return "" if isinstance(value, str) else "text in quotes"


def _line(limit: str, lines: list[str], start: int) -> int:
    """The number of the first line from there that has the limit or key, else of the header.

    Of a limit that has several lines it is the first.
    """
    begins = (limit.strip().splitlines() or [""])[0]
    spelled = (begins, json.dumps(begins)[1:-1])
    for number, line in enumerate(lines[start:], start):
        if any(text in line for text in spelled):
            return number
    return start


def _require_apart(checks: list[Check]) -> None:
    """Raises ``GateError`` for two checks of one name."""
    first: dict[str, Place] = {}
    for check in checks:
        if check.called in first:
            raise GateError(
                f"{check.place}: the check in line {first[check.called].line} is of "
                f"{check.called!r} too: put their limits together, or give each a name"
            )
        first[check.called] = check.place
