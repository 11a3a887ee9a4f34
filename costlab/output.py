"""Files that are written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Put ``text`` (UTF-8) at ``path``: all of it, or an ``OSError`` and nothing has changed.

    A link is followed. What is no regular file, such as a pipe or ``/dev/stdout``, is written to.
    """
    path = Path(os.path.realpath(path))
    data = text.encode("utf-8")
    if path.exists() and not path.is_file():
        with path.open("wb") as file:  # raises for a folder, as it should
            file.write(data)
        return
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with beside.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            beside.chmod(path.stat().st_mode)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
