"""Networks as data: values, layers between them, and what an operation is."""

from costlab.graph.network import Graph, Layer, ModuleCall, Net, Origin, Value

__all__ = ["Graph", "Layer", "ModuleCall", "Net", "Origin", "Value"]
