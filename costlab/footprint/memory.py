"""What a MODEL holds in memory: found by running a copy of it on shapes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import TYPE_CHECKING, Any, TypeVar

from costlab.costs.table import analyze
from costlab.errors import ChoiceError, CostlabError, ShapeError, TraceError
from costlab.footprint.alternatives import alternatives, blocks
from costlab.footprint.batches import Peak, peak_of
from costlab.footprint.fits import Alternative, Fits
from costlab.footprint.largest import largest
from costlab.footprint.result import Memory
from costlab.footprint.settings import (
    Settings,
    float_type,
    optimizer_bytes,
    optimizer_named,
    size_in_bytes,
)
from costlab.graph import Graph
from costlab.graph.op import Op, Shape
from costlab.graph.sizes import InputSize, Sizes
from costlab.models.arguments import sizes_of
from costlab.models.catalog_name import Named
from costlab.models.module import Held as HeldModule
from costlab.models.module import Made
from costlab.models.reference import Model, Run, reference, resolve

if TYPE_CHECKING:
    import torch
    from torch import nn

    from costlab.footprint.run import Held


_Found = TypeVar("_Found")


@dataclass(frozen=True)
class _Runnable:
    """A module, and what it is called with for the size of an input (None: as it is given)."""

    name: str
    module: nn.Module
    size: Shape | Sizes | None
    taken: Callable[[Shape | Sizes | None], tuple[tuple[Any, ...], dict[str, Any]]]
    part: str = ""
    """The submodule that is meant, if it is not the whole."""


def memory(
    model: Model,
    input_size: InputSize | None = None,
    *,
    training: bool = False,
    optimizer: str = "",
    dtype: str | torch.dtype = "",
    fits: str | int | None = None,
    round_to: int = 1,
    depth: int | None = None,
    inputs: Any = None,
    kwargs: dict[str, Any] | None = None,
    input_type: str | torch.dtype = "",
    real: bool = False,
    **choices: Any,
) -> Memory:
    """The bytes that a run of the model holds, and at most at once; exactly those of its tensors.

    ``model``, ``input_size``, ``inputs``, ``kwargs``, ``input_type``, ``real`` and ``choices`` are
    as in ``analyze``. ``training`` is a step: forward in training mode, and backward from the sum
    of the outputs, with the state of an ``optimizer``: ``"sgd"``, ``"momentum"``, ``"adam"`` or
    ``"adamw"``. ``dtype`` is the type of all floating-point numbers, such as ``"bfloat16"``.
    ``fits`` is a size of memory, such as ``"24G"``: the result is of the largest batch that fits.
    With ``round_to=512`` each piece of memory takes a multiple of 512 bytes, as CUDA's allocator
    gives it.

    Nothing is computed, unless ``real``, and the model is left as it was. Raises what ``analyze``
    raises, ``ChoiceError`` for what does not fit.
    """
    if optimizer and not training:
        raise ChoiceError("an optimizer works in training: give training=True, or --training")
    optimizer = optimizer_named(optimizer or "sgd") if training else ""
    size = None if fits is None else size_in_bytes(fits)
    float_dtype = str(float_type(dtype)).removeprefix("torch.") if dtype else ""
    if round_to < 1:
        raise ChoiceError(f"round_to is a number of bytes from 1, such as 512, not {round_to}")

    from costlab.footprint.run import held

    shape = None if input_size is None else sizes_of(input_size)
    run = Run(inputs, kwargs, input_type=input_type, real=real)
    runnable = _runnable(model, shape, run, choices)

    def of_run(shape: Shape | Sizes | None, dtype: str, checkpointed: bool) -> Held:
        args, named = runnable.taken(shape)
        return held(
            runnable.module,
            args,
            named,
            training=training,
            dtype=float_type(dtype) if dtype else None,
            real=real,
            block=round_to,
            checkpointed=checkpointed,
            part=runnable.part,
        )

    def memory_of(held: Held, settings: Settings) -> Memory:
        return Memory(
            runnable.name,
            held,
            held.input,
            training,
            settings.optimizer,
            settings.dtype,
            optimizer_bytes(settings.optimizer, held.learning) if training else 0,
            depth=depth,
            round_to=round_to,
        )

    settings = Settings(float_dtype, optimizer)
    try:
        first = of_run(runnable.size, float_dtype, False)
    except TraceError as error:
        how = {"inputs": inputs, "kwargs": kwargs, "input_type": input_type, "real": real}
        count = partial(analyze, model, input_size, training=training, **how, **choices)
        error.before = _rows_before(error, count)
        raise
    if size is None:
        return memory_of(first, settings)
    if runnable.size is None:
        raise ChoiceError("how large a batch fits needs the input's size: give input_size alone")
    sizes = runnable.size if isinstance(runnable.size, Sizes) else Sizes((runnable.size,))
    start = (*sizes.positional, *sizes.named.values())[0][0]

    @cache
    def of_batch(batch: int, dtype: str, checkpointed: bool) -> Held:
        if (batch, dtype, checkpointed) == (start, float_dtype, False):
            return first
        try:
            return of_run(sizes_of(replace(sizes, batch=batch)), dtype, checkpointed)
        except CostlabError as error:
            if batch == start:
                raise
            raise ChoiceError(
                f"the batch of {runnable.name} is fixed by its code: it runs with {start}, and "
                f"with {batch} {error}"
            ) from error

    def at(batch: int, settings: Settings) -> Memory:
        return memory_of(of_batch(batch, settings.dtype, settings.checkpointed), settings)

    has_blocks = any(True for _ in blocks(runnable.module))
    others = alternatives(settings, training, has_blocks)
    return _largest(runnable.name, at, settings, others, size, start)


def _rows_before(error: TraceError, count: Callable[[], Any]) -> Graph | None:
    """The layers before an error, if a count of costs fails at the same place."""
    try:
        count()
    except TraceError as of_costs:
        places = [str(one).partition(" cannot be run")[0] for one in (error, of_costs)]
        return of_costs.before if places[0] == places[1] else None
    except CostlabError:
        pass
    return None


def _largest(
    name: str,
    at: Callable[[int, Settings], Memory],
    settings: Settings,
    others: dict[str, Settings],
    size: int,
    start: int,
) -> Memory:
    """The memory of the largest batch that fits, and what larger ones other settings let fit."""

    def peak_at(batch: int, settings: Settings) -> int:
        return at(batch, settings).peak_bytes

    def fitting(settings: Settings, start: int) -> tuple[int, Peak | None]:
        formula = _formula(lambda batch: at(batch, settings), start)
        batch = formula.largest(size) if formula else None
        if formula and batch:
            peaks = [peak_at(batch, settings), peak_at(batch + 1, settings)]
            by_formula = [formula.at(batch), formula.at(batch + 1)]
            if peaks == by_formula and peaks[0] <= size < peaks[1]:
                return batch, formula
        return largest(lambda batch: peak_at(batch, settings), size, start), None

    batch, formula = fitting(settings, start)
    if not batch:
        least = peak_at(1, settings)
        instead = "; ".join(
            f"with {what} {peak:,}"
            for what, other in others.items()
            if (peak := _if_it_runs(partial(peak_at, 1, other)))
        )
        raise ChoiceError(
            f"{name} does not fit into {size:,} bytes: with batch 1 it takes "
            f"{least:,}, {least - size:,} too many" + (f" ({instead})" if instead else "")
        )
    more = []
    for what, other in others.items():
        larger, _ = _if_it_runs(partial(fitting, other, batch)) or (0, None)
        if larger:
            more.append(Alternative(what, larger, peak_at(larger, other)))
    peaks = peak_at(batch, settings), peak_at(batch + 1, settings)
    fits = Fits(size, batch, *peaks, tuple(more), formula)
    return replace(at(batch, settings), fits=fits)


def _formula(at: Callable[[int], Memory], start: int) -> Peak | None:
    """The peak by the batch, from two runs; None where that cannot be said."""
    first = at(start)
    if first.round_to > 1:  # what is rounded up grows in steps
        return None
    second = at(start + 1)
    beside = [one.peak_bytes - one.timeline.peak for one in (first, second)]
    return peak_of(first.timeline, second.timeline, start, (beside[0], beside[1]))


def _if_it_runs(found: Callable[[], _Found]) -> _Found | None:
    """What is found with other settings; None for those that the model cannot be run with."""
    try:
        return found()
    except CostlabError:
        return None


def _runnable(
    model: Model, shape: Shape | Sizes | None, run: Run, choices: dict[str, Any]
) -> _Runnable:
    """The module that MODEL means. Raises a ``CostlabError`` for one that cannot be run."""
    known = reference(model)
    if isinstance(known, HeldModule):
        if choices:
            raise ChoiceError("a module takes no choices: give them where it is made")
        return _of_module(type(known.module).__name__, known.module, shape, run)
    if isinstance(known, Made):
        part = known.part.strip("/").replace("/", ".")
        module = known.module(choices)
        runnable = _of_module(known.text, module, *known.sized(module, shape, run))
        return replace(runnable, part=part)
    graph = resolve(known, shape, run, **choices).graph
    if any(type(layer.op).module is Op.module for layer in graph.layers):
        raise ChoiceError(
            f"{graph.name} is a saved report, which cannot be run: give the model that it was "
            "made from"
        )
    if isinstance(known, Named) and (shape is None or isinstance(shape, Sizes)):
        shape = resolve(known._replace(part=""), shape, **choices).graph.inputs[0]
    import torch

    from costlab.modules.block import built_module

    with torch.device("meta"):
        network = built_module(graph)

    def taken(size: Shape | Sizes | None) -> tuple[tuple[Any, ...], dict[str, Any]]:
        sized = graph if size == shape else resolve(known, size, run, **choices).graph
        return tuple(torch.empty(one, device="meta") for one in sized.inputs), {}

    return _Runnable(graph.name, network, shape, taken)


def _of_module(name: str, module: nn.Module, shape: Shape | Sizes | None, run: Run) -> _Runnable:
    from costlab.trace.given import given_to
    from costlab.trace.misfits import taken_by

    def taken(size: Shape | Sizes | None) -> tuple[tuple[Any, ...], dict[str, Any]]:
        parameters, takes = module.parameters(), partial(taken_by, module)
        return given_to(name, parameters, size, run.input_type, run.inputs, run.kwargs, takes=takes)

    if shape == ():
        raise ShapeError("the input has no dimension: give its size, the batch first")
    return _Runnable(name, module, shape, taken)
