"""A timing that was saved as JSON, held against one that was just made."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from costlab import formatting
from costlab.errors import ReportError, unreadable
from costlab.user_files import text_of

if TYPE_CHECKING:
    from costlab.timing.result import Timing


def saved_timing(path: Path) -> dict[str, Any]:
    """The data of a file that ``costlab time --format json`` wrote. Raises ``ReportError``."""
    try:
        data = json.loads(text_of(path))
        for model in data["models"]:
            _ = model["model"], (model["low_ns"] + model["high_ns"]) / model["median_ns"]
        _ = data["machine"], data["threads"], data["on"], data["versions"]["torch"]
    except (OSError, UnicodeDecodeError) as error:
        raise ReportError(unreadable(path, error)) from None
    except (ValueError, KeyError, TypeError, ZeroDivisionError):
        raise ReportError(
            f"{path} has no times: give a file that costlab time --format json wrote"
        ) from None
    return {"file": str(path), **data}


def since(saved: dict[str, Any], now: Timing) -> Iterator[str]:
    """How times have changed, model by model, and what else has."""
    old = {model["model"]: model for model in saved["models"]}
    for timed in now.timed:
        then = old.get(timed.model)
        if then is None:
            yield f"{timed.model} is not in {saved['file']}."
            continue
        shapes = [list(shape) for shape in timed.inputs]
        if (before := then.get("input", shapes)) != shapes:
            yield (
                f"Not the same input of {timed.model}: {formatting.shapes(before)} then, "
                f"{formatting.shapes(shapes)} now."
            )
        if (macs := then.get("macs", timed.macs)) != timed.macs:
            yield f"Not the same MACs of {timed.model}: {macs:,} then, {timed.macs:,} now."
        median, low, high = (value * 10**9 for value in timed.time)
        apart = low > then["high_ns"] or high < then["low_ns"]
        yield (
            f"{timed.model} takes {median / then['median_ns']:,.2f} times what it took in "
            f"{saved['file']}; the intervals {'are apart' if apart else 'overlap'}."
        )
    names = dict.fromkeys((*saved["versions"], *now.versions))
    changed = (
        ("machine", saved["machine"], now.machine),
        *((name, saved["versions"].get(name), now.versions.get(name)) for name in names),
        ("threads", saved["threads"], now.threads),
        ("place", saved["on"], now.on),
    )
    for name, before, after in changed:
        if before and after and before != after:
            yield f"Not the same {name}: {before} then, {after} now."
