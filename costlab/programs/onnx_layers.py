"""Operators of ONNX that are layers: products, norms, recurrent ones and attention."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import torch
from torch.nn import functional

from costlab.programs.onnx_operators import (
    OPERATORS,
    Attributes,
    Operator,
    operator,
)
from costlab.programs.onnx_values import tensor
from costlab.programs.program import NotFollowedError


@operator("Gemm")
def _gemm(attributes: Attributes, a: Any, b: Any, c: Any = None) -> Any:
    a, b, c = tensor(a), tensor(b), tensor(c)
    a = a.t() if attributes.get("transA") else a
    alpha, beta = attributes.get("alpha", 1.0), attributes.get("beta", 1.0)
    if alpha == 1.0 and beta == 1.0 and (c is None or c.dim() == 1):
        return functional.linear(a, b if attributes.get("transB") else b.t(), c)
    b = b.t() if attributes.get("transB") else b
    if c is None:
        return (a @ b) * alpha
    return torch.addmm(c, a, b, beta=beta, alpha=alpha)


@operator("Einsum")
def _einsum(attributes: Attributes, *inputs: Any) -> Any:
    return torch.einsum(attributes["equation"], *map(tensor, inputs))


@operator("BatchNormalization")
def _batch_norm(attributes: Attributes, x: Any, weight: Any, bias: Any, mean: Any, var: Any) -> Any:
    mean, var, weight, bias = map(tensor, (mean, var, weight, bias))
    eps = attributes.get("epsilon", 1e-5)
    return functional.batch_norm(x, mean, var, weight, bias, False, 0.0, eps)


@operator("InstanceNormalization")
def _instance_norm(attributes: Attributes, x: Any, weight: Any, bias: Any) -> Any:
    weight, bias, eps = tensor(weight), tensor(bias), attributes.get("epsilon", 1e-5)
    return functional.instance_norm(x, None, None, weight, bias, True, 0.0, eps)


@operator("LayerNormalization")
def _layer_norm(attributes: Attributes, x: Any, weight: Any, bias: Any = None) -> Any:
    axis = attributes.get("axis", -1) % x.dim()
    eps = attributes.get("epsilon", 1e-5)
    how = (list(x.shape[axis:]), tensor(weight), tensor(bias), eps)
    if attributes["results"] > 1:  # the mean, and the inverse of the deviation
        return torch.native_layer_norm(x, *how)
    return functional.layer_norm(x, *how)


@operator("RMSNormalization")
def _rms_norm(attributes: Attributes, x: Any, weight: Any) -> Any:
    axis = attributes.get("axis", -1) % x.dim()
    eps = attributes.get("epsilon", 1e-5)
    return functional.rms_norm(x, list(x.shape[axis:]), tensor(weight), eps)


@operator("GroupNormalization")
def _group_norm(attributes: Attributes, x: Any, weight: Any, bias: Any) -> Any:
    groups, eps = attributes["num_groups"], attributes.get("epsilon", 1e-5)
    weight, bias = tensor(weight), tensor(bias)
    if weight.shape[0] == x.shape[1]:
        return functional.group_norm(x, groups, weight, bias, eps)
    own: Any = functional.group_norm(x, groups, None, None, eps)
    own = own.unflatten(1, (groups, -1))
    shape = (groups, *[1] * (x.dim() - 1))
    return (own * weight.reshape(shape) + bias.reshape(shape)).flatten(1, 2)


@operator("LRN")
def _lrn(attributes: Attributes, x: Any) -> Any:
    return functional.local_response_norm(
        x,
        attributes["size"],
        attributes.get("alpha", 1e-4),
        attributes.get("beta", 0.75),
        attributes.get("bias", 1.0),
    )


@operator("LpNormalization")
def _normalised(attributes: Attributes, x: Any) -> Any:
    return functional.normalize(x, attributes.get("p", 2), attributes.get("axis", -1))


def _softmax(function: Callable[..., Any]) -> Operator:
    def compute(attributes: Attributes, x: Any) -> Any:
        x = tensor(x)
        if attributes["opset"] >= 13:
            return function(x, attributes.get("axis", -1))
        axis = attributes.get("axis", 1) % x.dim()
        if prod(x.shape[axis:]) == x.shape[-1]:
            return function(x, -1)
        return function(x.flatten(axis), -1).reshape(x.shape)

    return compute


OPERATORS["Softmax"] = _softmax(torch.softmax)
OPERATORS["LogSoftmax"] = _softmax(torch.log_softmax)


_ACTIVATIONS = {"LSTM": ("Sigmoid", "Tanh"), "GRU": ("Sigmoid", "Tanh"), "RNN": ("Tanh",)}


@operator("LSTM", "GRU", "RNN")
def _recurrent(
    attributes: Attributes,
    x: Any,
    weight: Any,
    recurrence: Any,
    bias: Any = None,
    lengths: Any = None,
    *states: Any,
) -> Any:
    kind, hidden = attributes["operator"], attributes["hidden_size"]
    activations = {*attributes.get("activations", _ACTIVATIONS[kind])}
    is_relu = kind == "RNN" and activations == {"Relu"}
    if not is_relu and activations != {*_ACTIVATIONS[kind]}:
        raise NotFollowedError("other activations")
    if lengths is not None or any(state is not None for state in states[2:]):
        raise NotFollowedError("sequences of several lengths, or peepholes")
    first = bool(attributes.get("layout", 0))
    weight, recurrence, bias = tensor(weight), tensor(recurrence), tensor(bias)
    directions, gates = weight.shape[0], weight.shape[1]
    weights = []
    for n in range(directions):
        weights += [weight[n], recurrence[n]]
        weights += [] if bias is None else [bias[n, :gates], bias[n, gates:]]
    batch = x.shape[0 if first else 1]
    count = 2 if kind == "LSTM" else 1
    own = [
        x.new_zeros(directions, batch, hidden)
        if given is None
        else tensor(given).transpose(0, 1)
        if first
        else tensor(given)
        for given in (*states, None, None)[:count]
    ]
    function: Any = {"LSTM": torch.lstm, "GRU": torch.gru, "RNN": torch.rnn_tanh}[kind]
    function = torch.rnn_relu if is_relu else function
    state = tuple(own) if count == 2 else own[0]
    settings = (bias is not None, 1, 0.0, False, directions == 2, first)
    result, *last = function(x, state, weights, *settings)
    result = result.unflatten(-1, (directions, hidden))
    if first:
        return (result, *(state.transpose(0, 1) for state in last))
    return (result.transpose(1, 2), *last)


@operator("Attention")
def _attention(attributes: Attributes, q: Any, k: Any, v: Any, mask: Any = None) -> Any:
    causal = bool(attributes.get("is_causal"))
    if causal and mask is not None:
        raise NotFollowedError("two masks")
    if q.dim() == 4:
        return functional.scaled_dot_product_attention(
            *(q, k, v, tensor(mask), 0.0, causal),
            enable_gqa=q.shape[1] != k.shape[1],
        )
    heads, kv_heads = attributes["q_num_heads"], attributes["kv_num_heads"]
    q = q.unflatten(-1, (heads, -1)).transpose(1, 2)
    k, v = (projected.unflatten(-1, (kv_heads, -1)).transpose(1, 2) for projected in (k, v))
    return _attention(attributes, q, k, v, mask).transpose(1, 2).flatten(2)
