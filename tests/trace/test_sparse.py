"""A product with a sparse operand costs by what is stored of it, in every spelling."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.sparse import SparseSemiStructuredTensor, SparseSemiStructuredTensorCUTLASS

import costlab
from costlab.errors import TraceError

pytestmark = pytest.mark.filterwarnings("ignore:Sparse")  # what torch says of its beta, once

N = 10
DENSE = (torch.rand(N, N, generator=torch.Generator().manual_seed(0)) < 0.3).float()
STORED = int(DENSE.count_nonzero())
PAIRS = sum(int(DENSE[i, k] * DENSE[k, j]) for i in range(N) for k in range(N) for j in range(N))
SQUARED = int((DENSE @ DENSE).count_nonzero())
LINEAR = N * 4 * 3

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # torch says once that these are in beta
    COO, CSR, CSC = DENSE.to_sparse(), DENSE.to_sparse_csr(), DENSE.to_sparse_csc()
    BSR = DENSE.to_sparse_bsr((2, 2))
BLOCKS = BSR.values().numel()

Function = Callable[[Tensor, Tensor], Any]


class Held(nn.Module):
    """Has the sparse matrix as a buffer."""

    matrix: Tensor

    def __init__(self, function: Function, matrix: Tensor) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 3, bias=False)
        self.register_buffer("matrix", matrix)
        self.function = function

    def forward(self, x: Tensor) -> Any:
        return self.function(self.matrix, self.linear(x))


class Attribute(Held):
    """Has it as an attribute that torch does not know."""

    def __init__(self, function: Function, matrix: Tensor) -> None:
        super().__init__(function, matrix)
        del self.matrix
        self.matrix = matrix


class Given(Held):
    """Gets it."""

    def forward(self, x: Tensor, matrix: Tensor | None = None) -> Any:
        return self.function(self.matrix if matrix is None else matrix, self.linear(x))


def count(function: Function, matrix: Tensor, real: bool = False) -> tuple[int, bool]:
    """MACs beside those of the linear layer, and whether that is all: alike in all modules."""
    x = torch.zeros(N, 4)
    found = set()
    for module, inputs in (
        (Held(function, matrix), (x,)),
        (Attribute(function, matrix), (x,)),
        (Given(function, COO), (x, matrix)),
    ):
        before = matrix.to_dense().clone()
        table = costlab.analyze(module, inputs=inputs, real=real)
        table.graph.check()
        assert torch.equal(matrix.to_dense(), before)
        found.add((table.total.macs - LINEAR, table.complete))
    (one,) = found
    return one


PRODUCTS: dict[str, tuple[Function, int]] = {
    "a @ h": (lambda a, h: a @ h, 3 * STORED),
    "mm": (torch.mm, 3 * STORED),
    "matmul": (torch.matmul, 3 * STORED),
    "Tensor.matmul": (lambda a, h: a.matmul(other=h), 3 * STORED),
    "spmm": (torch.spmm, 3 * STORED),
    "dsmm": (torch.dsmm, 3 * STORED),
    "sparse.mm": (torch.sparse.mm, 3 * STORED),
    "addmm": (lambda a, h: torch.addmm(h, a, h), 3 * STORED),
    "sparse.addmm": (lambda a, h: torch.sparse.addmm(h, a, h, beta=0.5), 3 * STORED),
    "mv": (lambda a, h: torch.mv(a, h[:, 0]), STORED),
    "with a vector": (lambda a, h: a @ h[:, 0], STORED),
    "h @ a": (lambda a, h: h.t() @ a, 3 * STORED),
    "__rmatmul__": (lambda a, h: a.__rmatmul__(h.t()), 3 * STORED),
    "F.linear": (lambda a, h: functional.linear(h.t(), weight=a), 3 * STORED),
    "transposed": (lambda a, h: a.t() @ h, 3 * STORED),
    "scaled": (lambda a, h: (a * 2) @ h, 3 * STORED),
    "in place": (lambda a, h: a.clone().mul_(2) @ h, 3 * STORED),
    "moved": (lambda a, h: a.detach().to(h.device, torch.float32) @ h, 3 * STORED),
    "twice": (lambda a, h: a @ (a @ h), 6 * STORED),
    "dense": (lambda a, h: a.to_dense() @ h, 3 * N * N),
    "of a constant": (lambda a, h: DENSE.to_sparse() @ h, 3 * STORED),
    "if": (lambda a, h: (a if a.layout is not torch.strided else a.to_dense()) @ h, 3 * STORED),
    "embedding": (
        lambda a, h: functional.embedding(torch.tensor([1, 2]), h, sparse=True),
        0,
    ),
}
"""Calls with a sparse and a dense matrix, and their MACs."""


@pytest.mark.parametrize("real", [False, True])
@pytest.mark.parametrize("matrix", [COO, CSR, CSC], ids=["coo", "csr", "csc"])
@pytest.mark.parametrize("name", PRODUCTS)
def test_a_product_costs_what_is_stored(name: str, matrix: Tensor, real: bool) -> None:
    function, macs = PRODUCTS[name]
    assert count(function, matrix, real) == (macs, True)


class Looked(nn.Module):
    """Graph convolution of a table of the nodes, which learns, or of what comes in."""

    def __init__(self, given: bool) -> None:
        super().__init__()
        self.table, self.given = nn.Parameter(torch.rand(N, 4)), given

    def forward(self, x: Tensor) -> Tensor:
        product: Tensor = torch.sparse.mm(COO, x if self.given else self.table)
        return product + self.table


@pytest.mark.parametrize("given", [False, True])
def test_a_table_gets_its_gradient_by_what_is_stored(given: bool) -> None:
    """``dW = Aᵀ·dy``: each stored element with each column of the gradient."""
    x = torch.zeros(N, 4, requires_grad=given)
    total = costlab.analyze(Looked(given), inputs=x, training_cost=True).total
    products = sum(bool(DENSE[i, j]) for i in range(N) for j in range(N) for _ in range(4))
    of_input, of_weight = (products, 0) if given else (0, products)
    assert (total.input_gradient_macs, total.weight_gradient_macs) == (of_input, of_weight)


OF_COO: dict[str, tuple[Function, int]] = {
    "coalesced": (lambda a, h: a.coalesce() @ h, 3 * STORED),
    "number": (lambda a, h: (a if a._nnz() == STORED else a.to_dense()) @ h, 3 * STORED),
    "two sparse ones": (lambda a, h: torch.sparse.mm(a, a) @ h, PAIRS + 3 * SQUARED),
    "joined": (lambda a, h: torch.cat([a, a]) @ h, 6 * STORED),
    "batched": (lambda a, h: torch.bmm(torch.stack([a, a]), h.expand(2, N, 3)), 6 * STORED),
    "its values": (lambda a, h: h[a.indices()[1]] * a.values()[:, None], 0),
    "of computed values": (
        lambda a, h: torch.sparse_coo_tensor(a.indices(), a.values() * h[0, 0], a.shape) @ h,
        3 * STORED,
    ),
}


@pytest.mark.parametrize("real", [False, True])
@pytest.mark.parametrize("name", OF_COO)
def test_what_coordinates_give(name: str, real: bool) -> None:
    function, macs = OF_COO[name]
    assert count(function, COO, real) == (macs, True)


@pytest.mark.parametrize("real", [False, True])
def test_the_pattern_of_two_sparse_operands(real: bool) -> None:
    assert count(lambda a, h: torch.sparse.mm(a, a) @ h, CSR, real)[0] == PAIRS + 3 * SQUARED


def test_blocks_are_stored_whole() -> None:
    assert BLOCKS > STORED
    for real in (False, True):
        assert count(lambda a, h: a @ h, BSR, real) == (3 * BLOCKS, True)


def test_only_some_elements_of_a_product() -> None:
    for real in (False, True):
        sampled = count(lambda a, h: torch.sparse.sampled_addmm(a, h, h.t()), CSR, real)
        assert sampled == (3 * STORED, True)


UNKNOWN: dict[str, Function] = {
    "computed": lambda a, h: (h @ h.t()).to_sparse() @ h,
    "softmax": lambda a, h: torch.sparse.softmax(a, 1),
    "sum": lambda a, h: torch.sparse.sum(a, 1),
    "the mean in place of the sum": lambda a, h: torch.sparse.mm(CSR, h, "mean"),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_is_not_known_is_uncounted(name: str) -> None:
    assert not count(UNKNOWN[name], COO)[1]


def test_what_is_uncounted_has_its_place() -> None:
    table = costlab.analyze(Held(lambda a, h: (h @ h.t()).to_sparse() @ h, COO), (N, 4))
    assert [(row.path, row.label) for row in table.uncounted] == [("matmul_2", "matmul")]


def test_additions_of_a_sum_and_of_a_bias() -> None:
    def adds(function: Function) -> int:
        return costlab.analyze(Held(function, CSR), (N, 4)).total.count.add

    assert adds(lambda a, h: torch.addmm(h, a, h)) == 3 * N
    assert adds(lambda a, h: functional.linear(h.t(), a, h[:, 0])) == 3 * N
    assert adds(lambda a, h: a @ h) == 0


def test_what_is_stored_twice_counts_twice() -> None:
    twice = torch.sparse_coo_tensor(torch.tensor([[0, 0], [1, 1]]), torch.ones(2), (N, N))
    assert count(lambda a, h: a @ h, twice) == (6, True)
    assert count(lambda a, h: a.coalesce() @ h, twice)[0] == 3


def test_parameters_that_are_sparse_are_counted() -> None:
    layer = nn.Linear(N, N, bias=False)
    layer.weight = nn.Parameter(COO.clone(), requires_grad=False)
    for real in (False, True):
        table = costlab.analyze(layer, (2, N), real=real)
        assert (table.total.macs, table.total.params, table.complete) == (
            2 * STORED,
            N * N,
            True,
        )


@pytest.mark.filterwarnings("ignore:The PyTorch API of SparseSemi")
def test_semi_structured_parameters() -> None:
    weight = torch.tensor([0, 0, 1, 1], dtype=torch.float16).tile(128, 32)
    sparse = SparseSemiStructuredTensorCUTLASS(
        weight.shape,
        packed=weight[:, :64].contiguous(),
        meta=torch.zeros(128, 8, dtype=torch.int16),
        packed_t=None,
        meta_t=None,
        compressed_swizzled_bitmask=None,
    )
    assert isinstance(sparse, SparseSemiStructuredTensor)
    layer = nn.Linear(128, 128, bias=False, dtype=torch.float16)
    layer.weight = nn.Parameter(sparse, requires_grad=False)
    table = costlab.analyze(layer, (64, 128))
    assert (table.total.macs, table.total.params) == (64 * 128 * 128 // 2, 128 * 128)


def test_what_torch_refuses_is_refused() -> None:
    with pytest.raises(TraceError, match=r"size|shape|mat"):
        costlab.analyze(Held(lambda a, h: a @ h.t(), COO), (N, 4))


HYBRID = DENSE.to_sparse(1)  # of whole rows


@pytest.mark.filterwarnings("ignore:Sparse")
@pytest.mark.parametrize(
    ("function", "matrix"),
    [
        (lambda a, h: torch.addmv(torch.zeros(N), a, h[:, 0]), COO),
        (lambda a, h: torch.sparse.mm(a, h, "sum"), COO),
        (lambda a, h: functional.linear(h.t(), a, torch.zeros(N)), COO),
        (lambda a, h: torch.sparse.mm(a, h, "sum"), CSC),
        (lambda a, h: a @ h.double(), CSR),
        (lambda a, h: a @ h, HYBRID),
        (lambda a, h: torch.sparse.addmm(torch.zeros(N, 3), a, h), HYBRID),
    ],
)
def test_layouts_that_torch_refuses_are_refused(function: Function, matrix: Tensor) -> None:
    module = Held(function, matrix)
    with pytest.raises(RuntimeError):
        module(torch.zeros(N, 4))
    with pytest.raises(TraceError):
        costlab.analyze(module, (N, 4))


@pytest.mark.parametrize("matrix", [COO, CSR], ids=["coo", "csr"])
@pytest.mark.parametrize("name", ["a @ h", "sparse.mm", "mv", "with a vector", "addmm"])
def test_other_counters_of_a_sparse_product(name: str, matrix: Tensor) -> None:
    """They count these as if they were dense, or not at all; where it is known which."""
    module = Held(PRODUCTS[name][0], matrix)
    accounts = costlab.reconcile(module, (N, 4), against=["torch", "ptflops_aten"]).accounts
    assert [each.residual for each in accounts] == [0, 0]
    checks = costlab.crosscheck(module, (N, 4)).rows
    assert {check.verdict for check in checks if check.ours} <= {
        "agrees",
        "known fault",
        "not covered",
    }
