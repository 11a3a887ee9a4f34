"""Networks as data: values, layers that take and give them, and what an operation is."""

from costlab.graph.builder import Edge, Net
from costlab.graph.network import Graph, Layer
from costlab.graph.values import DType, Value

__all__ = ["DType", "Edge", "Graph", "Layer", "Net", "Value"]
