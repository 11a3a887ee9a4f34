"""Runs a copy of a module on shapes, and follows what it holds."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from costlab.errors import TraceError
from costlab.footprint.alternatives import checkpoint_blocks
from costlab.footprint.answers import Answers
from costlab.footprint.at_work import calls_noted
from costlab.footprint.parts import part_of
from costlab.footprint.settings import rounded
from costlab.footprint.standins import StandIns
from costlab.footprint.timeline import Timeline
from costlab.footprint.watch import Watch
from costlab.gc_pause import no_collections
from costlab.isolation.module_state import untouched
from costlab.torch_private import FakeTensorMode
from costlab.trace import located_error
from costlab.trace.module_stack import Places
from costlab.trace.tensors import tensors


@dataclass(frozen=True)
class Held:
    """What a run held: what was there beforehand, what it made, and what learns, in bytes."""

    timeline: Timeline
    params: int
    buffers: int
    inputs: int
    learning: tuple[int, ...]
    """Of each parameter that has got a gradient."""
    input: tuple[tuple[int, ...], ...]
    output: tuple[tuple[int, ...], ...]
    """The shapes of what the network took and returned."""
    unseen: tuple[tuple[str, str], ...] = ()
    """The layers that make memory that is not seen, and why it is not."""


def held(
    module: nn.Module,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    *,
    training: bool = False,
    dtype: torch.dtype | None = None,
    real: bool = False,
    block: int = 1,
    checkpointed: bool = False,
    part: str = "",
) -> Held:
    """What ``module(*args, **kwargs)`` holds while it runs; nothing that is given is changed.

    In evaluation mode without gradients, or with ``training`` in training mode, and then backward
    from the sum of what it gives. ``dtype`` is the type of all floating-point numbers of the module
    and of what it takes. Nothing is computed, unless ``real``. Each piece of memory takes a
    multiple of ``block`` bytes. With ``checkpointed`` the blocks are computed again in the
    backward pass (see ``alternatives.blocks``). With a ``part`` it is that of this submodule alone,
    with what its first call is given.

    Raises ``TraceError`` with the place where the code raised, or needs values.
    """
    with no_collections():  # what is done with is gone when they begin again
        return _held(module, args, kwargs, training, dtype, real, block, checkpointed, part)


def _held(
    module: nn.Module,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    training: bool,
    dtype: torch.dtype | None,
    real: bool,
    block: int,
    checkpointed: bool,
    part: str,
) -> Held:
    module = getattr(module, "_orig_mod", module)  # what torch.compile wraps
    own = Places(module)  # which refuses what cannot be followed
    if own.lazy:
        raise TraceError("a parameter of a lazy module has no shape yet: run the module once")
    standins = StandIns(real, dtype)
    of_module = [tensor for _, tensor in (*own.parameters.values(), *own.buffers.values())]
    copy, (args, kwargs) = standins.of(module, of_module, (args, kwargs))
    if part:
        with untouched(own.modules, training, gradients=training):
            copy, args, kwargs = part_of(copy, part, args, kwargs, training, standins)
    places = Places(copy)
    if checkpointed:
        checkpoint_blocks(copy)
    params = [tensor for _, tensor in places.parameters.values()]
    buffers = [tensor for _, tensor in places.buffers.values()]
    inputs = [tensor for tensor in tensors((args, kwargs)) if not _among(tensor, params)]
    for one in places.modules:
        one.__dict__["training"] = training
    answers = None if real else Answers(standins.valued)
    with untouched(own.modules, training, gradients=training):
        try:
            with ExitStack() as changes:
                if "torch._dynamo" in sys.modules:  # compiled code runs as what it was made of
                    changes.enter_context(torch.compiler.set_stance("force_eager"))
                if answers is not None:
                    changes.enter_context(closing(answers))
                at_work = changes.enter_context(calls_noted(places))
                watch = Watch(places, at_work, (*params, *buffers, *inputs), answers)
                changes.enter_context(watch)
                output = _step(copy, args, kwargs, watch, training)
        except KeyboardInterrupt:
            raise
        except TraceError:
            raise
        except BaseException as error:  # sys.exit in forward too is an error of the model
            refused = None if answers is None else answers.refused
            raise _error(places, error, refused) from error
        for parameter in params:
            if parameter.grad is not None and (piece := watch.piece_of(parameter.grad)):
                piece.gradient = True
        watch.forget()
    for made in watch.pieces:
        made.bytes = rounded(made.bytes, block)
    timeline = Timeline(
        tuple(watch.pieces),
        tuple(watch.moments),
        tuple(
            (rounded(size, block), frozenset(watch.readers.get(storage, ())))
            for storage, size in _storages(inputs).items()
        ),
        *(
            tuple(
                (name.rpartition(".")[0], rounded(tensor.nbytes, block))
                for name, tensor in tensors_of.values()
            )
            for tensors_of in (places.parameters, places.buffers)
        ),
    )
    return Held(
        timeline,
        sum(rounded(size, block) for size in _storages(params).values()),
        sum(rounded(size, block) for size in _storages(buffers).values()),
        sum(rounded(size, block) for size in _storages(inputs).values()),
        tuple(rounded(p.nbytes, block) for p in params if p.grad is not None),
        tuple(tuple(tensor.shape) for tensor in inputs),
        output,
        tuple(watch.unseen),
    )


def _step(
    module: nn.Module, args: Any, kwargs: dict[str, Any], watch: Watch, training: bool
) -> tuple[tuple[int, ...], ...]:
    """Run forward, and backward if the module learns; gives the shapes of the outputs.

    The outputs are there until the end, as they are in a loop of training.
    """
    with torch.autograd.graph.saved_tensors_hooks(watch.pack, _as_it_is):
        result = module(*args, **kwargs)
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


def _among(tensor: Tensor, some: Iterable[Tensor]) -> bool:
    return any(tensor is one for one in some)


def _storages(some: Iterable[Tensor]) -> dict[int, int]:
    """The bytes of each piece of memory of some tensors, by the identity of its storage."""
    sizes = {}
    for tensor in some:
        if tensor.layout is torch.strided:
            storage = tensor.untyped_storage()
            sizes[id(storage)] = storage.nbytes()
    return sizes


def _error(places: Places, error: BaseException, refused: Exception | None) -> TraceError:
    """The error with its place, and what to try where it is ``refused``, for lack of values."""
    located = located_error(places, error)
    if error is not refused:
        return located
    if type(error).__module__ == FakeTensorMode.__module__:
        return TraceError(
            f"{located}; it needs the values of tensors, and only their shapes are known: "
            "real=True or --real computes them"
        )
    return TraceError(f"{located}; if it runs on real tensors: real=True or --real")
