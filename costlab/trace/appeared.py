"""Tensors that appear from nowhere: of compiled kernels, or of what else torch does not see."""

from __future__ import annotations

import gc
import re
import sys
from itertools import dropwhile
from linecache import checkcache, getlines
from sysconfig import get_config_var
from types import FrameType
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
        return not self._is_given(tensor) and self._is_new(tensor)

    def has_real(self, tensor: Tensor) -> bool:
        """The same of a real tensor, in memory of torch's."""
        if type(tensor) is not Tensor or tensor.layout is not torch.strided:
            return False
        if not tensor.untyped_storage().resizable() or self._is_given(tensor):
            return False
        return self._is_new(tensor) and not _may_construct(sys._getframe(1))

    def is_of_an_array(self, tensor: Tensor) -> bool:
        """Whether it was made during the run in memory that is not torch's, such as numpy's."""
        if tensor.device.type != "cpu" or tensor.layout is not torch.strided:
            return False
        return not tensor.untyped_storage().resizable() and self._is_new(tensor)

    def _is_given(self, tensor: Tensor) -> bool:
        """Whether a call gave it."""
        for tensor_given in tensors(self.given):
            self._seen[id(tensor_given)] = tensor_given  # which keeps it alive
        self.given.clear()
        return id(tensor) in self._seen

    def _is_new(self, tensor: Tensor) -> bool:
        young = gc.get_objects(0) if _IN_ORDER else []
        later = dropwhile(lambda tracked: tracked is not self, young)
        return any(tracked is tensor for tracked in later)


_CONSTRUCTORS = re.compile(
    r"\b(BFloat16|Bool|Byte|Char|Double|Float|Half|Int|Long|Short)Tensor\s*\("
)
"""Torch's constructors of old, whose calls no mode sees: ``torch.FloatTensor([1, 2])``."""


def _may_construct(frame: FrameType | None) -> bool:
    """Whether a file of the code at work calls one of these, and so may have made a constant."""
    while frame is not None:
        home = frame.f_globals.get("__name__", "").partition(".")[0]
        if home not in ("torch", "costlab") and _constructs(frame.f_code.co_filename):
            return True
        frame = frame.f_back
    return False


def _constructs(file: str) -> bool:
    checkcache(file)  # another folder may have a file of that name, or it has changed
    return _CONSTRUCTORS.search("".join(getlines(file))) is not None
