"""What a format is: an object that says its name, its file endings, what it needs, and writes."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import BinaryIO, Literal, NamedTuple, TypeAlias

from costlab.errors import OutputError, how_to_install
from costlab.render.document import Showable
from costlab.render.made import Made

Needs: TypeAlias = Literal["document", "page", "records", "data", "equations", "findings"]
"""The form of a result that a format writes."""

SPECIAL: frozenset[Needs] = frozenset({"equations", "findings"})
"""The forms that only some results have."""

WIDTH = 80


class Screen(NamedTuple):
    """Where a result is read: characters of a line, whether it has colours, and signs for bars.

    ``made`` is said in a file: the command that wrote it, when, and with which versions. A picture
    has the ``graph`` in place of bars, if asked.
    """

    width: int = WIDTH
    color: bool = False
    made: Made | None = None
    bars: bool = False
    graph: bool = False


Writer: TypeAlias = Callable[[Showable, BinaryIO, Screen], None]


class Format(NamedTuple):
    """A way to write results as bytes.

    ``endings`` are those of its files, without the dot; ``purpose`` says in help what it is for.
    A ``binary`` format is not printed on a terminal. ``package`` must be installed for it, which
    the ``extra`` of costlab does.
    """

    name: str
    endings: tuple[str, ...]
    purpose: str
    needs: Needs
    write: Writer
    binary: bool = False
    package: str = ""
    extra: str = ""

    def require(self) -> None:
        """Raises ``OutputError``, which says how to install it, if its package is not there."""
        if not self.package:
            return
        try:
            import_module(self.package)
        except ImportError:
            hint = how_to_install(self.extra)
            raise OutputError(f"{self.name} needs {self.package}: {hint}") from None


def writing(text: Callable[[Showable, Screen], str]) -> Writer:
    """How to write a format that is all text."""

    def write(result: Showable, file: BinaryIO, screen: Screen) -> None:
        file.write(text(result, screen).encode("utf-8"))

    return write
