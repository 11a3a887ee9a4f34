"""Backward passes of recurrent layers by definition, step by step; see `backwards`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from oracle.backwards import Elements
from oracle.tally import Array

Steps = list[dict[str, Array]]


def recurrent(
    t: Elements,
    cell: str,
    x: Array,
    weights: list[Array],
    first: tuple[Array, Array],
    dy: Array | None,
    wanted: set[str],
    projection: Array | None = None,
    dc: Array | None = None,
) -> dict[str, Array]:
    """Back through ``[T, N, In]``; products of matrices are multiply-adds, and not counted here.

    ``weights`` are those of inputs and states, and the biases of both, if there are any; ``first``
    are the state and the memory before the first step. ``dy`` and ``dc`` are gradients of the
    outputs and of the last memory, None if they are not used. ``wanted`` and the result are by
    names: x, w and u, b and d, h and c, and p of the projection.
    """
    if not wanted:
        return {}
    w, u, *biases = weights
    given: dict[str, Array] = {"x": np.zeros(x.shape), "w": np.zeros(w.shape)}
    given["u"] = np.zeros(u.shape)
    given["p"] = np.zeros(() if projection is None else projection.shape)
    kept = _steps(cell, x, weights, first, projection)
    inner: list[Array] = []
    outer: list[Array] = []
    dh, carried = None if dy is None else dy[-1], dc
    for step in reversed(range(len(x))):
        if projection is not None and dh is not None:
            given["p"] += dh.T @ kept[step]["unit"]
            if not step and wanted == {"p"}:
                break
            dh = dh @ projection
        elif not step and wanted == {"p"}:
            break
        of_inner, of_outer, to_state = _cell_back(t, cell, kept[step], dh, carried)
        inner.append(of_inner)
        outer.append(of_outer)
        given["x"][step] = of_inner @ w
        given["w"] += of_inner.T @ x[step]
        given["u"] += of_outer.T @ kept[step]["before"]
        if not step and not wanted & ({"c"} if cell == "lstm" else {"h"}):
            given["h"] = of_outer @ u
            break
        carried = to_state() if step != 1 or wanted != {"p"} else None
        dh = of_outer @ u
        if cell == "gru":
            dh, carried = t.sum(dh, carried), None
        if step:
            dh = dh if dy is None else t.sum(dy[step - 1], dh)
        else:
            given["h"], given["c"] = dh, np.zeros(dh.shape) if carried is None else carried
    if biases:
        for name, gradients in (("b", inner), ("d", outer)):
            if name in wanted:
                given[name] = np.ravel(t.total(np.array(gradients), (0, 1)))
    return given


def _steps(
    cell: str,
    x: Array,
    weights: list[Array],
    first: tuple[Array, Array],
    projection: Array | None,
) -> Steps:
    """What each step keeps."""
    w, u, *biases = weights
    b, d = biases or (0.0, 0.0)
    h, c = first
    kept: Steps = []

    def of(a: Array) -> Array:
        return np.asarray(1 / (1 + np.exp(-a)))

    for one in x:
        inner = np.split(one @ w.T + b, len(w) // first[1].shape[-1], -1)
        outer = np.split(h @ u.T + d, len(w) // first[1].shape[-1], -1)
        gates = [p + q for p, q in zip(inner, outer, strict=True)]
        step = {"before": h}
        if cell == "lstm":
            step |= {"i": of(gates[0]), "f": of(gates[1]), "g": np.tanh(gates[2])}
            step |= {"o": of(gates[3]), "c": c}
            c = step["f"] * c + step["i"] * step["g"]
            step["t"] = np.tanh(c)
            h = step["unit"] = step["o"] * step["t"]
            h = h if projection is None else h @ projection.T
        elif cell == "gru":
            r, z = of(gates[0]), of(gates[1])
            new = np.tanh(inner[2] + r * outer[2])
            step |= {"r": r, "z": z, "n": new, "u": outer[2]}
            h = (1 - z) * new + z * h
        else:
            h = np.tanh(gates[0]) if cell == "rnn_tanh" else np.maximum(gates[0], 0)
        step["h"] = h
        kept.append(step)
    return kept


def _cell_back(
    t: Elements, cell: str, kept: dict[str, Array], dh: Array | None, carried: Array | None
) -> tuple[Array, Array, Callable[[], Array | None]]:
    """The gradients of the gates of inputs and of states, and what goes to the state before."""

    def sigmoid_back(of: Array, s: Array) -> Array:
        return t.product(of, s, t.less(1.0, s))

    def tanh_back(of: Array, y: Array) -> Array:
        return t.product(of, t.less(1.0, t.product(y, y)))

    if cell == "lstm":
        assert dh is not None or carried is not None
        if dh is None:
            dc, of_o = carried, np.zeros(kept["o"].shape)
        else:
            dc = tanh_back(t.product(dh, kept["o"]), kept["t"])
            dc = dc if carried is None else t.sum(dc, carried)
            of_o = sigmoid_back(t.product(dh, kept["t"]), kept["o"])
        gates = [
            sigmoid_back(t.product(dc, kept["g"]), kept["i"]),
            sigmoid_back(t.product(dc, kept["c"]), kept["f"]),
            tanh_back(t.product(dc, kept["i"]), kept["g"]),
            of_o,
        ]
        whole = np.concatenate(gates, -1)
        return whole, whole, lambda: t.product(dc, kept["f"])
    assert dh is not None
    if cell == "gru":
        new, z = kept["n"], kept["z"]
        of_new = tanh_back(t.product(dh, t.less(1.0, z)), new)
        of_z = sigmoid_back(t.product(dh, t.less(kept["before"], new)), z)
        of_r = sigmoid_back(t.product(of_new, kept["u"]), kept["r"])
        of_u = t.product(of_new, kept["r"])
        return (
            np.concatenate([of_r, of_z, of_new], -1),
            np.concatenate([of_r, of_z, of_u], -1),
            lambda: t.product(dh, z),
        )
    y = kept["h"]
    whole = tanh_back(dh, y) if cell == "rnn_tanh" else t.where(y > 0, dh, 0.0)
    return whole, whole, lambda: None
