"""A graph from the JSON of a saved report.

Costs are as they were written, whatever the rules say today.
"""

from __future__ import annotations

from collections import Counter
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any, get_args

from costlab import formatting, ops
from costlab.errors import CostlabError, ReportError, misread, unreadable, words_of
from costlab.graph import DType, Graph, Layer, Value
from costlab.graph.network import Checkpoint, Decision
from costlab.graph.op import Keeps, Op, Shape
from costlab.graph.opcount import Contraction, Gradient, GradientScalars, OpCount, Positions
from costlab.ops.recorded import Recorded
from costlab.render.formats.json import SCHEMA
from costlab.user_files import text_of

MOST_NESTED = 200
"""How many scopes may be inside of each other: what reads them does so by recursion."""


def load_report(path: str) -> Graph:
    """The graph in a JSON report of ``costlab show``, named by its file.

    Raises ``ReportError`` if it is not there or not such a report.
    """
    import json

    try:
        data = json.loads(text_of(path))
    except (OSError, UnicodeDecodeError) as error:
        reason = unreadable(path, error)
        if isinstance(error, FileNotFoundError) and "did you mean" not in reason:
            reason += f" (costlab show MODEL -o {path} writes a report)"
        raise ReportError(reason) from None
    except (ValueError, RecursionError) as error:
        raise ReportError(f"{path} is not valid JSON: {misread(error)}") from None
    try:
        if "below_bound" in data:
            raise ReportError(
                f"{path} has times, of costlab time, and is no MODEL: costlab time MODEL --against "
                f"{path} compares with them"
            )
        if "models" in data:
            raise ReportError(
                f"{path} is of several models, as costlab compare and check write them: a MODEL is "
                "one that costlab show -o FILE.json wrote"
            )
        schema = data["schema"]
        if schema not in (1, SCHEMA):
            raise ReportError(f"{path} has schema {schema}, this costlab reads 1 and {SCHEMA}")
        about = f"{data['model']}, as saved in {path} by costlab {data['costlab']}"
        graph = (_unconnected if schema == 1 else _graph)(Path(path).stem, about, data)
        graph.check()
    except (
        *(KeyError, TypeError, ValueError, IndexError, AttributeError, AssertionError),
        *(ZeroDivisionError, OverflowError),
    ) as error:
        raise ReportError(f"{path} is no whole report of costlab show: {_wrong(error)}") from None
    return graph


def _wrong(error: Exception) -> str:
    """What is wrong with a report, by the error of reading it."""
    if isinstance(error, KeyError) and error.args[0] == "graph":
        return "it has no 'graph': was it written by another command, or without an input?"
    if isinstance(error, KeyError):
        return f"it has no {error.args[0]!r}"
    if isinstance(error, (ValueError, AssertionError)):
        return words_of(error)[:300]
    return "something in it is of the wrong kind"


def _graph(name: str, about: str, data: dict[str, Any]) -> Graph:
    saved = data["graph"]
    return Graph(
        name,
        tuple(
            Value(
                _numbers(value["shape"]),
                DType(str(value["dtype"]), _number(value["itemsize"])),
                _kind(value["kind"]),
                str(value["name"]),
                None if value["shares"] is None else _number(value["shares"]),
                bool(value.get("detached", value["kind"] == "input")),  # older reports
            )
            for value in saved["values"]
        ),
        tuple(map(_layer, saved["layers"])),
        _numbers(saved["returns"]),
        about,
        connected=bool(saved["connected"]),
        real=bool(data.get("real")),
        decisions=tuple(
            Decision(
                str(decision["question"]),
                str(decision["where"]),
                tuple(map(str, decision["inputs"])),
            )
            for decision in data.get("decided", ())
        ),
        classes={str(known["path"]): str(known["class"]) for known in saved.get("classes", ())},
    )


def _layer(saved: dict[str, Any]) -> Layer:
    output = _numbers(saved["output"])
    count = saved["count"]
    op = Recorded(
        str(saved["op"]),
        str(saved["detail"]),
        output,
        _count(count),
        _contraction(saved) if saved["outer"] or saved["inner"] else None,
        _number(saved["activations"]),
        str(saved["kind"]),
        tuple((str(key), _plain(value)) for key, value in saved["attributes"].items()),
        _read_gradients(saved.get("gradients")),
        _kept(saved.get("keeps", "result")),
        _read_scalars(saved.get("gradient_scalars")),
        bool(saved.get("takes_part", False)),
        bool(saved.get("joins_results", False)),
    )
    layer = Layer(
        _path(saved["path"]),
        op,
        _numbers(saved["operands"]),
        tuple(map(_numbers, saved["input"])),
        output,
        _numbers(saved["weights"]),
        _numbers(saved["results"]),
        checkpoint=_checkpoint(saved.get("checkpoint")),
    )
    _require_possible(layer, op)
    return layer


def _require_possible(layer: Layer, op: Recorded) -> None:
    """Raises ``ValueError`` for an operation that cannot be what its attributes say.

    Or whose multiply-adds are not the product of their factors.
    """
    shapes = formatting.shapes(layer.inputs)
    if op.count is not None and op.factors is not None and op.factors.macs != op.count.macs:
        raise ValueError(f"{layer.path} has {op.count.macs} macs, and factors of another product")
    kind = _operations().get(op.kind)
    if kind is None:
        return
    try:
        known = kind(**dict(op.attributes))
    except TypeError:  # an operation of another costlab has other attributes
        return
    try:
        problems = [problem for holds, problem in known.conditions(*layer.inputs) if not holds]
        output = layer.output if problems else known.output(*layer.inputs)
    except (CostlabError, TypeError, ValueError, IndexError, ArithmeticError):
        problems, output = ["its attributes do not fit"], layer.output
    if problems:
        raise ValueError(f"{layer.path}, {op.what} {op.window} on {shapes}: {problems[0]}")
    if output != layer.output:
        given, expected = formatting.shape(layer.output), formatting.shape(output)
        raise ValueError(
            f"{layer.path}, {op.what} {op.window} on {shapes} gives {given}, not {expected}"
        )


