"""What lets a larger batch fit: other settings of a step, each of them run."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from costlab.footprint.settings import Settings

if TYPE_CHECKING:
    from torch import nn


def alternatives(settings: Settings, training: bool, has_blocks: bool) -> dict[str, Settings]:
    """Other settings that take less, by what is changed."""
    others = {}
    if settings.optimizer not in ("", "sgd"):
        others[f"sgd in place of {settings.optimizer}"] = settings._replace(optimizer="sgd")
    if settings.dtype not in ("bfloat16", "float16"):
        others["all numbers in bfloat16"] = settings._replace(dtype="bfloat16")
    if training and has_blocks:
        others["each block checkpointed"] = settings._replace(checkpointed=True)
    return others


def blocks(module: nn.Module) -> Iterable[nn.Module]:
    """The modules with parts of their own that stand in a Sequential or a ModuleList.

    The outermost ones: those inside of a block belong to it.
    """
    from torch import nn

    in_a_row = isinstance(module, (nn.Sequential, nn.ModuleList))
    for part in module.children():
        if in_a_row and any(True for _ in part.children()):
            yield part
        else:
            yield from blocks(part)


def checkpoint_blocks(module: nn.Module) -> None:
    """Have the blocks of a module, which is changed, computed again in the backward pass."""
    from torch.utils.checkpoint import checkpoint

    for block in blocks(module):
        block.forward = partial(checkpoint, block.forward, use_reentrant=False)
