"""MODEL as a saved report: the JSON of a cost table, back as a graph."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from costlab.errors import ReportError
from costlab.graph import Graph, Layer
from costlab.graph.opcount import Contraction, OpCount
from costlab.ops.recorded import Recorded

_COUNTED = ("macs", "mul", "add", "cmp", "div", "special")


def load(path: str) -> Graph:
    """The table in a JSON report of ``costlab show``, named by its file.

    Raises ``ReportError`` if it is not there or not such a report.
    """
    import json

    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ReportError(f"cannot read {path}: {error}") from None
    except json.JSONDecodeError as error:
        raise ReportError(f"{path} is not valid JSON: {error}") from None
    try:
        if data["schema"] != 1:
            raise ReportError(f"{path} has schema {data['schema']}, this costlab reads 1")
        layers = tuple(_layer(row) for row in data["rows"])
        graph = Graph(
            name=Path(path).stem,
            inputs=tuple(tuple(shape) for shape in data["input"]),
            layers=layers,
            returns=tuple(
                _maker(layers, tuple(shape), len(data["input"])) for shape in data["output"]
            ),
            unused=tuple((each["name"], int(each["params"])) for each in data.get("unused", ())),
            about=f"{data['model']}, as saved in {path} by costlab {data['costlab']}",
        )
    except (KeyError, TypeError, ValueError, IndexError):
        raise ReportError(
            f"{path} is no report of a model: write one with costlab show MODEL -o {path}"
        ) from None
    return graph


def _layer(row: dict[str, Any]) -> Layer:
    count = None
    if row["macs"] is not None:
        count = OpCount(*(int(row[name]) for name in _COUNTED))
    output = tuple(row["output"][0])
    op = Recorded(
        row["op"] or "scope",
        row["kernel"],
        output,
        count,
        _contraction(row),
        int(row["activations"]),
    )
    inputs = tuple(tuple(shape) for shape in row["input"])
    return Layer(row["path"], op, (), inputs, output, int(row["params"]))


def _contraction(row: dict[str, Any]) -> Contraction | None:
    """The factors, parted where the derivation parts them."""
    if not row.get("factors"):
        return None
    names, values = zip(*row["factors"], strict=True)
    last = row["derivation"].rpartition("·(")[2] if row["derivation"].endswith(")") else ""
    inner = last.count("·") + 1
    return Contraction(
        tuple(values[:-inner]),
        tuple(values[-inner:]),
        (tuple(names[:-inner]), tuple(names[-inner:])),
    )


def _maker(layers: tuple[Layer, ...], shape: tuple[int, ...], first: int) -> int:
    """The last layer that gives this shape."""
    return first + max(i for i, layer in enumerate(layers) if layer.output == shape)
