"""Files that are written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def is_special(path: Path) -> bool:
    """Whether it is something that is written to and not replaced: a pipe, ``/dev/stdout``."""
    return path.exists() and not path.is_file() and not path.is_dir()


def require_writable(path: Path, folder: bool = False) -> None:
    """Raises the ``OSError`` of writing there, before there is anything to write.

    ``folder`` says that it is a folder for files, which is made with those around it.
    """
    from tempfile import TemporaryFile  # here: the light path waits for it only with -o

    if is_special(path) and not folder:
        return
    path = Path(os.path.realpath(path))
    home = path
    if not folder:
        if path.is_dir():
            raise IsADirectoryError(21, os.strerror(21), str(path))
        path.with_name(f".{path.name}.{os.getpid()}.part").exists()  # is the name too long?
        home = path.parent
    while folder and not home.exists():
        home = home.parent
    with TemporaryFile(dir=home):
        pass


@contextmanager
def replacing(path: Path, beside: Path | None = None) -> Iterator[Path]:
    """A temporary file to write, which replaces ``path`` at the end, unless there was an error.

    ``beside`` is that file, by default a hidden one in the same folder. A link is followed. A pipe
    or device is written to directly. Raises ``OSError``, and then nothing has changed.
    """
    if is_special(path):
        yield path
        return
    path = Path(os.path.realpath(path))
    if path.is_dir():
        raise IsADirectoryError(21, os.strerror(21), str(path))
    part = beside or path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        with part.open("r+b") as file:  # Windows syncs no file that is only read
            os.fsync(file.fileno())
        if path.exists():
            part.chmod(path.stat().st_mode)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_whole(path: Path, text: str) -> None:
    """Put ``text`` (UTF-8) at ``path``: all of it, or an ``OSError`` and nothing has changed."""
    with replacing(path) as part:
        part.write_bytes(text.encode("utf-8"))
