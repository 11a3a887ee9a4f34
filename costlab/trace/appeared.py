"""Tensors that appear from nowhere: of compiled kernels, or of what else torch does not see."""

from __future__ import annotations

import gc
from itertools import dropwhile
from sysconfig import get_config_var
from typing import Any

import torch
from torch import Tensor

from costlab.trace.tensors import META, tensors

_IN_ORDER = not get_config_var("Py_GIL_DISABLED")
"""Whether the collector has objects in the order in which they were made."""


class Appeared:
    """Tells what was made during the run, and by no call that torch let us see, from all others.

    It is made when the run begins. Python's collector rests then, so that what is made later comes
    behind it among the youngest objects, which are looked through only for tensors that nothing
    else is known of.
    """

    def __init__(self) -> None:
        self.given: list[Any] = []
        """What calls gave, since it was last asked."""
        self._seen: dict[int, Tensor] = {}
        self.taken: Any = ()
        """What the call at work takes, or forward returns."""

    def has(self, tensor: Tensor) -> bool:
        """Whether a tensor, of which no call is known, is what a kernel gave on ``meta``.

        One elsewhere may be a constant that a constructor made, as ``torch.Tensor([1, 2])``; one of
        a kind of its own was made by Python.
        """
        if type(tensor) is not Tensor or tensor.device != META:
            return False
        if not any(tensor_taken is tensor for tensor_taken in tensors(self.taken)):
            return False
        for tensor_given in tensors(self.given):
            self._seen[id(tensor_given)] = tensor_given  # which keeps it alive
        self.given.clear()
        return id(tensor) not in self._seen and self._is_new(tensor)

    def is_of_an_array(self, tensor: Tensor) -> bool:
        """Whether it was made during the run in memory that is not torch's, such as numpy's."""
        if tensor.device.type != "cpu" or tensor.layout is not torch.strided:
            return False
        return not tensor.untyped_storage().resizable() and self._is_new(tensor)

    def _is_new(self, tensor: Tensor) -> bool:
        young = gc.get_objects(0) if _IN_ORDER else []
        later = dropwhile(lambda run: run is not self, young)
        return any(run is tensor for run in later)
