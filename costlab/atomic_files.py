"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from costlab.interruptions import ended_only_after_this


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
        _part(path).exists()  # is the name too long?
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
    part = beside or _part(path)
    with ended_only_after_this():
        try:
            with _held(part) as held:
                _delete_left(path)
                yield part
                os.fsync(held.fileno())
                if path.exists():
                    part.chmod(path.stat().st_mode)
                if os.name == "nt":  # which renames no file that is open
                    held.close()
                part.replace(path)
        finally:
            part.unlink(missing_ok=True)


def _part(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.part")


def _held(part: Path) -> IO[Any]:
    """An empty file that is locked, so that no other process takes it for one that is left."""
    while True:
        held = part.open("wb")
        try:
            if locked(held) and _is_called(held, part):
                return held
        except FileNotFoundError:  # one has just done so
            pass
        except OSError:  # nobody can lock, so nobody deletes
            return held
        held.close()


def _is_called(file: IO[Any], path: Path) -> bool:
    """Whether what is open is still what has that name."""
    return os.path.samestat(os.fstat(file.fileno()), path.stat())


def _delete_left(path: Path) -> None:
    """Delete the temporary files of that file that nobody writes: of runs that were killed.

    On Windows, which has no such locks, they stay.
    """
    if os.name == "nt":
        return
    left = re.compile(rf"\.{re.escape(path.name)}\.\d+\.part")
    with suppress(OSError):
        for other in path.parent.iterdir():
            if left.fullmatch(other.name) and stat.S_ISREG(other.lstat().st_mode):
                with other.open("r+b") as file:
                    if locked(file) and _is_called(file, other):  # and so it is until it is gone
                        other.unlink()


def locked(file: IO[Any]) -> bool:
    """Whether it is ours now, until it is closed; on Windows it always is.

    Raises ``OSError`` on a file system without locks.
    """
    try:
        from fcntl import LOCK_EX, LOCK_NB, flock
    except ImportError:  # on Windows
        return True
    try:
        flock(file, LOCK_EX | LOCK_NB)
    except BlockingIOError:
        return False
    return True


def write_whole(path: Path, text: str) -> None:
    """Put ``text`` (UTF-8) at ``path``: all of it, or an ``OSError`` and nothing has changed."""
    with replacing(path) as part:
        part.write_bytes(text.encode("utf-8"))
