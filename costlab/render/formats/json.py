"""JSON, the format of record: integers, sorted keys, stable bytes."""

from __future__ import annotations

import re

from costlab.render.document import Showable
from costlab.render.format import Format, Screen, writing
from costlab.version import __version__

SCHEMA = 2
"""The version of the keys and their meaning (docs/json.md); saved reports are read by it."""

_UNPRINTABLE = "[\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff]"
"""What json leaves as it is, and what can steer a terminal or cannot be written in UTF-8."""


def _text(result: Showable, screen: Screen) -> str:
    """The result's data with the schema, the version of costlab and the units."""
    import json  # where it is needed: a first answer does not wait for it

    record = {
        "schema": SCHEMA,
        "costlab": __version__,
        "units": list(result.units().definitions),
        **result.data(),
    }
    if screen.made:
        record["made"] = screen.made._asdict()
    text = json.dumps(record, indent=2, sort_keys=True, ensure_ascii=False)
    return re.sub(_UNPRINTABLE, lambda match: json.dumps(match[0])[1:-1], text) + "\n"


FORMAT = Format("json", ("json",), "programs", "data", writing(_text))
