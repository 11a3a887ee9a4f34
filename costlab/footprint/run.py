"""Runs a copy of a module on shapes, and follows what it holds."""

from __future__ import annotations

from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn

from costlab.errors import TraceError, said_of
from costlab.footprint.alternatives import checkpoint_blocks
from costlab.footprint.at_work import calls_noted
from costlab.footprint.beforehand import Beforehand, bytes_in
from costlab.footprint.beside import Beside, beside_of
from costlab.footprint.parts import part_of
from costlab.footprint.settings import How, rounded
from costlab.footprint.standins import StandIns
from costlab.footprint.timeline import Timeline
from costlab.footprint.watch import Watch
from costlab.gc_pause import no_collections
from costlab.isolation.module_state import let_train, untouched
from costlab.isolation.torch_globals import not_compiled
from costlab.isolation.turns import turn
from costlab.torch_private import FakeTensorMode
from costlab.trace import located_error
from costlab.trace.module_stack import Places
from costlab.trace.tensors import held as tensors_held
from costlab.trace.tensors import tensors

_Shapes: TypeAlias = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Held:
    """What a run held: what was there beforehand, what it made, and what learns, in bytes."""

    timeline: Timeline
    params: int
    buffers: int
    inputs: int
    learning: tuple[int, ...]
    """Of each parameter that has got a gradient."""
    input: _Shapes
    output: _Shapes
    """The shapes of what the network took and returned."""
    unseen: tuple[tuple[str, str], ...] = ()
    """The layers that make memory that is not seen, and why it is not."""
    beside: tuple[Beside, ...] = ()
    """What kernels take beside tensors."""
    params_not_read: int = 0
    """Of the bytes of params those that no operation reads."""
    bounds: frozenset[str] = frozenset()
    """Which of ``params``, ``buffers`` and ``inputs`` are known at least only."""


def held(
    module: nn.Module,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    how: How,
    standins: StandIns | None = None,
) -> Held:
    """What ``module(*args, **kwargs)`` holds while it runs; nothing that is given is changed.

    ``standins`` makes what stands for tensors, if that is something else than ``how`` says. Raises
    ``TraceError`` with the place where the code raised, or needs values.
    """
    with no_collections(), turn():  # what is done with is gone when they begin again
        module = getattr(module, "_orig_mod", module)  # what torch.compile wraps
        original = Places(module)  # which refuses what cannot be followed
        if original.lazy:
            raise TraceError("a parameter of a lazy module has no shape yet: run the module once")
        standins = standins or StandIns(how.real, how.dtype)
        own = [tensor for _, tensor in (*original.parameters.values(), *original.buffers.values())]
        copy, (args, kwargs) = standins.of(module, own, (args, kwargs))
        with untouched(original.modules, how.training, gradients=how.training):
            if how.part:
                copy, args, kwargs = part_of(copy, how.part, args, kwargs, how.training, standins)
            if how.checkpointed:
                checkpoint_blocks(copy)
            return _held(_Copy(Places(copy), copy, args, kwargs, standins), how)


class _Copy(NamedTuple):
    """What is run in place of a module: a copy of it and of what it is called with."""

    places: Places
    module: nn.Module
    args: Any
    kwargs: dict[str, Any]
    standins: StandIns


def _held(copy: _Copy, how: How) -> Held:
    """What a copy holds while it runs."""
    if not how.part:  # which is in the mode that the whole has put it in
        for module in copy.places.modules:
            module.__dict__["training"] = how.training
    params = [tensor for _, tensor in copy.places.parameters.values()]
    of_params = set(map(id, params))
    given = [
        tensor for tensor in tensors_held((copy.args, copy.kwargs)) if id(tensor) not in of_params
    ]
    shapes = tuple(tuple(tensor.shape) for tensor in given)
    del given  # which the run may let go of
    beforehand = Beforehand(copy.places, copy.standins, how.block)
    watch, output = _watched(copy, beforehand, how)
    for parameter in params:
        if parameter.grad is not None and (piece := watch.piece_of(parameter.grad)):
            piece.gradient = True
    beforehand.after(watch)
    watch.forget()
    there = beforehand.stayed
    return Held(
        _timeline(watch, beforehand, how.block),
        sum(piece.bytes for piece in there("params")),
        sum(piece.bytes for piece in there("buffers")),
        sum(piece.bytes for piece in there("inputs")),
        tuple(bytes_in(p, how.block) for p in params if p.grad is not None),
        shapes,
        output,
        tuple(dict.fromkeys((*beforehand.unseen, *watch.unseen))),
        beside_of(watch.beside),
        sum(piece.bytes for piece in there("params") if not piece.read_by),
        frozenset(kind for kind, _ in beforehand.without_memory),
    )


