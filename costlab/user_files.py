"""Files that users name, read.

A pipe may never have anything to read, and a device such as ``/dev/zero`` no end: they are refused
before they are opened.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path


def require_file(path: str | Path) -> None:
    """Raises the ``OSError`` of reading there: there is nothing, a folder, a pipe or a device."""
    try:
        kind = Path(path).stat().st_mode
    except ValueError as error:  # a null byte
        raise OSError(errno.EINVAL, str(error), str(path)) from None
    if stat.S_ISDIR(kind):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(kind):
        raise OSError(errno.EINVAL, "it is a pipe or a device: give a file", str(path))


def text_of(path: str | Path) -> str:
    """The text of a file, in UTF-8. Raises ``OSError`` and ``UnicodeDecodeError``."""
    require_file(path)
    return Path(path).read_text(encoding="utf-8")
