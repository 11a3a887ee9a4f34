"""The module itself: the sizes of its tensors, and the shapes that come out when it runs."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from costlab.counters import Counter, Measurement

if TYPE_CHECKING:
    from torch import Tensor, nn


def measure(module: nn.Module, inputs: tuple[Tensor, ...]) -> Measurement:
    """Params and output shapes by module path. A tensor used twice counts where it is first."""
    import torch

    outputs: dict[str, tuple[int, ...]] = {}

    def called(path: str, _module: nn.Module, _inputs: Any, output: Any) -> None:
        if isinstance(output, torch.Tensor):
            outputs[path] = tuple(output.shape)

    hooks = [
        inner.register_forward_hook(partial(called, path)) for path, inner in module.named_modules()
    ]
    try:
        with torch.no_grad():
            module(*inputs)
    finally:
        for hook in hooks:
            hook.remove()
    params = {path: 0 for path, _ in module.named_modules()}
    for name, parameter in module.named_parameters():
        params[name.rpartition(".")[0]] += parameter.numel()
    version = torch.__version__.partition("+")[0]
    return Measurement("module", version, {"params": params, "output": outputs})


COUNTER = Counter("module", measure=measure)
