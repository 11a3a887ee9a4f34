"""The parameters of a module, by module: what can be said without an input."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from costlab import formatting
from costlab.costs.columns import share_of
from costlab.costs.layout import Layout
from costlab.costs.quantities import quantity_named
from costlab.costs.quantity import Quantity
from costlab.costs.remarks import trained
from costlab.costs.rows import rows_of
from costlab.costs.table import CostTable
from costlab.errors import ChoiceError, ShapeError
from costlab.graph import DType, Graph, Layer, Value
from costlab.models.git_revision import Revised
from costlab.models.module import Held, Made, owner_of
from costlab.models.reference import Model, Reference, reference
from costlab.ops.uncounted import Uncounted
from costlab.render.document import Document, Paragraph

if TYPE_CHECKING:
    from torch import nn

_QUANTITIES = ("params", "trainable", "frozen")
_KNOWN = ("layer", "class", *_QUANTITIES, *map(share_of, _QUANTITIES))


@dataclass(frozen=True)
class ParamLayout(Layout):
    """The layout of a table of parameters, which has nothing of what is computed."""

    columns: tuple[str, ...] = ("layer", "class", "params", "params_share", "trainable")

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in (*self.columns, *filter(None, [self.sort])):
            if name not in _KNOWN:
                raise ChoiceError(
                    f"without an input {name} is not known, only {', '.join(_KNOWN)}: "
                    "give an input size (--input-size)"
                )

    @property
    def quantity(self) -> Quantity:
        return quantity_named(self.sort or "params")


@dataclass(frozen=True, repr=False)
class ParamTable(CostTable):
    """The parameters of a module that has not been run: what it computes is not known."""

    layout: Layout = ParamLayout()
    takes: str = ""
    """What its forward takes, in words."""

    def laid_out(self, **how: Any) -> CostTable:
        usual = [
            name
            for name in self.layout.columns
            if name != "class" or how.get("by", "path") == "path"
        ]
        how["columns"] = how.get("columns") or tuple(usual)
        return super().laid_out(**how)

    def headline(self) -> str:
        return f"{self.model}: {formatting.both(self.total.params, 'params')}"

    def document(self) -> Document:
        total = self.total
        several = f" ({self.takes}: one for each)" if ", " in self.takes else ""
        return (
            Paragraph(self.model, "title"),
            *([Paragraph(self.graph.about)] if self.graph.about else []),
            Paragraph("Parameters only: without an input it is not known what is computed."),
            self.table(),
            Paragraph(
                f"{formatting.both(total.params, 'params')}{trained(total)}. "
                f"For multiply-adds give the shape of the input{several}, the batch first, "
                "such as --input-size 1,3,224,224."
            ),
        )

    def data(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "total": {name: getattr(self.total, name, None) for name in ("params", "frozen")}
            | {"trainable": self.total.params - self.total.frozen},
            "rows": [
                {"path": part.path, "class": self.graph.class_of(part.path)}
                | {name: self.value(name, part) for name in _QUANTITIES}
                for part in self.exported()
            ],
            "complete": False,
        }


def parameters(model: Model, **choices: Any) -> ParamTable:
    """The parameters of an ``nn.Module`` or of Python code, without an input.

    Raises ``ChoiceError`` for a model that has its input, and what ``analyze`` raises.
    """
    known = reference(model)
    if isinstance(known, Revised):
        with known.there() as named:
            graph, takes = _parameters_of(known.model, choices)
            graph = named(graph)
    else:
        graph, takes = _parameters_of(known, choices)
    return ParamTable(graph, rows_of(graph), takes=takes)


def _parameters_of(known: Reference, choices: dict[str, Any]) -> tuple[Graph, str]:
    """The parameters, and what the whole module takes when it is called."""
    from costlab.trace.misfits import taken_by  # needs torch

    if isinstance(known, Made):
        module = owner_of(known.made(choices, weightless=True))
        name, part = known.whole, known.part
    elif isinstance(known, Held) and not choices:
        module, name, part = known.module, type(known.module).__name__, ""
    else:
        raise ChoiceError("parameters are of an nn.Module or of Python code: use analyze")
    graph = _graph(module, name)
    return graph.part(part) if part else graph, taken_by(module)


def _graph(module: nn.Module, name: str) -> Graph:
    """A layer for each module that has parameters, of which nobody knows what it computes."""
    values: list[Value] = []
    layers: list[Layer] = []
    kinds = {path: type(inside).__name__ for path, inside in module.named_modules()}
    for path, tensors in _owners(module):
        first = len(values)
        for full_name, tensor in tensors:
            size = tensor.element_size()
            dtype = DType(str(tensor.dtype).removeprefix("torch."), size)
            frozen = not tensor.requires_grad
            values.append(
                Value(tuple(tensor.shape), dtype, "parameter", full_name, detached=frozen)
            )
        weights = tuple(range(first, len(values)))
        values.append(Value((0,)))
        op = Uncounted(kinds.get(path, "parameter"), (0,))
        layers.append(Layer(path, op, (), (), (0,), weights, (len(values) - 1,)))
    return Graph(
        name,
        tuple(values),
        tuple(layers),
        tuple(layer.results[0] for layer in layers[-1:]),
        classes=kinds,
    )


def _owners(module: nn.Module) -> Iterator[tuple[str, list[tuple[str, Any]]]]:
    """Paths and parameters: a module's own together, or each by itself if it has modules in it.

    A tensor that several modules have is of the first.
    """
    from torch.nn.parameter import is_lazy

    owners: dict[str, list[tuple[str, Any]]] = {}
    leaves = {path for path, inside in module.named_modules() if not inside._modules}
    for name, tensor in module.named_parameters():
        if is_lazy(tensor):
            raise ShapeError(f"{name} has no shape before it sees an input: give --input-size")
        owner = name.rpartition(".")[0]
        owners.setdefault(owner if owner and owner in leaves else name, []).append((name, tensor))
    yield from owners.items()