@cache
def _operations() -> dict[str, type[Op]]:
    """The operations that are known by one name each."""
    rooms = [room.name for room in iter_modules(ops.__path__)]
    modules = [
        import_module(f"{ops.__name__}.{room}") for room in rooms if room != "apply"
    ]  # torch
    kinds = {
        kind
        for module in modules
        for kind in vars(module).values()
        if isinstance(kind, type)
        and issubclass(kind, Op)
        and isinstance(kind.__dict__.get("name"), str)
    }
    names = Counter(kind.name for kind in kinds)
    return {kind.name: kind for kind in kinds if names[kind.name] == 1}


def _contraction(saved: dict[str, Any]) -> Contraction:
    (names_outside, factors_outside), (names_inside, factors_inside) = (
        _factors(saved["outer"]),
        _factors(saved["inner"]),
    )
    return Contraction(factors_outside, factors_inside, (names_outside, names_inside))


def _kept(text: Any) -> Any:
    if text not in get_args(Keeps):
        raise ValueError(f"{text!r} is nothing that an operation keeps")
    return text


def _checkpoint(saved: dict[str, Any] | None) -> Checkpoint | None:
    if saved is None:
        return None
    return Checkpoint(_number(saved["number"]), bool(saved["whole"]))


def _read_gradients(saved: list[dict[str, Any]] | None) -> tuple[Gradient, ...] | None:
    if saved is None:
        return None
    return tuple(Gradient(_contraction(gradient), *_positions(gradient)) for gradient in saved)


def _read_scalars(saved: list[dict[str, Any]] | None) -> tuple[GradientScalars, ...] | None:
    if saved is None:
        return None
    return tuple(
        GradientScalars(_count(gradient["count"]), *_positions(gradient)) for gradient in saved
    )


def _positions(saved: dict[str, Any]) -> tuple[Positions, Positions, Positions]:
    results = saved.get("results")
    operands, weights = _numbers(saved["operands"]), _numbers(saved["weights"])
    return operands, weights, None if results is None else _numbers(results)


def _count(saved: dict[str, Any] | None) -> OpCount | None:
    return None if saved is None else OpCount(**{key: _number(n) for key, n in saved.items()})


def _unconnected(name: str, about: str, data: dict[str, Any]) -> Graph:
    """The graph of schema 1, which has a table's rows and does not say what they take."""
    values = [Value(_numbers(shape), kind="input") for shape in data["input"]]
    layers = []
    for row in data["rows"]:
        path, (output, *_) = _path(row["path"]), map(_numbers, row["output"])
        weights: tuple[int, ...] = ()
        if params := _number(row["params"]):
            weights = (len(values),)
            values.append(Value((params,), kind="parameter", name=f"{path}.params"))
        count = None
        if row["macs"] is not None:
            count = OpCount(*(_number(row[key]) for key in OpCount._fields))
        values.append(Value(output))
        op = Recorded(
            row["op"] or "scope",
            str(row["kernel"]),
            output,
            count,
            _parted(row),
            _number(row["activations"]),
        )
        inputs = tuple(map(_numbers, row["input"]))
        layers.append(Layer(path, op, (), inputs, output, weights, (len(values) - 1,)))
    returns = tuple(_last(layers, _numbers(shape)) for shape in data["output"])
    for tensor in data.get("unused", ()):
        shape = (_number(tensor["params"]),)
        values.append(Value(shape, kind="parameter", name=str(tensor["name"])))
    return Graph(name, tuple(values), tuple(layers), returns, about, connected=False)


def _last(layers: list[Layer], shape: Shape) -> int:
    """The result of the last layer of that output shape: schema 1 does not say what is returned."""
    return next(layer.results[0] for layer in reversed(layers) if layer.output == shape)


def _parted(row: dict[str, Any]) -> Contraction | None:
    """The factors of schema 1, split into outer and inner ones where the derivation's text is."""
    if not row.get("factors"):
        return None
    names, values = _factors(row["factors"])
    last = row["derivation"].rpartition("·(")[2] if row["derivation"].endswith(")") else ""
    inner = last.count("·") + 1
    return Contraction(values[:-inner], values[-inner:], (names[:-inner], names[-inner:]))


def _factors(pairs: list[list[Any]]) -> tuple[tuple[str, ...], Shape]:
    """The names of factors, and the factors."""
    return tuple(str(name) for name, _ in pairs), tuple(_number(factor) for _, factor in pairs)


def _numbers(items: list[Any]) -> Shape:
    return tuple(map(_number, items))


def _number(item: Any) -> int:
    if type(item) is not int or item < 0:
        raise ValueError(f"{item!r} is no whole number from 0")
    return item


def _path(path: Any) -> str:
    if str(path).count(".") > MOST_NESTED:
        raise ValueError(f"a path in it has more than {MOST_NESTED} scopes")
    return str(path)


def _kind(text: Any) -> Any:
    if text not in ("input", "parameter", "buffer", "constant", "computed"):
        raise ValueError(f"{text!r} is no kind of value")
    return text


def _plain(value: Any) -> Any:
    """An attribute as the operation had it: JSON has lists for tuples."""
    return tuple(map(_plain, value)) if isinstance(value, list) else value
