"""The other counters, each on a module of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from functools import partial
from importlib import import_module
from typing import Any

import torch
from fvcore.nn import FlopCountAnalysis
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

Counter = Callable[[nn.Module, Tensor], object]


def fvcore(module: nn.Module, x: Tensor) -> object:
    analysis = FlopCountAnalysis(module, x).unsupported_ops_warnings(False)
    return analysis.uncalled_modules_warnings(False).total()


def flop_counter_mode(module: nn.Module, x: Tensor) -> object:
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module(x)
    return counter.get_total_flops()


def torchinfo(library: Any, module: nn.Module, x: Tensor) -> object:
    return library.summary(module, input_data=x, verbose=0).total_mult_adds


def ptflops(library: Any, module: nn.Module, x: Tensor, backend: str) -> object:
    return library.get_model_complexity_info(
        module,
        tuple(x.shape[1:]),
        as_strings=False,
        print_per_layer_stat=False,
        verbose=False,
        backend=backend,
    )[0]


def thop(library: Any, module: nn.Module, x: Tensor) -> object:
    return library.profile(module, inputs=(x,), verbose=False)[0]


OPTIONAL: dict[str, tuple[str, Callable[..., object]]] = {
    "torchinfo": ("torchinfo", torchinfo),
    "ptflops pytorch": ("ptflops", partial(ptflops, backend="pytorch")),
    "ptflops aten": ("ptflops", partial(ptflops, backend="aten")),
    "thop": ("thop", thop),
}


def rivals(module: nn.Module, x: Tensor) -> Mapping[str, Callable[[], object]]:
    """The counters that are installed, each with a copy of the module."""
    found: dict[str, Counter] = {"fvcore": fvcore, "torch": flop_counter_mode}
    missing = set()
    for name, (package, count) in OPTIONAL.items():
        try:
            found[name] = partial(count, import_module(package))
        except ImportError:
            missing.add(package)
    if missing:
        print(f"without {', '.join(sorted(missing))}: pip install -e '.[counters]'")
    bound = {name: partial(count, deepcopy(module), x) for name, count in found.items()}
    bound["torch on meta"] = partial(flop_counter_mode, deepcopy(module).to("meta"), x.to("meta"))
    return bound


def with_symbols(module: nn.Module, names: tuple[int | str, ...], hints: tuple[int, ...]) -> object:
    """FLOPs by torch's counter, as an expression of symbols, or what it raises."""
    from torch._dynamo.source import ConstantSource
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.fx.experimental.symbolic_shapes import DimDynamic, ShapeEnv
    from torch.utils.flop_counter import FlopCounterMode

    shapes = ShapeEnv()
    symbols: dict[str, torch.SymInt | int] = {}
    for name, hint in zip(names, hints, strict=True):
        if isinstance(name, str):
            source = ConstantSource(name)
            symbol = shapes.create_symbol(hint, source, DimDynamic.DYNAMIC)
            symbols[name] = shapes.create_symintnode(symbol, hint=hint, source=source)
    with FakeTensorMode(shape_env=shapes, allow_non_fake_inputs=True) as mode:
        own = mode.from_tensor
        sizes = [symbols[name] if isinstance(name, str) else name for name in names]
        for part in module.modules():
            for key, parameter in part._parameters.items():
                if parameter is not None:
                    part._parameters[key] = nn.Parameter(own(parameter.detach()))
            for key, buffer in part._buffers.items():
                if buffer is not None:
                    part._buffers[key] = own(buffer)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            module(torch.empty(sizes, device="meta"))
    return counter.get_total_flops()
