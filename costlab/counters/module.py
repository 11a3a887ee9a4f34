"""The module itself: the sizes of its tensors, and the shapes that come out when it runs."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, __version__, nn

from costlab.counters import Measurement


def measure(module: nn.Module, inputs: tuple[Tensor, ...]) -> Measurement:
    """Params and output shapes by module path. A tensor used twice counts where it is first."""
    outputs: dict[str, tuple[int, ...]] = {}

    def seen(path: str, _module: nn.Module, _inputs: Any, output: Any) -> None:
        if isinstance(output, Tensor):
            outputs[path] = tuple(output.shape)

    hooks = [
        each.register_forward_hook(partial(seen, path)) for path, each in module.named_modules()
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
    return Measurement(
        "module", __version__.partition("+")[0], {"params": params, "output": outputs}
    )
