"""JSON, the format of record: integers, sorted keys, stable bytes."""

from __future__ import annotations

import json
import re
from typing import Any

from costlab.render.document import Showable
from costlab.version import __version__

SCHEMA = 2

_UNPRINTABLE = re.compile("[\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff]")
"""What json leaves as it is, and what can steer a terminal or cannot be written in UTF-8."""


def render(result: Showable, **style: Any) -> str:
    """The result's data with the schema, the version of costlab and the units."""
    record = {
        "schema": SCHEMA,
        "costlab": __version__,
        "units": list(result.units().definitions),
        **result.data(),
    }
    text = json.dumps(record, indent=2, sort_keys=True, ensure_ascii=False)
    return _UNPRINTABLE.sub(lambda match: json.dumps(match[0])[1:-1], text) + "\n"