def _watched(copy: _Copy, beforehand: Beforehand, how: How) -> tuple[Watch, _Shapes]:
    """What was seen of a run, beside what was there, and the shapes that it gave."""
    answers, watch = copy.standins.answers(), None
    try:
        with ExitStack() as changes:
            changes.enter_context(not_compiled())
            if answers is not None:
                changes.enter_context(closing(answers))
            changes.enter_context(copy.standins.at_work())
            at_work = changes.enter_context(calls_noted(copy.places))
            watch = Watch(copy.places, at_work, beforehand.registered, answers)
            while beforehand.loose:
                watch.follow(*beforehand.loose.pop())
            changes.enter_context(watch)
            if not how.part:
                let_train(copy.places.modules, how.training)
            return watch, _step(copy, watch, how.training)
    except KeyboardInterrupt:
        raise
    except TraceError:
        raise
    except BaseException as error:  # sys.exit in forward too is an error of the model
        refused = None if answers is None else answers.refused
        backwards = watch.failed_at if watch is not None and watch.backward else None
        raise _error(copy.places, error, refused, backwards) from error


def _timeline(watch: Watch, beforehand: Beforehand, block: int) -> Timeline:
    """All that was seen, with the sizes that an allocator of such blocks gives."""
    if block > 1:
        for piece in watch.pieces:
            piece.bytes = rounded(piece.bytes, block)
    there = beforehand.stayed
    given = [(piece.bytes, frozenset(piece.read_by)) for piece in there("inputs")]
    params, buffers = (
        tuple((piece.path, piece.bytes) for piece in there(kind)) for kind in ("params", "buffers")
    )
    pieces, moments = (*beforehand.let_go(), *watch.pieces), tuple(watch.moments)
    return Timeline(pieces, moments, tuple(given), params, buffers, watch.moved)


def _step(copy: _Copy, watch: Watch, training: bool) -> _Shapes:
    """Run forward, and backward if the module learns; gives the shapes of the outputs.

    The outputs are there until the end, as they are in a loop of training.
    """
    with torch.autograd.graph.saved_tensors_hooks(watch.pack, _as_it_is):
        result = copy.module(*copy.args, **copy.kwargs)
        returned = tensors(result)
        for tensor in returned:
            if (piece := watch.piece_of(tensor)) is not None:
                piece.returned = True
        shapes = tuple(tuple(tensor.shape) for tensor in returned)
        if not training:
            return shapes
        watch.loss = True
        sums = [tensor.sum() for tensor in returned if tensor.requires_grad]
        if not sums:
            raise TraceError(
                "no gradient goes back from what the model gives: a training step needs parameters "
                "that are not frozen"
            )
        loss = sum(sums[1:], sums[0])
        del sums
    watch.begin_backward()
    loss.backward()  # type: ignore[no-untyped-call]
    return shapes


def _as_it_is(tensor: Tensor) -> Tensor:
    return tensor


_NO_MEMORY = "its data is not allocated yet"
"""What torch says where its own code writes to a tensor that has a shape only."""


def _error(
    places: Places, error: BaseException, refused: Exception | None, backwards: str | None
) -> TraceError:
    """The error with its place, and what to try where it is ``refused``, for lack of values.

    ``backwards`` is the layer whose operation was being derived.
    """
    writes = _NO_MEMORY in str(error)
    if writes:
        told = RuntimeError("torch writes numbers into what it makes")
        error = told.with_traceback(error.__traceback__)
    located = located_error(places, error)
    if backwards is not None:
        place = f"{backwards}, backwards," if backwards else "the model's own code, backwards,"
        located = TraceError(f"{place} cannot be run: {said_of(error)}")
    if error is not refused and not writes:
        return located
    if writes or type(error).__module__ == FakeTensorMode.__module__:
        return TraceError(
            f"{located}; it needs the values of tensors, and only their shapes are known: "
            "real=True or --real computes them"
        )
    return TraceError(f"{located}; if it runs on real tensors: real=True or --real")
