"""What several counters count of an event; what one alone counts stands in its own file."""

from __future__ import annotations

from itertools import zip_longest
from math import prod
from typing import Any

from costlab.counters.events import Einsum, Event, Operation
from costlab.counters.terms import Macs

GATES = {"lstm": 4, "gru": 3, "rnn_tanh": 1, "rnn_relu": 1}
"""Products with the input, and with the state, in a step of a recurrent layer."""


@Macs
def macs(event: Event) -> int:
    """Multiply-adds."""
    return sum(operation.macs for operation in event.operations)


@Macs
def macs_of_forward_passes(event: Event) -> int:
    """Multiply-adds forwards; in a training step also of what is computed again."""
    return sum(operation.macs * (1 + operation.runs_again) for operation in event.operations)


@Macs
def macs_of_all_passes(event: Event) -> int:
    """Multiply-adds forwards, and of all gradients in a training step."""
    backwards = sum(sum(macs for macs, _ in operation.gradients) for operation in event.operations)
    return macs_of_forward_passes(event) + backwards


def inputs(event: Event) -> int:
    """Elements of the first input."""
    return prod(event.inputs[0]) if event.inputs else 0


def outputs(event: Event) -> int:
    """Elements of the output."""
    return prod(event.output)


def bias(event: Event) -> int:
    """Elements of outputs to which a bias is added."""
    return sum(map(bias_of, event.operations))


def bias_of(operation: Operation) -> int:
    """Elements of an operation's output, if it adds a bias to them."""
    return prod(operation.output) if getattr(operation.attributes, "bias", False) else 0


def bias_elements(event: Event) -> int:
    """Elements of the bias itself."""
    return event.output[-1] if bias(event) else 0


def second_input(event: Event) -> int:
    """Elements of the second input."""
    return prod(event.inputs[1])


def broadcast_from_the_left(event: Event) -> int:
    """Elements of the inputs broadcast, with their shapes side by side from the left."""
    longest = max(map(len, event.inputs))
    padded = [(*shape, *[1] * (longest - len(shape))) for shape in event.inputs]
    return prod(map(max, zip(*padded, strict=True)))


@Macs
def macs_of_the_first_stack(event: Event) -> int:
    """MACs of a product of stacks of matrices, if the batch were the first operand's."""
    first, second = event.operations[0].operands
    return prod(first) * second[-1]


def is_with_a_vector(event: Event) -> bool:
    """Whether torch multiplies with a vector as such, not as a matrix of one row or column.

    A stack of matrices becomes one of their rows first, if it lies so or the vector learns.
    """
    product = event.operation
    if product is None or product.name != "matmul":
        return False
    first, second = map(len, product.operands)
    if min(first, second) != 1 or (first, second) == (1, 2):
        return False
    return max(first, second) <= 2 or product.learns[int(second == 1)] or product.in_one


def in_torch_sparse(event: Event) -> bool:
    """Whether it is a product by a function of ``torch.sparse``."""
    product = event.operation
    return product is not None and product.name == "sparse_matmul" and "._sparse_" in product.call


def is_sparse_product_of_matrices(event: Event) -> bool:
    """Whether it is a product with a sparse operand that dispatches to one of matrices."""
    product = event.operation
    is_sparse = product is not None and product.name == "sparse_matmul"
    return is_sparse and len(event.output) > 1 and not in_torch_sparse(event)


@Macs
def macs_beyond_what_is_stored(event: Event) -> int:
    """What a product with a sparse operand would have more if that were dense."""
    dense: int = event.operations[0].attributes.dense
    return dense - macs(event)


def is_over_one_element(event: Event) -> bool:
    """Whether it is a product of matrices whose common axis has one element."""
    product = event.operation
    return product is not None and product.name == "matmul" and product.inputs[0][-1] == 1


@Macs
def macs_of_fused_attention(event: Event) -> int:
    """MACs of attention that torch computes on the CPU in one piece, not by its products."""
    return sum(operation.macs for operation in event.of("attention") if _is_fused(operation))


def _is_fused(attention: Operation) -> bool:
    queries, keys, values = attention.inputs
    grouped: bool = attention.attributes.grouped
    alike = queries[0] == keys[0] == values[0] and keys[1] == values[1]
    alike = alike and (grouped or queries[1] == keys[1])
    learnt_mask = any(attention.learns[3:])
    return len(queries) == 4 and alike and queries[-1] == values[-1] and not learnt_mask


@Macs
def macs_of_repeated_scores(event: Event) -> int:
    """MACs of attention's scores that are the same for several values.

    In a training step their gradient is collected of all values before it goes on to queries and
    keys. There are none in what is fused.
    """
    return sum(
        _repeated_scores(attention)
        * (1 + attention.runs_again + sum(of in ((0,), (1,)) for _, of in attention.gradients))
        for attention in event.of("attention")
    )


