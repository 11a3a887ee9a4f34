"""Attributes of ONNX's operators that their functions here do not read."""

from __future__ import annotations

from typing import Any

NOT_FOLLOWED: dict[str, dict[str, Any]] = {
    "Attention": {"left_window_size": -1, "right_window_size": -1, "softcap": 0.0},
    "BatchNormalization": {"training_mode": 0},
    "GRU": {"clip": None},
    "LSTM": {"clip": None, "input_forget": 0},
    "RNN": {"clip": None},
    "Resize": {"exclude_outside": 0, "keep_aspect_ratio_policy": "stretch"},
}
"""By operator the attributes with which it computes something else, and the value with which not.

With another value the operator is uncounted.
"""

_ACTIVATION = {"activation_alpha", "activation_beta", "direction"}

OF_VALUES_ALONE: dict[str, set[str]] = {
    "ArgMax": {"select_last_index"},
    "ArgMin": {"select_last_index"},
    "Attention": {"qk_matmul_output_mode", "scale", "softmax_precision"},
    "BatchNormalization": {"momentum"},
    "Cast": {"round_mode", "saturate"},
    "CastLike": {"round_mode", "saturate"},
    "Dropout": {"ratio", "seed"},
    "GRU": {*_ACTIVATION, "linear_before_reset"},
    "GroupNormalization": {"stash_type"},
    "LSTM": _ACTIVATION,
    "LayerNormalization": {"stash_type"},
    "MaxPool": {"storage_order"},
    "RMSNormalization": {"stash_type"},
    "RNN": _ACTIVATION,
    "Range": {"stash_type"},
    "Resize": {"cubic_coeff_a", "extrapolation_value", "nearest_mode"},
    "Selu": {"alpha", "gamma"},
    "SpaceToDepth": {"mode"},
}
"""By operator the attributes that change values, and neither shapes, types nor what is computed."""


def unfollowed(operator: str, attributes: dict[str, Any]) -> str:
    """The attribute that makes an operator something else than is known here, if one does."""
    known = NOT_FOLLOWED.get(operator, {})
    given = (name for name, usual in known.items() if attributes.get(name, usual) != usual)
    return next(given, "")
