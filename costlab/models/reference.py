"""MODEL: what a user names or holds, read once, and then made into a network.

Each file of this folder that has a ``FRONTEND`` is one kind of MODEL: a name of the catalog, Python
code, a module, a graph, a saved report.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from functools import cache, partial
from importlib import import_module
from operator import attrgetter
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, TypeAlias

from costlab import models
from costlab.errors import BatchError, ChoiceError, CostlabError, TraceError, blaming
from costlab.graph import Graph
from costlab.graph.op import Shape
from costlab.graph.sizes import InputSize, Sizes

if TYPE_CHECKING:
    from torch import nn

    from costlab.symbols.assumptions import Assumptions
    from costlab.trace.given import InputType
    from costlab.trace.observation import Trace

Model: TypeAlias = "str | Graph | nn.Module | Callable[..., Any]"
"""What may be named as a model; a function is a method that is bound to a module."""

Accepts: TypeAlias = Literal["input size", "choices", "run", "no input"]
"""``"no input"`` is of what is run on its own input where none is given."""


@dataclass(frozen=True)
class Run:
    """How a module is run to see what it computes: see ``costlab.analyze``.

    ``observed`` notes also how each call is written, as comparisons with other tools need it.
    """

    inputs: Any = None
    kwargs: dict[str, Any] | None = None
    training: bool = False
    real: bool = False
    input_type: InputType = ""
    observed: bool = False
    gradients: bool = field(default=False, compare=False)
    """Whether to note where code cuts gradients."""
    method: str = "forward"
    symbolic: Assumptions | None = field(default=None, compare=False)
    """What is assumed of sizes that are symbols, where some may be."""


AS_PUBLISHED = Run()


class Network(NamedTuple):
    """The network of a MODEL: its graph, and the trace that gave it, if it was traced."""

    graph: Graph
    trace: Trace | None = None


class Reference(Protocol):
    """A MODEL as it was named; nothing has been built, imported or run for it yet."""

    @property
    def accepts(self) -> frozenset[Accepts]:
        """The arguments that may be given beside it."""

    def network(
        self, input_size: Shape | Sizes | None, run: Run, choices: dict[str, Any]
    ) -> Network:
        """The network; a ``run`` of its own is only given to one that accepts it.

        Raises a ``CostlabError`` that says what to do, of what it does not accept too.
        """


class Frontend(Protocol):
    """One kind of MODEL."""

    priority: int
    """When it is asked, from the lowest: what any text may be comes last. Kinds that read text each
    have one of their own."""
    about: str
    """What it is, and what is done with it, for help; ``""`` for what is no text."""
    grammar: tuple[str, ...]
    """How it is written, by examples, for help."""

    def read(self, model: object) -> Reference | None:
        """The MODEL as a reference, if it is of this kind.

        Raises a ``CostlabError`` for one that is meant to be, and is written wrongly.
        """


@cache
def frontends() -> tuple[Frontend, ...]:
    """All kinds of MODEL, in the order in which they are asked."""
    names = [module.name for module in iter_modules(models.__path__)]
    modules = [import_module(f"{models.__name__}.{name}") for name in names]
    kinds = [module.FRONTEND for module in modules if hasattr(module, "FRONTEND")]
    return tuple(sorted(kinds, key=attrgetter("priority")))


def is_read(model: object) -> bool:
    """Whether it is a MODEL of some kind; programs can be called, and are no functions."""
    return any(frontend.read(model) is not None for frontend in frontends())


def reference(model: object) -> Reference:
    """What a MODEL refers to. Raises ``ChoiceError`` for what is none."""
    for frontend in frontends():
        if (known := frontend.read(model)) is not None:
            return known
    kind = f"the class {model.__name__}" if isinstance(model, type) else type(model).__name__
    if isinstance(model, type) and any(
        base.__module__.startswith("torch.nn") for base in model.__mro__
    ):
        raise ChoiceError(f"a model is a module, not {kind}: make one, {model.__name__}()")
    raise ChoiceError(
        f"a model is the name of an architecture, an nn.Module or a Graph, not {kind}; "
        "costlab.architectures() has the names"
    )


def require(*written: str) -> None:
    """Raises what is wrong with MODELs as they are written: no code and no torch is imported."""
    for model in written:
        with blaming(model if len(written) > 1 else ""):
            getattr(reference(model), "require", lambda: None)()


def resolve(
    model: Model | Reference,
    input_size: InputSize | None = None,
    run: Run = AS_PUBLISHED,
    **choices: Any,
) -> Network:
    """The network that ``model`` names or holds.

    ``run`` says how a module is run, ``choices`` are further choices, as keyword arguments. Raises
    ``UnknownNameError``, ``ChoiceError``, ``ShapeError``; for code ``CodeError``, ``TraceError``;
    for a saved report ``ReportError``.
    """
    from costlab.models.arguments import sizes_of

    known: Any = model if hasattr(type(model), "accepts") else reference(model)
    if "run" not in known.accepts and run not in (AS_PUBLISHED, Run(observed=True)):
        usual = Run(observed=run.observed)
        given = [
            f.name.replace("_", " ")
            for f in fields(Run)
            if getattr(run, f.name) != getattr(usual, f.name)
        ]
        verb = "is" if len(given) == 1 else "are"
        raise ChoiceError(f"{' and '.join(given)} {verb} for an nn.Module or Python code")
    size = None if input_size is None else sizes_of(input_size)
    try:
        network: Network = known.network(size, run, choices)
    except TraceError as error:
        without: Any = partial(known.network, run=run, choices=choices)
        if isinstance(input_size, Sizes) and (fixed := _of_batch(input_size, error, without)):
            raise fixed from error
        raise
    return network


def _of_batch(
    asked: Sizes, error: TraceError, run: Callable[[Shape | Sizes | None], Network]
) -> BatchError | None:
    """That the batch which is asked is the reason for an error, if it runs without it."""
    from costlab.models.arguments import sizes_of

    if asked.batch is None:
        return None
    own = sizes_of(replace(asked, batch=None)) if asked.positional or asked.named else None
    try:
        graph = run(own).graph
    except CostlabError:
        return None
    return BatchError(graph.name, graph.inputs[0][0], asked.batch, error)