def _repeated_scores(attention: Operation) -> int:
    queries, keys, _ = attention.inputs
    if attention.attributes.grouped:  # the heads of the keys are repeated before
        keys = (*keys[:-3], queries[-3], *keys[-2:])
    batches = zip_longest(reversed(queries[:-2]), reversed(keys[:-2]), fillvalue=1)
    stacks = prod(max(sizes) for sizes in batches)
    repeated = prod(attention.output[:-2]) - stacks
    return repeated * queries[-2] * keys[-2] * queries[-1]


@Macs
def macs_by_queries(event: Event) -> int:
    """MACs of attention if keys and values had the batch of the queries."""
    queries, keys, values = event.operations[0].operands
    return prod(queries[:-1]) * keys[-2] * (queries[-1] + values[-1])


def flops_of_einsum(event: Event) -> float:
    """What numpy prints for a call of ``einsum``, in four digits: twice the MACs of products.

    Also of what is no product of matrices: outer products, sums, diagonals, in the order that
    numpy finds best.
    """
    import numpy as np

    einsum = event.operations[0].einsum
    assert einsum is not None
    operands = [np.broadcast_to(np.zeros(()), shape) for shape in einsum.shapes]
    _, printed = np.einsum_path(einsum.equation, *operands, optimize="optimal")
    (line,) = (line for line in str(printed).splitlines() if "Optimized FLOP" in line)
    return float(line.rpartition(":")[2])


def is_rounded(event: Event) -> bool:
    """Whether a call of ``einsum`` is products alone, which numpy prints in four digits."""
    einsum = event.operations[0].einsum
    if einsum is None:
        return False
    exactly = (2 * einsum.macs, 2 * einsum.macs + 1)  # numpy adds 1, at least up to 2.4
    return flops_of_einsum(event) in [float(f"{flops:.3e}") for flops in exactly]


@Macs
def macs_of_the_layer(event: Event) -> int:
    """MACs of a convolution or linear layer itself, not of what hooks on its module compute."""
    return sum(layer.macs for layer in event.of("conv", "conv_transpose", "linear"))


def letters_of_einsum(einsum: Einsum) -> tuple[tuple[dict[str, int], ...], set[str]]:
    """The sizes of an einsum's letters in each operand, and the letters of its result.

    The axes of an ellipsis are letters too: how manieth from the right they are.
    """
    terms, arrow, result = einsum.equation.replace(" ", "").partition("->")
    if not arrow:
        alone = sorted(letter for letter in terms if terms.count(letter) == 1 and letter.isalpha())
        result = "..." + "".join(alone)
    operands = []
    for term, shape in zip(terms.split(","), einsum.shapes, strict=True):
        before, _, after = term.partition("...")
        between = len(shape) - len(before) - len(after)
        names = [*before, *map(str, range(between, 0, -1)), *after]
        operands.append(dict(zip(names, shape, strict=True)))
    ellipses = {name for operand in operands for name in operand if name.isdigit()}
    letters = set(result) - {"."} | (ellipses if "..." in result else set())
    return tuple(operands), letters


def scores(event: Event) -> int:
    """Elements of softmaxes, also in attention."""
    softmaxed = sum(prod(softmax.output) for softmax in event.of("softmax", "log_softmax"))
    for attention in event.of("attention"):
        queries, keys, _ = attention.inputs
        softmaxed += prod(queries[:-1]) * keys[-2]
    return softmaxed


def rows_of_scores(event: Event) -> int:
    """Rows of softmaxes, also in attention."""
    rows = 0
    for softmax in event.of("softmax", "log_softmax"):
        axis: int = softmax.attributes.dim
        rows += prod(softmax.output) // softmax.output[axis]
    return rows + sum(prod(attention.inputs[0][:-1]) for attention in event.of("attention"))


@Macs
def macs_by_settings(event: Event) -> int:
    """MACs of a convolution or linear layer by its module's settings, whatever it computes.

    Of a transposed convolution as if they were for each output.
    """
    layer: Any = event.module
    if hasattr(layer, "in_features"):
        return int(layer.in_features * outputs(event))
    return int(outputs(event) * (layer.in_channels // layer.groups) * prod(layer.kernel_size))


@Macs
def recurrent_macs(event: Event) -> int:
    """MACs of recurrent layers."""
    return sum(operation.macs for operation in event.of("recurrent"))


def states(event: Event) -> int:
    """Elements of the states of recurrent layers, of all steps."""
    return sum(prod(operation.output) for operation in event.of("recurrent"))


def gates(event: Event) -> int:
    """Elements of the gates of recurrent layers, of all steps."""
    return sum(map(gates_of, event.of("recurrent")))


def gates_of(recurrent: Operation) -> int:
    """Elements of the gates of a recurrent layer."""
    cell: str = recurrent.attributes.cell
    return GATES[cell] * prod(recurrent.output)


def gates_with_bias(event: Event) -> int:
    """Elements of the gates of recurrent layers that have a bias."""
    return sum(gates_of(layer) for layer in event.of("recurrent") if layer.attributes.bias)


def padded_channels(event: Event) -> int:
    """Elements with the channels that a local response norm adds."""
    batch, channels, *positions = event.output
    added: int = event.operations[-1].attributes.size - 1
    return batch * (channels + added) * prod(positions)
