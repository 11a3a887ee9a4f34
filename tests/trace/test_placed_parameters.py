"""What hooks put in place of parameters are parameters, and the module is whole afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import costlab

MACS, PARAMS = 3 * 16 * 32 * 2, 2 * 16 * 32 + 32 + 16 + 2 * 16


def empty(weight: Tensor) -> nn.Parameter:
    return nn.Parameter(torch.empty_like(weight, device="meta"), requires_grad=False)


def by_registry(module: nn.Module, name: str, weight: Tensor | None, own: Tensor) -> None:
    module._parameters[name] = nn.Parameter(own if weight is None else weight, requires_grad=False)


def by_attribute(module: nn.Module, name: str, weight: Tensor | None, own: Tensor) -> None:
    setattr(module, name, nn.Parameter(own if weight is None else weight, requires_grad=False))


def by_data(module: nn.Module, name: str, weight: Tensor | None, own: Tensor) -> None:
    getattr(module, name).data = torch.empty(0) if weight is None else weight


def as_plain_tensor(module: nn.Module, name: str, weight: Tensor | None, own: Tensor) -> None:
    delattr(module, name)
    if weight is None:
        module.register_parameter(name, nn.Parameter(own, requires_grad=False))
    else:
        setattr(module, name, weight)


Place = Callable[[nn.Module, str, Tensor | None, Tensor], None]
PLACES: list[Place] = [by_registry, by_attribute, by_data, as_plain_tensor]


def offloaded(place: Place) -> nn.Module:
    """Its weights are elsewhere but for while a module runs."""
    net = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 16), nn.LayerNorm(16))
    for module in net.modules():
        for name, weight in list(module._parameters.items()):
            assert weight is not None
            held, own = weight.detach(), empty(weight)

            def load(m: nn.Module, _: Any, name: str = name, held: Tensor = held) -> None:
                place(m, name, held.clone(), held)

            def free(m: nn.Module, _: Any, y: Any, name: str = name, own: Tensor = own) -> None:
                place(m, name, None, own)

            module.register_forward_pre_hook(load)
            module.register_forward_hook(free)
            free(module, None, None)
    return net


def state(module: nn.Module) -> list[tuple[str, int, tuple[int, ...], str]]:
    return [
        (name, id(each), tuple(each.shape), each.device.type)
        for name, each in module.named_parameters()
    ]


@pytest.mark.parametrize("real", [False, True])
@pytest.mark.parametrize("place", PLACES)
def test_offloaded_parameters_are_counted(place: Place, real: bool) -> None:
    module, x = offloaded(place), torch.ones(3, 16)
    expected = module(x)
    before = state(module)
    table = costlab.analyze(module, inputs=x, real=real)
    assert (table.total.macs, table.total.params, table.complete) == (MACS, PARAMS, True)
    assert [row.params for row in table.rows] == [544, 0, 528, 32]
    assert table.graph.unused == ()
    table.graph.check()
    assert state(module) == before
    assert torch.equal(module(x), expected)


def test_a_forward_that_loads_them_itself() -> None:
    def loading(module: nn.Linear, held: Tensor, x: Tensor) -> Tensor:
        module._parameters["weight"] = nn.Parameter(held.clone())
        y = nn.Linear.forward(module, x)
        module._parameters["weight"] = empty(held)
        return y

    layer = nn.Linear(4, 2, bias=False)
    held = layer.weight.detach()
    layer._parameters["weight"] = empty(held)
    layer.forward = partial(loading, layer, held)  # type: ignore[method-assign]
    once = costlab.analyze(nn.Sequential(layer, nn.ReLU()), (3, 4))
    assert (once.total.macs, once.total.params) == (24, 8)


def test_parameters_that_are_loaded_twice_count_once() -> None:
    layer = nn.Linear(4, 4)
    held = layer.weight.detach()
    layer.register_forward_pre_hook(lambda m, _: by_registry(m, "weight", held.clone(), held))
    for real in (False, True):
        table = costlab.analyze(nn.Sequential(layer, layer), (3, 4), real=real)
        assert (table.total.macs, table.total.params) == (96, 20)


def test_what_is_computed_of_parameters_is_no_parameter() -> None:
    """The weight of a hypernetwork counts where it is computed."""

    class Hyper(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.made = nn.Linear(4, 4, bias=False), nn.Linear(4, 16)

        def forward(self, x: Tensor) -> Tensor:
            self.inner.weight.data = self.made(x[0]).view(4, 4)
            return self.inner(x)  # type: ignore[no-any-return]

    table = costlab.analyze(Hyper(), (3, 4))
    assert (table.total.macs, table.total.params) == (64 + 48, 80)
    assert table.graph.unused == (("inner.weight", 16),)


SHARDED = """
import torch, costlab, torch.distributed as dist
from torch import nn
dist.init_process_group("gloo")
from torch.distributed.fsdp import fully_shard
from torch.distributed.device_mesh import init_device_mesh
mesh, x = init_device_mesh("cpu", (1,)), torch.randn(3, 64)
def net():
    module = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
    fully_shard(module[0], mesh=mesh)
    fully_shard(module, mesh=mesh)
    return module
for used in (False, True):
    module = net()
    if used:
        module(x)
    table = costlab.analyze(module, inputs=x)
    print(table.total.macs, table.total.params, table.complete)
    try:
        costlab.analyze(module, inputs=x, real=True)
    except costlab.errors.TraceError as error:
        print(str(error).partition(":")[0])
    module(x).sum().backward()
dist.destroy_process_group()
"""


def test_sharded_modules_are_followed_on_shapes_alone() -> None:
    """Their state is of the process: it has one of its own."""
    settings = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0", "RANK": "0", "WORLD_SIZE": "1"}
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SHARDED],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, **settings},
    )
    refused = "a module of fully_shard is followed on shapes only, without real=True or --real"
    assert run.stdout.splitlines() == ["28416 9610 True", refused] * 2, run.stderr


SEVERAL_RANKS = """
import torch, costlab, torch.distributed as dist
from torch import nn
from torch.testing._internal.distributed.fake_pg import FakeStore
dist.init_process_group("fake", store=FakeStore(), rank=0, world_size=2)
from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module
mesh = init_device_mesh("cpu", (2,))
def net():
    return nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
sharded = fully_shard(net(), mesh=mesh)
parallel = parallelize_module(net(), mesh, {"0": ColwiseParallel(), "2": RowwiseParallel()})
flat = FullyShardedDataParallel(net(), device_id=torch.device("cpu"))
same = nn.parallel.DistributedDataParallel(net())
for module in (sharded, parallel, flat, same):
    hooks = [len(part._forward_pre_hooks) for part in module.modules()]
    try:
        table = costlab.analyze(module, inputs=torch.randn(3, 64))
        print(table.total.macs, table.total.params, table.complete)
    except costlab.errors.TraceError as error:
        print(str(error).partition(":")[0])
    assert hooks == [len(part._forward_pre_hooks) for part in module.modules()]
"""


def test_modules_that_are_split_over_several_ranks() -> None:
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SEVERAL_RANKS],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    flat = "a module of FullyShardedDataParallel over several ranks has a part of each parameter"
    whole = "28416 9610 True"
    assert run.stdout.splitlines() == [whole, whole, flat, whole], run.stderr
