"""Scripted modules have no Python code: their graphs are run, as functions of their tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor
from torch.jit import ScriptModule

from costlab.errors import TraceError
from costlab.torch_private import function_of_graph

if TYPE_CHECKING:
    from costlab.trace.recorder import Recorder


def run(recorder: Recorder, module: ScriptModule, forward: Any, *args: Any, **kwargs: Any) -> Any:
    """What the forward of a scripted module gives; its graph is a function that modes can see."""
    path = recorder.places.by_identity[id(module)]
    function, tensors = _function(module, forward.inlined_graph.copy(), path)
    for argument in forward.schema.arguments[1 + len(args) :]:  # the first is the module
        if argument.name in kwargs or argument.has_default_value():
            args = (*args, kwargs.get(argument.name, argument.default_value))
    return function(*args, *tensors)


def _function(module: ScriptModule, graph: Any, path: str) -> tuple[Any, list[Tensor]]:
    """The graph of forward, with the module's tensors as further inputs, and these.

    All else that modules have is constant in it. Raises ``TraceError``.
    """
    own, *_ = graph.inputs()
    modules: dict[str, Any] = {own.debugName(): module}
    tensors: list[Tensor] = []
    read: list[Any] = []
    waiting: list[Any] = [graph]
    while waiting:
        for node in list(waiting.pop().nodes()):
            waiting += node.blocks()
            if node.kind() != "prim::GetAttr":
                continue
            name, result = node.s("name"), node.output()
            holder = modules[node.input().debugName()]
            value = module.__dict__["training"] if name == "training" else getattr(holder, name)
            read.append(node)
            if isinstance(value, ScriptModule):
                modules[result.debugName()] = value
            elif isinstance(value, Tensor):
                given = graph.addInput()
                given.setType(result.type())
                result.replaceAllUsesWith(given)
                tensors.append(value)
            else:
                graph.setInsertPoint(node)
                result.replaceAllUsesWith(graph.insertConstant(value))
    try:
        for node in reversed(read):
            node.destroy()
        graph.eraseInput(0)
    except RuntimeError:  # something else takes a module, such as one that sets an attribute
        raise TraceError(
            f"{path or 'the model'} is a scripted module that changes itself, which is not "
            "followed: give the module that it was made from"
        ) from None
    return function_of_graph(module.original_name, graph), tensors
