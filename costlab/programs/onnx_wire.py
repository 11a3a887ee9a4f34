"""A file of ONNX without the elements of its weights, however many gigabytes these are.

Such a file is one message of protobuf: fields, each a key and a value, some of which are messages
again. What is long is copied field by field, and elements of tensors are skipped on the way.
"""

from __future__ import annotations

from io import BufferedReader
from os import fstat
from pathlib import Path
from typing import Any

from costlab.errors import ProgramError, unreadable, words_of
from costlab.formatting import integer, plural
from costlab.programs.onnx_values import MOST_KNOWN
from costlab.user_files import require_file

LONG = 16 * MOST_KNOWN
"""Bytes that a field has at least if its elements are more than are ever looked at."""
MOST_KEPT = 256 * 2**20
"""Bytes that a file may have beside its weights."""
MOST_NESTED = 100
"""Messages inside of messages, as protobuf has it."""
_NUMBER, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5
"""What protobuf calls wire types: how long a value is."""


def parsed(onnx: Any, path: str) -> Any:
    """The ``ModelProto`` of a file. Raises ``ProgramError``."""
    proto = onnx.ModelProto()
    try:
        require_file(path)
        with Path(path).open("rb") as file:
            kept = _Copy(file).message(proto.DESCRIPTOR, fstat(file.fileno()).st_size)
        proto.ParseFromString(kept)
    except OSError as error:
        raise ProgramError(unreadable(path, error)) from None
    except Exception as error:  # ours, and protobuf's, whose classes depend on how it was built
        raise ProgramError(
            f"{path} is no whole file of ONNX ({words_of(error)[:100]}): save it again"
        ) from None
    if not proto.graph.node or not proto.opset_import:
        raise ProgramError(f"{path} is no whole file of ONNX: it has no operators")
    return proto


class _Copy:
    """A copy of a file, whose position is where the next field begins."""

    def __init__(self, file: BufferedReader) -> None:
        self._file, self._kept = file, 0

    def message(self, kind: Any, end: int, nested: int = 0) -> bytes:
        """The message that ends there, of a kind that protobuf describes. Raises ``ValueError``."""
        if nested > MOST_NESTED:
            raise ValueError(f"messages are nested {nested} deep")
        copy = bytearray()
        while self._file.tell() < end:
            key = self._number(end)
            field, form = kind.fields_by_number.get(key >> 3), key & 7
            if form == _NUMBER:
                copy += _written(key) + _written(self._number(end))
            elif form == _LENGTH:
                length = self._number(end)
                content = self._content(kind, field, length, end, nested)
                if content is not None:
                    copy += _written(key) + _written(len(content)) + content
            elif form in (_EIGHT_BYTES, _FOUR_BYTES):
                copy += _written(key) + self._bytes(8 if form == _EIGHT_BYTES else 4, end)
            else:
                raise ValueError(f"byte {self._file.tell()} begins no field")
        return bytes(copy)

    def _content(self, kind: Any, field: Any, length: int, end: int, nested: int) -> bytes | None:
        """The content of a field; None of what is skipped."""
        start = self._file.tell()
        if length > end - start:
            raise ValueError(f"{plural(length, 'byte')} are to follow byte {integer(start)}")
        if length > LONG and field is not None and field.message_type is not None:
            return self.message(field.message_type, start + length, nested + 1)
        if length > LONG and (field is None or kind.name == "TensorProto"):
            self._file.seek(length, 1)
            return None
        return self._bytes(length, end)

    def _bytes(self, length: int, end: int) -> bytes:
        self._kept += length
        if self._kept > MOST_KEPT:
            raise ValueError(f"it has more than {MOST_KEPT // 2**20} MiB beside its weights")
        content = self._file.read(length)
        if len(content) < length or self._file.tell() > end:
            raise ValueError("it ends inside of a field")
        return content

    def _number(self, end: int) -> int:
        """A number, seven bits a byte, the lowest first."""
        number = 0
        for place in range(0, 70, 7):
            [byte] = self._bytes(1, end)
            number |= (byte & 127) << place
            if byte < 128:
                return number
        raise ValueError(f"byte {self._file.tell()} ends no number")


def _written(number: int) -> bytes:
    """A number as protobuf has it in a file."""
    written = bytearray()
    while number > 127:
        written.append(number & 127 | 128)
        number >>= 7
    written.append(number)
    return bytes(written)
