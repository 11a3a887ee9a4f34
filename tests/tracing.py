"""Traces that compare with torch what the tracer says itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from costlab.costs.table import CostTable
from costlab.graph import Graph
from costlab.trace import trace
from costlab.trace.classification import Call
from costlab.trace.recorder import Recorder
from costlab.trace.tensors import tensors


class CheckedRecorder(Recorder):
    """Compares every answer of a rule with the shapes and types that torch itself gives.

    In one network torch is asked once about calls that are alike.
    """

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._of_torch: dict[Any, Any] = {}

    def answer(self, made: Call, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        result = super().answer(made, func, args, kwargs)
        if made.rule is not None:
            call = (func, torch.is_autocast_enabled("cpu"), _likeness(args), _likeness(kwargs))
            if self.transforms or call not in self._of_torch:
                self._of_torch[call] = _kinds(self.on_meta(made.name, func, args, kwargs))
            ours, torchs = _kinds(result), self._of_torch[call]
            assert ours == torchs, f"{made.name}: {ours}, torch gives {torchs}"
        return result


_PLAIN = frozenset((bool, int, float, str, type(None), torch.dtype))


def _likeness(value: Any) -> Any:
    """What two calls have in common that are one to torch on ``meta``."""
    if type(value) in (Tensor, nn.Parameter) and value.layout is torch.strided:
        return value.shape, value.stride(), value.dtype
    if type(value) in (tuple, list):
        return type(value), *map(_likeness, value)
    if type(value) is dict:
        return tuple(value), *map(_likeness, value.values())
    return (type(value), value) if type(value) in _PLAIN else object()  # like nothing else


def _kinds(results: Any) -> list[tuple[tuple[int, ...], torch.dtype]]:
    return [(tuple(tensor.shape), tensor.dtype) for tensor in tensors(results)]


def checked(module: nn.Module, *args: Any, **named: Any) -> Graph:
    """The graph, with every shape of a rule compared with torch's own.

    To have torch's own, all modules run. Where their rules answer without running them, the graph
    must be the same.
    """
    graph = trace(module, *args, **named, kind=CheckedRecorder)
    # Where torch's own code asks for a value, the place is that of the call, here.
    quick = trace(module, *args, **named)
    assert replace(quick, decisions=()) == replace(graph, decisions=())
    assert [d.question for d in quick.decisions] == [d.question for d in graph.decisions]
    return graph


def run_by_torch(module: nn.Module, x: Tensor) -> int:
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        module(x.clone())
    flops = counter.get_total_flops()
    assert flops % 2 == 0
    return flops // 2


def rows(table: CostTable) -> list[tuple[Any, ...]]:
    """What a table says of each layer."""
    return [
        (r.path, r.label, r.detail, r.inputs, r.output, r.params, r.count, r.bound, r.activations)
        for r in table.rows
    ]
