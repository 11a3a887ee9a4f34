"""JSON, the format of record: integers, sorted keys, stable bytes."""

from __future__ import annotations

import json
from typing import Any

from costlab.render.document import Showable
from costlab.version import __version__

SCHEMA = 2


def render(result: Showable, **style: Any) -> str:
    """The result's data with the schema, the version of costlab and the units."""
    record = {
        "schema": SCHEMA,
        "costlab": __version__,
        "units": list(result.units().definitions),
        **result.data(),
    }
    return json.dumps(record, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
