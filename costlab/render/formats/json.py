"""JSON, the format of record: integers, sorted keys, stable bytes."""

from __future__ import annotations

from costlab.render.document import Showable
from costlab.render.format import Format, Screen, writing
from costlab.version import __version__

SCHEMA = 2
"""The version of the keys and their meaning (docs/json.md); saved reports are read by it."""


def _text(result: Showable, screen: Screen) -> str:
    """The result's data with the schema, the version of costlab and the units."""
    import json  # where it is needed: a first answer does not wait for it

    record = {
        "schema": SCHEMA,
        "costlab": __version__,
        "units": list(result.units().definitions),
        **result.data(),
    }
    return json.dumps(record, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


FORMAT = Format("json", ("json",), "programs", "data", writing(_text))
