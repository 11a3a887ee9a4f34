"""What a Python file has, by its text: what is not in it is said without importing it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ast

_MADE_WHERE_IT_RUNS = re.compile(
    rb"import\s*\(?\s*\*|__getattr__|__dict__|\b(?:globals|locals|vars|setattr|exec|eval|modules)\b"
)
"""Code that may give a file names that its text does not have."""


def lacks(path: Path, name: str) -> bool:
    """Whether the file cannot have something of that name: the word is nowhere in its text.

    Of what is no Python its import says so.
    """
    if not name.isascii() or name.startswith("__"):
        return False
    text = path.read_bytes()
    word = rb"(?<!\w)%s(?!\w)" % re.escape(name.encode())
    return not (re.search(word, text) or _MADE_WHERE_IT_RUNS.search(text)) and _is_python(text)


def _is_python(text: bytes) -> bool:
    import ast

    try:
        ast.parse(text)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return False
    return True


def defined_in(folders: Iterable[str], name: str) -> str:
    """The module of a package that has such a function or class, below it; ``""`` if none does.

    By the text of its files, of which none is imported. Of several it is the first.
    """
    stated = re.compile(rb"^(?:def|class) %s\b" % re.escape(name.encode()), re.MULTILINE)
    for folder in map(Path, folders):
        for path in sorted(folder.rglob("*.py")):
            with suppress(OSError):
                if stated.search(path.read_bytes()):
                    names = path.relative_to(folder).with_suffix("").parts
                    return ".".join(names[:-1] if names[-1] == "__init__" else names)
    return ""


def names_in(path: Path, *, data: bool) -> list[str]:
    """The functions of a file, its classes and what it calls others by; with ``data`` its data."""
    import ast  # here: a first answer does not wait for it

    names = set()
    for node in _statements(path):
        if isinstance(node, ast.FunctionDef) or (isinstance(node, ast.ClassDef) and not data):
            names.add(node.name)
        elif isinstance(node, ast.Assign) and not isinstance(node.value, ast.Constant):
            is_data = isinstance(node.value, (ast.Tuple, ast.List, ast.Dict))
            own = (target.id for target in node.targets if isinstance(target, ast.Name))
            names |= set(own if data or not is_data else ())
    return sorted(names)


def arguments_in(path: Path, name: str) -> list[str] | None:
    """What a function or class of a file takes; None where its text alone does not say it."""
    import ast

    statements = _statements(path)
    known = [node for node in statements if getattr(node, "name", "") == name]
    inside_too = [node for own in statements for node in ast.walk(own) if _binds(node, name)]
    if len(inside_too) > len(known):
        return None  # it may be another one
    if len(known) == 1 and isinstance(known[0], ast.ClassDef) and not known[0].keywords:
        made_by = [node for node in known[0].body if getattr(node, "name", "") == "__init__"]
        known = made_by if not known[0].decorator_list else []
    if len(known) != 1 or not isinstance(known[0], ast.FunctionDef) or known[0].decorator_list:
        return None
    taken = known[0].args
    if taken.vararg or taken.kwarg:
        return None
    names = [own.arg for own in (*taken.posonlyargs, *taken.args, *taken.kwonlyargs)]
    return names[1:] if known[0].name == "__init__" else names


def _binds(node: ast.AST, name: str) -> bool:
    """Whether a part of the text gives something that name."""
    import ast

    if isinstance(node, ast.Name):
        return node.id == name and not isinstance(node.ctx, ast.Load)
    return name in (getattr(node, "name", ""), getattr(node, "asname", ""))


def _statements(path: Path) -> list[ast.stmt]:
    """Those that stand alone; none of a file that cannot be read, which its import says."""
    import ast

    try:
        return ast.parse(path.read_bytes()).body
    except (OSError, SyntaxError, ValueError, MemoryError, RecursionError):
        return []
