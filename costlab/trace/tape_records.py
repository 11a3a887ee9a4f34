"""What is noted of one call of torch: where it was made, what it takes and gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from costlab.graph.network import Checkpoint
from costlab.graph.op import Op, Shape

ITS_OWN = 0
"""The call number of parameters and buffers: their place is a tensor's path, not a module's."""


class Site(NamedTuple):
    """Where a call of torch is made, and how.

    ``place`` is the path of the module at work, ``call`` how often it has been, this time too;
    ``whole`` is whether that module is counted as a whole. ``function`` is what is called, and
    ``strided`` whether its first argument is not contiguous, where a run is observed: see
    `LayerCall`.
    """

    place: str = ""
    call: int = 1
    whole: bool = False
    function: str = ""
    strided: bool = False


@dataclass(slots=True)
class TapeRecord:
    """An operation as it was met, before paths are given; values are known by their numbers."""

    site: Site
    op: Op
    operands: tuple[int, ...]
    inputs: tuple[Shape, ...]
    output: Shape
    weights: tuple[int, ...]
    results: tuple[int, ...]
    own_backward: bool = False
    checkpoint: Checkpoint | None = None
