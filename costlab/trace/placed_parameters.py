"""Parameters that hooks put in place of those that a module has, for as long as it runs.

Offloading hooks load a weight before a module runs, and take it away afterwards. What a module has
by the name of a parameter when its code takes it is that parameter.
"""

from __future__ import annotations

import sys

from torch import Tensor, nn

from costlab.errors import TraceError
from costlab.trace.module_stack import Places

_SHARDING = "torch.distributed.fsdp._fully_shard"
_PARALLEL = "torch.distributed.tensor"
_FLAT = "FullyShardedDataParallel"
_ROOMS = {"torch.distributed.fsdp", _PARALLEL}
"""Where these are from: nothing is to be done before they are imported."""


def parameter_in_place(
    tensor: Tensor, places: Places, path: str, standins: dict[int, Tensor]
) -> int | None:
    """The identity of the parameter in whose place a tensor is, or what it stands for.

    It is looked for in the module at work there, and parameters in all others too.
    """
    own = places.module_at(path)
    modules = ([own] if own else []) + (places.modules if isinstance(tensor, nn.Parameter) else [])
    for module in modules:
        for name, value in [*module._parameters.items(), *module.__dict__.items()]:
            if value is tensor or standins.get(id(value)) is tensor:
                inside = places.by_identity[id(module)]
                return places.identity_of(f"{inside}.{name}" if inside else name)
    return None


def drop_sharding(modules: list[nn.Module], real: bool) -> None:
    """Let modules run without the hooks of ``fully_shard`` and of tensor parallelism.

    Their parameters have their whole shapes, so that the cost is that of the whole model. What
    ``fully_shard`` makes of them when it first runs is outside of the modules, and would not be put
    back. Raises ``TraceError`` for a run on real tensors, which needs it, and for what keeps only
    a part of each parameter.
    """
    if not sys.modules.keys() & _ROOMS:
        return
    for module in modules:
        if type(module).__name__ == _FLAT and getattr(module, "world_size", 1) > 1:
            raise TraceError(
                f"a module of {_FLAT} over several ranks has a part of each parameter: give the "
                "module as it was before, or use fully_shard, which is followed"
            )
        for hooks in (module._forward_pre_hooks, module._forward_hooks):
            for key, hook in list(hooks.items()):
                home = getattr(hook, "__module__", "")
                if home.startswith(_SHARDING) and real:
                    raise TraceError(
                        "a module of fully_shard is followed on shapes only, without real=True "
                        "or --real: give the module as it was before for a real run"
                    )
                if not real and home.startswith((_SHARDING, _PARALLEL)):
                    del hooks[key]
