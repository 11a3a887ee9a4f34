"""Any ``nn.Module`` as a graph, by running its forward without its arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import Any

from torch import nn

from costlab.errors import (
    CostlabError,
    TraceError,
    place_of,
    said_of,
    words_of,
)
from costlab.gc_pause import no_collections
from costlab.graph import Graph
from costlab.graph.sizes import InputSize
from costlab.isolation.code_replaced import asking
from costlab.isolation.module_state import let_train, untouched
from costlab.isolation.torch_globals import not_compiled, seed
from costlab.isolation.turns import turn
from costlab.isolation.unseen_functions import unseen_functions_visible
from costlab.trace.calls import call_of
from costlab.trace.fast_path import answer_directly
from costlab.trace.given import InputType, given_to
from costlab.trace.inputs import replaced
from costlab.trace.layer_paths import layer_call, named_layers
from costlab.trace.lazy import copy_to_shape, require_shapes
from costlab.trace.lazy_results import consumed
from costlab.trace.methods import resolved
from costlab.trace.misfits import misfit, of_a_dict, of_an_image, of_shapes, taken_by
from costlab.trace.module_stack import Places
from costlab.trace.observation import Trace
from costlab.trace.observed import Hooked, hooked, noted
from costlab.trace.placed_parameters import drop_sharding
from costlab.trace.real import RealRecorder
from costlab.trace.recorder import Recorder
from costlab.trace.unregistered import name_unregistered
from costlab.trace.users import asked_by_code
from costlab.trace.users_answers import modules_answered
from costlab.trace.whole_calls import joined


def trace(module: nn.Module, *args: Any, **how: Any) -> Graph:
    """The graph of `follow`."""
    return follow(module, *args, **how).graph


def follow(
    module: nn.Module,
    input_size: InputSize | None = None,
    inputs: Any = None,
    kwargs: dict[str, Any] | None = None,
    *,
    input_type: InputType = "",
    training: bool = False,
    real: bool = False,
    name: str = "",
    observed: bool = False,
    gradients: bool = False,
    kind: Callable[..., Recorder] = Recorder,
    method: str = "forward",
) -> Trace:
    """What ``module(*inputs, **kwargs)``, or another ``method``, computes.

    The module is left as it was.

    ``input_size`` is the shape of one input, batch first, or of several in order or by their names;
    ``input_type`` is its type (default: that of the parameters) or those of several. Or ``inputs``
    are a tensor or a tuple of what forward takes, ``kwargs`` its keyword arguments. Only their
    shapes and types matter, on any device. ``training`` runs in training mode (counts are those of
    evaluation); ``real`` computes on real tensors, for code that depends on values. ``observed``
    notes how each call is written, and the calls of modules; ``gradients`` where code cuts
    gradients. ``kind`` is what answers the calls; only a plain `Recorder` lets modules of torch
    answer without running them.

    Raises ``TraceError`` where the code needs values, or with the place where it raised;
    ``ShapeError`` for an input that does not fit; ``UnknownNameError`` for a method that is none.
    """
    module, called, name = resolved(module, method, name)
    with no_collections(), turn():
        kind = RealRecorder if real else kind
        recorder = _recorder(kind, module, observed, gradients)
        if recorder.places.lazy:
            copy = copy_to_shape(module, real)
            recorder = _recorder(kind, copy, observed, gradients)
            called = resolved(copy, method, name)[1]
        parameters = [parameter for _, parameter in recorder.places.parameters.values()]
        takes = partial(taken_by, called)
        own_args, own_named = given_to(
            name, parameters, input_size, input_type, inputs, kwargs, real, takes
        )
        args, named = replaced(own_args, own_named, recorder)
        given = (inputs, kwargs, args, named)
        with untouched(recorder.places.modules, training, given, gradients, method):
            try:
                with ExitStack() as changes:
                    drop_sharding(recorder.places.modules, real)
                    if type(recorder) is Recorder and not observed and not gradients:
                        answer_directly(recorder)
                    changes.enter_context(unseen_functions_visible())
                    changes.enter_context(not_compiled())
                    changes.enter_context(asking(asked_by_code()))
                    changes.enter_context(modules_answered(recorder))
                    changes.enter_context(recorder.attributes)
                    if real:
                        seed(load_numpy=True)
                    changes.callback(recorder.leave)
                    changes.enter_context(recorder)
                    seen = changes.enter_context(hooked(recorder, observed))
                    let_train(recorder.places.modules, training)
                    result = consumed(called(*args, **named))
            except KeyboardInterrupt:
                raise
            except TraceError as error:
                error.before = _followed(recorder, name)
                raise
            except BaseException as error:  # sys.exit in forward too is an error of the model
                if wrong := misfit(error, called, inputs, own_args, own_named):
                    located = TraceError(f"{name} cannot be run: {wrong}")
                else:
                    located = located_error(recorder.places, error)
                    hint = of_shapes(inputs) or of_an_image(inputs, own_args)
                    located.args = (f"{located}{hint}",)
                located.before = _followed(recorder, name)
                raise located from error
            returns = recorder.tape.returned(result)
        how = (own_args, own_named, method, real)
        return replace(_traced(recorder, module, name, returns, seen, how), training=training)


def _traced(
    recorder: Recorder,
    module: nn.Module,
    name: str,
    returns: tuple[int, ...],
    seen: list[Hooked],
    how: tuple[tuple[Any, ...], dict[str, Any], str, bool],
) -> Trace:
    """The run with what was noted of it.

    ``how`` it was made: arguments, those by keyword, the method, whether on real tensors.
    """
    tape, places = recorder.tape, recorder.places
    if places.lazy:
        require_shapes(places.parameters)
    tape.stored.complete()
    name_unregistered(tape, places)
    notes = noted(recorder.notes, tape.records)
    records, values, returns = joined(tape.records, tape.values, returns, places, tape.functions)
    args, named, method, real = how
    graph = Graph(
        name,
        tuple(values),
        tuple(named_layers(records, places)),
        returns,
        real=real,
        decisions=tuple(recorder.known.decisions),
        classes=_classes(places),
    )
    registered: tuple[str, ...] = ()
    if places.calls.elsewhere:
        registered = tuple(layer_call(record, places).module for record in records)
    if not recorder.observed:
        return Trace(graph, module, args, named, method=method, registered=registered)
    calls = tuple(
        layer_call(record, places)._replace(note=notes.get(id(record))) for record in records
    )
    numbers = {id(record): i for i, record in enumerate(records)}
    modules = tuple(call.numbered(numbers) for call in seen)
    transforms = recorder.transforms
    return Trace(graph, module, args, named, calls, modules, method, registered, transforms)


def _recorder(
    kind: Callable[..., Recorder], module: nn.Module, observed: bool, gradients: bool
) -> Recorder:
    try:
        return kind(module, observed, gradients)
    except (AttributeError, KeyError) as error:  # it has not what nn.Module.__init__ makes
        raise TraceError(
            f"{type(module).__name__} is no whole nn.Module: does its __init__ call "
            "super().__init__()?"
        ) from error


def _classes(places: Places) -> dict[str, str]:
    """The names of the classes of modules, by their paths: registered ones, and those of calls."""
    paths = places.by_identity
    names = dict(
        zip(paths.values(), [type(module).__name__ for module in places.modules], strict=True)
    )
    if not places.calls.elsewhere:
        return names
    called = {path: names.get(own, "") for path, own in places.calls.elsewhere.items()}
    return names | called


def _followed(recorder: Recorder, name: str) -> Graph | None:
    """The layers until an error, or None where they are not whole."""
    tape, places = recorder.tape, recorder.places
    try:
        records, values, _ = joined(tape.records, tape.values, (), places, tape.functions)
        layers = tuple(named_layers(records, places))
    except Exception:  # an operation was being noted
        return None
    return Graph(name, tuple(values), layers, ())


def located_error(places: Places, error: BaseException) -> TraceError:
    """The error with the path of the module that raised it."""
    path, innermost = places.of_error(error.__traceback__)
    place = f"{path} ({type(innermost).__name__})" if path else "the model"
    words = said_of(error)
    if isinstance(error, CostlabError):
        words = words_of(error) + place_of(error)
    if call := call_of(error):
        words = f"{call}: {words}"
    return TraceError(f"{place} cannot be run: {words}{of_a_dict(error)}")
