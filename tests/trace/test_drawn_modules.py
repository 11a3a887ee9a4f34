"""Modules drawn at random: counted as torch does, and left as they were."""

from __future__ import annotations

from collections.abc import Callable

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sampled import examples
from torch import Tensor, nn
from tracing import checked, run_by_torch

import costlab
from costlab.costs.table import costs


class Residual(nn.Module):
    seen: Tensor

    def __init__(self, inner: nn.Module, in_place: bool) -> None:
        super().__init__()
        self.inner, self.in_place = inner, in_place
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.seen += 1
        self.last = x
        y: Tensor = self.inner(x)
        return y.add_(x) if self.in_place else y + x


def leaf(number: int) -> nn.Module:
    makes: list[Callable[[], nn.Module]] = [
        lambda: nn.Conv2d(4, 4, 3, padding=1),
        lambda: nn.Conv2d(4, 4, 1, groups=2, bias=False),
        lambda: nn.BatchNorm2d(4),
        lambda: nn.GroupNorm(2, 4),
        lambda: nn.InstanceNorm2d(4, track_running_stats=True),
        lambda: nn.ReLU(inplace=True),
        nn.GELU,
        lambda: nn.Dropout(0.5),
        nn.PReLU,
        lambda: nn.Softmax(1),
        lambda: nn.MaxPool2d(3, 1, 1),
        lambda: nn.Upsample(scale_factor=1),
    ]
    return makes[number % len(makes)]()


modules = st.recursive(
    st.builds(leaf, st.integers(0, 11)),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: nn.Sequential(*parts)),
        inner.map(lambda part: nn.Sequential(part, part)),
        st.builds(Residual, inner, st.booleans()),
    ),
    max_leaves=6,
)


@given(modules, st.lists(st.booleans(), min_size=8, max_size=8), st.booleans(), st.booleans())
@settings(
    max_examples=examples(30),
    derandomize=True,
)
def test_random_modules_are_counted_as_torch_does_and_not_changed(
    module: nn.Module, flags: list[bool], training: bool, real: bool
) -> None:
    for flag, each in zip(flags, module.modules(), strict=False):
        each.training = flag
        if flag:
            each.register_forward_hook(lambda *_: None)
    tensors = {
        name: (id(tensor), tensor._version, tensor.detach().clone())
        for name, tensor in module.state_dict(keep_vars=True).items()
    }
    before = [
        (
            id(each),
            {key: id(value) for key, value in each.__dict__.items()},
            len(each._forward_hooks),
        )
        for each in module.modules()
    ]
    generator = torch.get_rng_state()
    table = costlab.analyze(module, (1, 4, 5, 5), training=training, real=real)
    assert before == [
        (
            id(each),
            {key: id(value) for key, value in each.__dict__.items()},
            len(each._forward_hooks),
        )
        for each in module.modules()
    ]
    for name, tensor in module.state_dict(keep_vars=True).items():
        identity, version, value = tensors[name]
        assert (id(tensor), tensor._version) == (identity, version)
        assert torch.equal(tensor, value)
    assert torch.equal(torch.get_rng_state(), generator)
    assert table.complete
    assert table.total.params == sum(p.numel() for p in module.parameters())
    assert table.total.macs == run_by_torch(module.eval(), torch.zeros(1, 4, 5, 5))
    assert costs(checked(module, (1, 4, 5, 5))).total.macs == table.total.macs
