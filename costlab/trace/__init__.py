"""Any ``nn.Module`` as a graph, by running its forward without its arithmetic."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from costlab.errors import (
    CostlabError,
    TraceError,
    place_of,
    said_of,
    words_of,
)
from costlab.gc_pause import no_collections
from costlab.graph import Graph
from costlab.isolation.code_replaced import asking
from costlab.isolation.module_state import untouched
from costlab.isolation.unseen_functions import unseen_functions_visible
from costlab.trace.calls import call_of
from costlab.trace.fast_path import answered_directly
from costlab.trace.given import given
from costlab.trace.layer_paths import joined, layer_call, named_layers
from costlab.trace.module_stack import Places
from costlab.trace.observation import Trace
from costlab.trace.observed import hooked, noted
from costlab.trace.real import RealRecorder
from costlab.trace.recorder import Recorder
from costlab.trace.users import asked_by_code
from costlab.trace.users_answers import modules_answered


def trace(module: nn.Module, *args: Any, **how: Any) -> Graph:
    """The graph of `follow`."""
    return follow(module, *args, **how).graph


def follow(
    module: nn.Module,
    input_size: Iterable[int] | None = None,
    inputs: Any = None,
    kwargs: dict[str, Any] | None = None,
    *,
    input_type: str | torch.dtype = "",
    training: bool = False,
    real: bool = False,
    name: str = "",
    observed: bool = False,
    gradients: bool = False,
    kind: type[Recorder] = Recorder,
) -> Trace:
    """What ``module(*inputs, **kwargs)`` computes; the module is left as it was.

    ``input_size`` is the shape of one input, batch first, ``input_type`` its type (default: that of
    the parameters); or ``inputs`` are a tensor
    or a tuple of what forward takes, ``kwargs`` its keyword arguments. Only their shapes and types
    matter, on any device. ``training`` runs in training mode (counts are those of evaluation);
    ``real`` computes on real tensors, for code that depends on values. ``observed`` notes how each
    call is written, and the calls of modules; ``gradients`` where code cuts gradients. ``kind`` is
    what answers the calls; only a plain `Recorder` lets modules of torch answer without running
    them.

    Raises ``TraceError`` where the code needs values, or with the place where it raised;
    ``ShapeError`` for an input that does not fit.
    """
    module = getattr(module, "_orig_mod", module)  # what torch.compile wraps
    with no_collections():
        try:
            recorder = (RealRecorder if real else kind)(module, observed, gradients)
        except AttributeError as error:  # it has none of what nn.Module.__init__ makes
            raise TraceError(
                f"{type(module).__name__} is no whole nn.Module, does its __init__ call "
                f"super().__init__()? {said_of(error)}"
            ) from error
        own_args, own_named = given(
            input_size,
            input_type,
            inputs,
            kwargs,
            (parameter for _, parameter in recorder.places.parameters.values()),
            real,
        )
        names = [f"input {number}" for number in range(1, len(own_args) + 1)]
        names = names if len(names) > 1 else ["input"]
        args = tuple(_replaced(*pair, recorder) for pair in zip(own_args, names, strict=False))
        named = {key: _replaced(value, key, recorder) for key, value in own_named.items()}
        taken = (inputs, kwargs, args, named)
        with untouched(recorder.places.modules, training, taken, gradients):
            try:
                with ExitStack() as changes:
                    if type(recorder) is Recorder and not observed and not gradients:
                        changes.enter_context(answered_directly(recorder))
                    changes.enter_context(unseen_functions_visible())
                    if (
                        "torch._dynamo" in sys.modules
                    ):  # what is compiled runs as what it was made of
                        changes.enter_context(torch.compiler.set_stance("force_eager"))
                    changes.enter_context(asking(asked_by_code()))
                    changes.enter_context(modules_answered(recorder))
                    changes.enter_context(recorder.attributes)
                    changes.callback(recorder.tape.leave)
                    changes.enter_context(recorder)
                    seen = changes.enter_context(hooked(recorder, observed))
                    result = module(*args, **named)
            except KeyboardInterrupt:
                raise
            except TraceError as error:
                error.before = _followed(recorder, name or type(module).__name__)
                raise
            except BaseException as error:  # sys.exit in forward too is an error of the model
                located = located_error(recorder.places, module, error)
                located.before = _followed(recorder, name or type(module).__name__)
                raise located from error
            returns = recorder.tape.returned(result)
        tape, places = recorder.tape, recorder.places
        tape.complete()
        notes = noted(recorder.notes, tape.records)
        records, values, returns = joined(tape.records, tape.values, returns, places)
        layers = tuple(named_layers(records, places))
        graph = Graph(name or type(module).__name__, tuple(values), layers, returns)
        decisions = tuple(recorder.known.decisions)
        if not observed:
            return Trace(graph, module, own_args, own_named, real, decisions=decisions)
        calls = tuple(layer_call(record)._replace(note=notes.get(id(record))) for record in records)
        numbers = {id(record): i for i, record in enumerate(records)}
        modules = tuple(call.numbered(numbers) for call in seen)
        return Trace(graph, module, own_args, own_named, real, calls, modules, decisions)


def _replaced(value: Any, name: str, recorder: Recorder) -> Any:
    if isinstance(value, Tensor):
        return recorder.given(value, name)
    if isinstance(value, dict):
        return {key: _replaced(item, name, recorder) for key, item in value.items()}
    if isinstance(value, PackedSequence):  # its other tensors are about its lengths
        return tuple.__new__(PackedSequence, (_replaced(value.data, name, recorder), *value[1:]))
    if isinstance(value, tuple):  # of any kind, such as a named one
        return tuple.__new__(type(value), [_replaced(item, name, recorder) for item in value])
    if isinstance(value, list):
        return [_replaced(item, name, recorder) for item in value]
    recorder.objects.append(value)
    return value


def _followed(recorder: Recorder, name: str) -> Graph | None:
    """The layers until an error, or None where they are not whole."""
    tape, places = recorder.tape, recorder.places
    try:
        records, values, _ = joined(tape.records, tape.values, (), places)
        layers = tuple(named_layers(records, places))
    except Exception:  # an operation was being noted
        return None
    return Graph(name, tuple(values), layers, ())


def located_error(places: Places, module: nn.Module, error: BaseException) -> TraceError:
    """The error with the path of the module that raised it."""
    path = places.of_error(error.__traceback__)
    place = f"{path} ({type(module.get_submodule(path)).__name__})" if path else "the model"
    said = said_of(error)
    if isinstance(error, CostlabError):
        said = words_of(error) + place_of(error)
    if call := call_of(error):
        said = f"{call}: {said}"
    return TraceError(f"{place} cannot be run: {said}")
