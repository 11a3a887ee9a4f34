"""Built modules: real, trainable, with the graph's paths."""

from __future__ import annotations

import copy
import io
import pickle
from typing import Any

import pytest
import torch

import costlab
from costlab.graph import Net
from costlab.modules.build import build
from costlab.ops.broadcast import Add
from costlab.ops.conv import Conv
from costlab.ops.zero_cost import Concat


def test_module_paths_are_graph_paths() -> None:
    table = costlab.analyze("googlenet", aux=True)
    module = build("googlenet", aux=True)
    leaves = [path for path, each in module.named_modules() if not list(each.children())]
    assert leaves == [row.path for row in table.rows]
    assert sum(p.numel() for p in module.parameters()) == table.total.params


def test_a_built_module_trains() -> None:
    torch.manual_seed(0)
    module = build("googlenet", input_size=(2, 3, 64, 64), bn=True)
    assert module.training
    optimiser = torch.optim.SGD(module.parameters(), lr=0.1)
    before = copy.deepcopy(module.state_dict())
    module(torch.randn(2, 3, 64, 64))[:, 0].log().sum().backward()
    assert all(p.grad is not None for p in module.parameters())
    optimiser.step()
    assert any(not torch.equal(before[key], value) for key, value in module.state_dict().items())


def test_a_scope_is_a_module_of_its_own() -> None:
    module: Any = build("googlenet").eval()
    x = torch.randn(1, 192, 28, 28)
    assert module.inception_3a(x).shape == (1, 256, 28, 28)
    with pytest.raises(TypeError, match="takes 1 tensor, not 2"):
        module.inception_3a(x, x)


def test_a_scope_may_read_and_give_several_values() -> None:
    net = Net("two", (1, 4, 8, 8), (1, 4, 8, 8))
    with net.scope("middle"):
        both = net.add("add", Add(), *net.inputs)
        left = net.add("left", Conv(2, 1), both)
        right = net.add("right", Conv(3, 1), both)
    out = net.add("concat", Concat(), right, left)
    graph = net.graph((out, left))
    assert costlab.crosscheck(graph).agrees
    module: Any = build(graph)
    a, b = torch.randn(1, 4, 8, 8), torch.randn(1, 4, 8, 8)
    joined, first = module(a, b)
    assert torch.equal(first, module.middle.left(a + b))
    assert torch.equal(joined, torch.cat([module.middle.right(a + b), first], 1))


def test_a_built_module_can_be_saved_and_copied() -> None:
    module = build("reduced").eval()
    x = torch.randn(1, 192, 28, 28)
    expected = module(x)
    file = io.BytesIO()
    torch.save(module, file)
    file.seek(0)
    for again in (
        torch.load(file, weights_only=False),
        copy.deepcopy(module),
        pickle.loads(pickle.dumps(module)),
    ):
        assert torch.equal(again(x), expected)
