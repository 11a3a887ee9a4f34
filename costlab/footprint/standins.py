"""Copies of modules and of what they take, whose tensors have shapes and types and no values."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any
from weakref import ref

import torch
from torch import Tensor, nn

from costlab.errors import TraceError, said_of
from costlab.footprint.answers import SMALL, Answers
from costlab.footprint.masks import Standing
from costlab.footprint.shapes import Layout, Shape, made, within
from costlab.isolation.copies import Copying
from costlab.torch_private import FakeTensor


class StandIns(Copying):
    """Copies all that is given, with tensors that stand for its own.

    They have the strides of the originals, and share memory where those do. With ``dtype`` those of
    floating-point numbers have that type. They are `Shape` tensors, and real ones where values may
    decide, as lengths do; if ``real`` all are. What is on ``meta`` stands on the CPU.
    """

    shares_empty = True  # `untouched` empties what a run has filled

    def __init__(self, real: bool, dtype: torch.dtype | None) -> None:
        super().__init__()
        self.valued: list[Tensor] = []
        """The copies that have the values of the originals, of a run on shapes."""
        self.given: Standing = {}
        self.of_module: list[Tensor] = []
        """The copies of what the module holds beside its ``own``."""
        self.of_inputs: list[Tensor] = []
        """The copies of what else it is called with, in whatever object that is held."""
        self.real = real
        self._dtype = dtype
        self._copies: list[Tensor] = []
        self._storages: dict[int, Any] = {}

    def answers(self) -> Answers | None:
        """What operations on them give; None where they are computed."""
        return None if self.real else Answers(self.taken_values(), self.given)

    def taken_values(self) -> list[Tensor]:
        """``valued``, which are kept here no more: a run may let go of what it is given."""
        valued, self.valued = self.valued, []
        return valued

    def at_work(self) -> AbstractContextManager[Any]:
        """What there has to be while a module runs on them."""
        return nullcontext()

    def of(self, module: nn.Module, own: Iterable[Tensor], args: Any) -> tuple[nn.Module, Any]:
        """The copies; ``own`` are the module's tensors.

        Raises ``TraceError`` for what cannot be copied.
        """
        memo: dict[int, Any] = {}
        self._copies = []
        for tensor in own:
            memo[id(tensor)] = self.tensor(tensor, memo)
        try:
            self.of_module = self._copies = []
            copy: nn.Module = self.copied(module, memo)
            self.of_inputs = self._copies = []
            return copy, self.copied(args, memo)
        except Exception as error:
            raise TraceError(
                f"the model cannot be copied, and its memory is that of a copy: {said_of(error)}"
            ) from error
        finally:
            self.forget()

    def forget(self) -> None:
        """All is copied: keep nothing any more that a run may let go of."""
        self._copies = []
        self._storages.clear()

    def tensor(self, tensor: Tensor, memo: dict[int, Any]) -> Tensor:
        """What stands for a tensor."""
        dtype = tensor.dtype
        if self._dtype is not None and dtype.is_floating_point:
            dtype = self._dtype
        standin = self._of_type(tensor, dtype)
        if isinstance(tensor, nn.Parameter):
            if self.real:
                standin = nn.Parameter(standin, tensor.requires_grad)
            else:  # what nn.Parameter does of one, without the copy of it that it makes
                standin.requires_grad_(tensor.requires_grad)._is_param = True
        elif tensor.requires_grad and tensor.is_leaf:
            standin.requires_grad_()
        for name, value in vars(tensor).items():
            vars(standin).setdefault(name, value)
        self.given[id(standin)] = ref(standin), tensor
        self._copies.append(standin)
        return standin

    def _of_type(self, tensor: Tensor, dtype: torch.dtype) -> Tensor:
        device = _CPU if tensor.is_meta else tensor.device
        if tensor.layout is not torch.strided or tensor.is_quantized:
            return tensor.detach().clone()
        if self.real:
            return self._with_values(tensor, dtype, device)
        if _may_decide(tensor):
            copy = tensor.detach().clone()
            self.valued.append(copy)
            return copy
        if dtype != tensor.dtype:
            strides = torch.empty_like(tensor.detach(), device="meta").stride()
            return made(Layout(tuple(tensor.shape), strides, dtype, device))
        own = tensor.untyped_storage()
        layout = Layout(
            tuple(tensor.shape),
            tensor.stride(),
            dtype,
            device,
            own.nbytes(),
            int(tensor.storage_offset()),
        )
        if id(own) in self._storages:
            return within(self._storages[id(own)][0], layout)
        standin = made(layout)
        self._storages[id(own)] = standin, own
        return standin

    def _with_values(self, tensor: Tensor, dtype: torch.dtype, device: torch.device) -> Tensor:
        """A real tensor with the same values; zeros where there are none."""
        if dtype != tensor.dtype:
            other = torch.empty_like(tensor.detach(), dtype=dtype, device=device)
            return other.zero_() if tensor.is_meta else other.copy_(tensor.detach())
        own = tensor.untyped_storage()
        if id(own) not in self._storages:
            copy = torch.zeros(own.nbytes(), dtype=torch.uint8, device=device).untyped_storage()
            if not tensor.is_meta:
                copy.copy_(own)
            self._storages[id(own)] = copy, own
        return torch.empty(0, dtype=dtype, device=device).set_(
            self._storages[id(own)][0], tensor.storage_offset(), tensor.size(), tensor.stride()
        )


_CPU = torch.device("cpu")


def _may_decide(tensor: Tensor) -> bool:
    """Whether the values of a tensor may decide what is computed: a small one of whole numbers."""
    dtype = tensor.dtype
    if dtype.is_floating_point or dtype.is_complex:
        return False
    return not tensor.is_meta and tensor.numel() <= SMALL and not _has_none(tensor)


def _has_none(tensor: Tensor) -> bool:
    return isinstance(tensor, (FakeTensor, Shape))
