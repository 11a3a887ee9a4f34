"""What operations write into the memory of a user's tensors, to be put back."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from torch import Tensor, UntypedStorage
from torch.utils._python_dispatch import TorchDispatchMode


class Written(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """While it is entered, keeps what memory of some tensors holds before it is written to.

    Only that memory is copied: of most models none. What is written to later, when it is no longer
    entered, is put back too if it was seen to be written to once.
    """

    def __init__(self, tensors: Iterable[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._theirs = {_place(tensor) for tensor in tensors} - {0}
        self._before: dict[int, tuple[UntypedStorage, UntypedStorage]] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given = dict(enumerate(args)) | (kwargs or {})
        for written in _written(func):
            value = given.get(written)
            for target in value if isinstance(value, (tuple, list)) else (value,):
                if isinstance(target, Tensor) and (place := _place(target)) in self._theirs:
                    storage = target.untyped_storage()
                    if place not in self._before:
                        self._before[place] = storage, storage.clone()  # type: ignore[no-untyped-call]
        return func(*args, **(kwargs or {}))

    def put_back(self) -> None:
        """What was there before."""
        for storage, before in self._before.values():
            storage.copy_(before, non_blocking=False)


@lru_cache(maxsize=4096)
def _written(func: Any) -> tuple[int | str, ...]:
    """The arguments that an operation writes to: by position, or by name."""
    return tuple(
        argument.name if argument.kwarg_only else position
        for position, argument in enumerate(func._schema.arguments)
        if argument.alias_info is not None and argument.alias_info.is_write
    )


def _place(tensor: Tensor) -> int:
    """Where its memory is; 0 if it has none of its own, or none that can be named."""
    try:
        return tensor.untyped_storage().data_ptr()
    except (NotImplementedError, RuntimeError, ValueError):
        # Sparse ones, those that others made, and parameters without a shape yet.
        return 0
