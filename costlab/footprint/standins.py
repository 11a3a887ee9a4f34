"""Copies of modules and of what they take, whose tensors have shapes and types and no values."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from costlab.errors import TraceError, said_of
from costlab.torch_private import FakeTensor

_DEEPCOPY: Any = Tensor.__deepcopy__

_KNOWN = 2**16
"""Elements of a tensor whose values may decide what is computed."""


class StandIns(TorchFunctionMode):
    """Copies all that is given, with tensors that stand for its own.

    They have the strides of the originals, and share memory where those do. With ``dtype`` those of
    floating-point numbers have that type. ``fake`` answers calls of torch for them; if it is None
    they are real, with values. What is on ``meta`` stands on the CPU.
    """

    def __init__(self, fake: Any, dtype: torch.dtype | None) -> None:
        super().__init__()
        self._fake = fake
        self._dtype = dtype
        self._memo: dict[int, Any] = {}
        self._storages: dict[int, Any] = {}

    def of(self, module: nn.Module, args: Any) -> tuple[nn.Module, Any]:
        """The copies. Raises ``TraceError`` for what cannot be copied."""
        for tensor in (*module.parameters(), *module.buffers()):
            self._memo[id(tensor)] = self._of_tensor(tensor)
        try:
            with self:
                copies: tuple[nn.Module, Any] = deepcopy((module, args), self._memo)
        except Exception as error:
            raise TraceError(
                f"the model cannot be copied, and its memory is that of a copy: {said_of(error)}"
            ) from error
        return copies

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is not _DEEPCOPY:
            return func(*args, **(kwargs or {}))
        tensor, memo = args
        if id(tensor) not in memo:
            memo[id(tensor)] = self._of_tensor(tensor)
        return memo[id(tensor)]

    def _of_tensor(self, tensor: Tensor) -> Tensor:
        device = torch.device("cpu") if tensor.device.type == "meta" else tensor.device
        dtype = tensor.dtype
        if self._dtype is not None and dtype.is_floating_point:
            dtype = self._dtype
        if tensor.layout is not torch.strided or tensor.is_quantized:
            own = tensor.detach().clone()
            standin = own if self._fake is None else self._fake.from_tensor(own)
        else:
            home = device if self._fake is None else torch.device("meta")
            if dtype == tensor.dtype:
                standin = torch.empty(0, dtype=dtype, device=home).set_(
                    self._storage(tensor, home),
                    tensor.storage_offset(),
                    tensor.size(),
                    tensor.stride(),
                )
            else:
                standin = torch.empty_like(tensor.detach(), dtype=dtype, device=home)
                if self._fake is None:
                    standin.zero_() if tensor.is_meta else standin.copy_(tensor.detach())
            if self._fake is not None:
                standin = self._without_values(standin, device, tensor)
        if isinstance(tensor, nn.Parameter):
            if self._fake is None:
                standin = nn.Parameter(standin, tensor.requires_grad)
            else:  # what nn.Parameter does of one, without the copy of it that it makes
                standin.requires_grad_(tensor.requires_grad)._is_param = True
        elif tensor.requires_grad and tensor.is_leaf:
            standin.requires_grad_()
        vars(standin).update({k: v for k, v in vars(tensor).items() if k not in vars(standin)})
        return standin

    def _without_values(self, shape: Tensor, device: torch.device, tensor: Tensor) -> Any:
        """A stand-in; one of whole numbers or truths has values that decide, as lengths do."""
        exact = not tensor.is_floating_point() and not tensor.is_complex()
        if tensor.is_meta or not exact or tensor.numel() > _KNOWN or isinstance(tensor, FakeTensor):
            return FakeTensor(self._fake, shape, device)
        standin = FakeTensor(self._fake, shape, device, constant=tensor.detach().clone())
        self._fake.fake_tensor_converter.add_constant_storage_mapping(standin)
        return standin

    def _storage(self, tensor: Tensor, home: torch.device) -> Any:
        """Memory that stands for that of a tensor, the same each time."""
        own = tensor.untyped_storage()
        if id(own) not in self._storages:
            make = torch.empty if self._fake is not None else torch.zeros
            copy = make(own.nbytes(), dtype=torch.uint8, device=home).untyped_storage()
            if self._fake is None and not tensor.is_meta:
                copy.copy_(own)
            self._storages[id(own)] = copy, own
        return self._storages[id(own)][0]
