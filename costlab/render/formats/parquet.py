"""Parquet for data frames: typed columns that say their units."""

from __future__ import annotations

from typing import Any, BinaryIO

from costlab.render.document import Showable
from costlab.render.format import Format, Screen


def write(result: Showable, file: BinaryIO, screen: Screen) -> None:
    """A row a record, a batch of them at a time; the file's metadata say how it was made."""
    import json

    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

    units, remark = result.units().of, result.units().remark
    about = {"run": _encodable(remark)} if remark else {}
    if screen.made:
        command, date, versions = screen.made
        own = {"title": result.title, "command": command, "date": date}
        own = {key: _encodable(text) for key, text in own.items()}
        about |= own | {"versions": json.dumps(versions)}
        about["PANDAS_ATTRS"] = json.dumps(own | {"versions": versions})  # frame.attrs
    writer = None
    for batch in result.batches():
        table = pa.table({name: _array(values) for name, values in batch.items()})
        if writer is None:
            schema = pa.schema(
                [
                    column.with_metadata({"unit": units[column.name]})
                    if column.name in units
                    else column
                    for column in table.schema
                ],
                about,
            )
            writer = ParquetWriter(file, schema)
        writer.write_table(table.cast(schema))
    if writer is not None:
        writer.close()


def _array(values: Any) -> Any:
    """A column of one type; what is of several, or beyond 64 bits, is text."""
    import pyarrow as pa

    try:
        return pa.array(values)
    except UnicodeEncodeError:
        return pa.array([_encodable(value) for value in values])
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        return pa.array([None if value is None else str(value) for value in values])


def _encodable(value: Any) -> Any:
    """Text that is UTF-8: a surrogate, which is none, is spelled out."""
    if not isinstance(value, str):
        return value
    return value.encode("utf-8", "backslashreplace").decode()


FORMAT = Format(
    "parquet",
    ("parquet",),
    "data frames",
    "records",
    write,
    binary=True,
    package="pyarrow",
    extra="parquet",
)
