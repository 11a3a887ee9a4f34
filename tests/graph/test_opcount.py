"""Numbers of operations, which add up."""

from __future__ import annotations

import numpy as np

from costlab.graph import opcount


def test_counts_of_operations_add_and_scale() -> None:
    one = opcount.OpCount(1, 2, 3, 4, 5, 6)
    assert np.int64(3) * one == one * 3 == 3 * one
    assert one.flops == 2 + 20
    assert one + one == 2 * one == one * 2 == opcount.total([one, one])
