"""What counters on the graph of ``torch.jit.trace`` have in common: fvcore and torchprofile.

They do not see what the trace leaves out, and know operators by the names that it has for them.
"""

from __future__ import annotations

from functools import partial

from costlab.counters.quantities import in_torch_sparse, macs
from costlab.counters.terms import (
    Term,
    Where,
    in_autograd_function,
    leads_nowhere,
    operation,
)

UNSEEN = (in_autograd_function, leads_nowhere)
"""What they do not see: the trace leaves out what no output depends on."""


seen = partial(Term, but=UNSEEN)
"""A term about what they see."""


def no_rule(what: str, how: str = "", *, where: Where, named: str = "") -> Term:
    """That a tool has no rule for some contractions, as far as it sees them."""
    return seen(f"no rule for {what}", how, where=where, units={macs: -1}, fault=True, named=named)


COMMON = (
    no_rule(
        'padding="same"',
        'or "valid"',
        where=operation("conv", padding="same") + operation("conv", padding="valid"),
        named="aten::_convolution_mode",
    ),
    Term(
        "no rule for products of torch.sparse",
        where=(in_torch_sparse,),
        units={macs: -1},
        fault=True,
    ),
    Term(
        "no rule for autograd.Functions",
        where=(in_autograd_function,),
        but=(leads_nowhere,),
        units={macs: -1},
        fault=True,
        named="prim::PythonOp",
    ),
    Term(
        "no trace of what no output depends on",
        where=(leads_nowhere,),
        units={macs: -1},
        fault=True,
    ),
)
"""What neither counts."""
