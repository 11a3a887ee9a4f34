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
    """Compares every answer of a rule with the shapes and types that torch itself gives."""

    def answer(self, made: Call, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        result = super().answer(made, func, args, kwargs)
        if made.rule is not None:
            ours, torchs = map(_kinds, (result, self.on_meta(made.name, func, args, kwargs)))
            assert ours == torchs, f"{made.name}: {ours}, torch gives {torchs}"
        return result


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
