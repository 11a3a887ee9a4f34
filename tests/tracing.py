"""Traces that compare with torch what the tracer says itself."""

from __future__ import annotations

from typing import Any

from torch import nn

from costlab.graph import Graph
from costlab.trace import trace


def checked(module: nn.Module, *args: Any, **named: Any) -> Graph:
    """The graph, with every shape of a rule compared with torch's own.

    To have torch's own, all modules run. Where their rules answer without running them, the graph
    must be the same.
    """
    graph = trace(module, *args, **named, checked=True)
    assert trace(module, *args, **named) == graph
    return graph
