"""Modules whose weights have no shape until they are called."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter, is_lazy

import costlab


class Own(nn.Module):
    """Makes its weights by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = UninitializedParameter()
        self.register_buffer("shift", UninitializedBuffer())

    def forward(self, x: Tensor) -> Tensor:
        if isinstance(self.weight, UninitializedParameter):
            self.weight.materialize((x.shape[-1], 4))
            self.shift.materialize((4,))  # type: ignore[operator,union-attr]
        return x @ self.weight + self.shift  # type: ignore[operator]


class Called(nn.Module):
    def __init__(self, *parts: nn.Module) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.parts[0](x)
        return result


def convolutions() -> nn.Module:
    return nn.Sequential(
        *(nn.Conv2d(3, 5, 1), nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.ReLU(), nn.Flatten()),
        *(nn.LazyLinear(3), nn.Linear(3, 2)),
    )


X = torch.rand(2, 3, 8, 8)
LAZY = {
    "convolutions": (convolutions, X),
    "transposed": (
        lambda: nn.Sequential(
            nn.LazyConvTranspose2d(4, 3),
            nn.LazyInstanceNorm2d(affine=True, track_running_stats=True),
        ),
        X,
    ),
    "its own": (Own, torch.rand(2, 5)),
}


@pytest.mark.filterwarnings("ignore:Lazy modules are a new feature")
@pytest.mark.parametrize("how", [{}, {"real": True}, {"training": True}, {"observed": True}])
@pytest.mark.parametrize("name", LAZY)
def test_a_lazy_module_is_counted_and_stays_lazy(name: str, how: dict[str, bool]) -> None:
    make, x = LAZY[name]
    lazy, run = make(), make()
    with torch.no_grad():
        run(x)

    def state() -> object:
        tensors = [*lazy.parameters(), *lazy.buffers()]
        return (
            [(id(tensor), type(tensor), is_lazy(tensor) or tensor.tolist()) for tensor in tensors],
            [
                (type(part), vars(part).copy(), len(part._forward_pre_hooks))
                for part in lazy.modules()
            ],
            torch.get_rng_state().tolist(),
        )

    before = state()
    table = costlab.analyze(lazy, inputs=x, **how)  # type: ignore[arg-type]
    again = costlab.analyze(lazy, inputs=x, **how)  # type: ignore[arg-type]
    assert state() == before
    expected = costlab.analyze(run, inputs=x, **how)  # type: ignore[arg-type]
    assert table.complete
    assert table.graph == again.graph
    assert table.total.count == expected.total.count
    assert table.total.params == sum(parameter.numel() for parameter in run.parameters())
    assert table.graph.outputs == expected.graph.outputs


@pytest.mark.filterwarnings("ignore")
def test_counters_get_a_copy_with_weights() -> None:
    lazy = convolutions()
    before = torch.get_rng_state()
    assert costlab.crosscheck(lazy, inputs=X).agrees
    assert costlab.reconcile(lazy, inputs=X, against="fvcore,thop,torch").explained
    assert torch.equal(before, torch.get_rng_state())
    assert is_lazy(lazy[1].weight)  # type: ignore[index]


@pytest.mark.filterwarnings("ignore:Lazy modules are a new feature")
def test_what_has_no_shape_is_one_line() -> None:
    unused = Called(nn.LazyLinear(3), nn.LazyLinear(2))
    with pytest.raises(
        costlab.TraceError, match=r"^parts\.1\.weight of a lazy module has no shape"
    ):
        costlab.analyze(unused, (1, 3))
    closed = Called(nn.LazyLinear(3))
    closed.file = (n for n in range(2))  # type: ignore[assignment]
    with pytest.raises(costlab.TraceError, match=r"cannot be: TypeError.*run it once"):
        costlab.analyze(closed, (1, 3))


@pytest.mark.filterwarnings("ignore:Lazy modules are a new feature")
def test_other_counters_get_one_that_has_weights() -> None:
    """Also where it is the whole module, which its own hook gives them."""
    check = costlab.crosscheck(nn.LazyLinear(3), (4, 8))
    assert [row.verdict for row in check.rows if row.ours] == ["agrees", "agrees"]
