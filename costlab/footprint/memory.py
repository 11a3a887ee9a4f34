"""What a MODEL holds in memory: found by running a copy of it on shapes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from costlab.costs.of_runs import optimizer_named
from costlab.costs.table import analyze
from costlab.errors import BatchError, ChoiceError, CostlabError, TraceError
from costlab.footprint.alternatives import alternatives, blocks
from costlab.footprint.fitting import Fitting
from costlab.footprint.result import Memory
from costlab.footprint.runnable import Runnable, runnable
from costlab.footprint.settings import (
    How,
    Settings,
    float_type,
    optimizer_bytes,
    size_in_bytes,
)
from costlab.graph.sizes import InputSize, Sizes
from costlab.models.arguments import sizes_of
from costlab.models.reference import Model, Run

if TYPE_CHECKING:
    import torch

    from costlab.footprint.run import Held


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
    shape = None if input_size is None else sizes_of(input_size)
    run = Run(inputs, kwargs, input_type=input_type, real=real)
    subject = runnable(model, shape, run, choices)
    runs = _Runs(subject, How(training, real=real, block=round_to, part=subject.part), depth)
    settings = Settings(float_dtype, optimizer)
    try:
        memory = runs.memory(settings)
    except TraceError as error:
        given = {"inputs": inputs, "kwargs": kwargs, "input_type": input_type, "real": real}
        count = partial(analyze, model, input_size, training=training, **given, **choices)
        if told := _as_told_of_costs(error, count):
            raise told from error
        raise
    if size is None:
        return memory
    has_blocks = any(True for _ in blocks(subject.module))
    others = alternatives(settings, training, has_blocks)
    fitting = Fitting(subject.name, runs.of_batch, size)
    return fitting.largest(settings, others, runs.first_batch)


class _Runs:
    """Runs of one module, and what they say of its memory; what has been run is not run again."""

    def __init__(self, subject: Runnable, how: How, depth: int | None) -> None:
        self._subject = subject
        self._how = how
        self._depth = depth
        self._held: dict[tuple[int | None, str, bool], Held] = {}
        """By the batch, the type of numbers, and whether blocks are checkpointed."""

    def memory(self, settings: Settings, batch: int | None = None) -> Memory:
        """What a run holds; without a batch that of the size that is given."""
        held, how = self._run(settings, batch), self._how
        state = optimizer_bytes(settings.optimizer, held.learning) if how.training else 0
        return Memory(
            self._subject.name,
            held,
            held.input,
            how.training,
            settings.optimizer,
            settings.dtype,
            state,
            depth=self._depth,
            round_to=how.block,
        )

    @cached_property
    def first_batch(self) -> int:
        """The batch of the size, or of the inputs, that are given.

        Raises ``ChoiceError`` if these share no first dimension.
        """
        size = self._subject.size
        if size is None:
            from costlab.footprint.given import batch_of

            return batch_of(self._subject.name, self._subject.taken(None))
        sizes = _several(size)
        first: int = (*sizes.positional, *sizes.named.values())[0][0]
        return first

    def of_batch(self, batch: int, settings: Settings) -> Memory:
        """What a run of that batch holds. Raises ``BatchError`` if the code has its own."""
        if batch == self.first_batch:
            return self.memory(settings)
        try:
            return self.memory(settings, batch)
        except CostlabError as error:
            raise BatchError(self._subject.name, self.first_batch, batch, error) from error

    def _run(self, settings: Settings, batch: int | None) -> Held:
        from costlab.footprint.run import held

        key = (batch, settings.dtype, settings.checkpointed)
        if key not in self._held:
            dtype = float_type(settings.dtype) if settings.dtype else None
            how = self._how._replace(dtype=dtype, checkpointed=settings.checkpointed)
            self._held[key] = held(self._subject.module, *self._taken(batch), how)
        return self._held[key]

    def _taken(self, batch: int | None) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """What the module is called with, with that batch if one is said."""
        size = self._subject.size
        if batch is None or size is not None:
            sized = size if batch is None else sizes_of(replace(_several(size), batch=batch))
            return self._subject.taken(sized)
        from costlab.footprint.given import with_batch

        args, kwargs = with_batch(self._subject.taken(None), batch, self._how.real)
        return args, kwargs


def _several(size: Any) -> Sizes:
    return size if isinstance(size, Sizes) else Sizes((size,))


def _as_told_of_costs(error: TraceError, count: Callable[[], Any]) -> TraceError | None:
    """The error of a count of costs, if it is at the same place: it says what does not fit.

    It has the layers before it, too. That the code has its own batch says all.
    """
    try:
        count()
    except BatchError as of_batch:
        return of_batch
    except TraceError as of_costs:
        places = [str(problem).partition(" cannot be run")[0] for problem in (error, of_costs)]
        return of_costs if places[0] == places[1] else None
    except CostlabError:
        pass
    return None
