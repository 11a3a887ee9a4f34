"""Calls of the library, drawn at random from arguments that fit and arguments that do not.

Each call is a line of Python, which says what was called.
"""

from __future__ import annotations

import inspect
import random
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import nn

import costlab


class Sized(nn.Module):
    """One with choices."""

    def __init__(self, width: int = 8, kernel: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, width, kernel)

    def forward(self, x: torch.Tensor, mask: Any = None) -> Any:
        y = self.conv(x)
        return y if mask is None else y * mask

    def encode(self, x: torch.Tensor) -> Any:
        return self.conv(x).relu()


class Raises(nn.Module):
    def forward(self, x: torch.Tensor) -> Any:
        raise KeyError(x.shape)


class Asks(nn.Module):
    def forward(self, x: torch.Tensor) -> Any:
        return x if x.sum() > 0 else -x


class Odd:
    """Says nothing of itself, and compares with nothing."""

    def __repr__(self) -> str:
        raise RuntimeError("no words")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no comparison")

    __hash__ = None  # type: ignore[assignment]


NAMES: dict[str, Any] = {
    known.__name__.rpartition(".")[2]: known
    for known in (costlab, torch, nn, Path, partial, Sized, Raises, Asks, Odd, SimpleNamespace)
} | {"np": np}

ODD = """
None|True|False|0|-1|3|1.5|float('nan')|float('inf')|10**400|''|' '|'x'|'1,3,8,8'|'N'|b'1'|()|[]|{}
(1,)|(1, 3)|(1, 3, 8, 8)|(0, 3, 8, 8)|(1, -3, 8, 8)|(1, 3.0, 8, 8)|(1, None, 8, 8)|('N', 3, 8, 8)
(1, 3, 10**12, 10**12)|[(1, 3, 8, 8)]|[(1, 3, 8, 8), (1, 3, 8, 8)]|[[], []]|{'x': (1, 3, 8, 8)}
{'mask': (1, 8, 6, 6)}|{1: 2}|{'a': {'b': []}}|torch.float32|torch.int64|torch|torch.device('meta')
torch.zeros(1, 3, 8, 8)|torch.zeros(3, dtype=torch.int64)|torch.zeros(())|torch.Size([1, 3, 8, 8])
np.zeros((1, 3, 8, 8))|np.int64(3)|np.float64(2.5)|object()|Odd()|lambda *a, **k: None|len|int|type
range(3)|range(1, 10**9)|iter([1])|(n for n in 'ab')|{1, 2}|slice(3)|...|NotImplemented|1j
Path('nosuch')|Path('.')|SimpleNamespace(shape=(1, 3))|costlab.OpCount(macs=3)|costlab|print
'costlab'|'macs < 1'|'macs'|'nosuch'|'\\x00'|'\\ud800'|'é×'|'9' * 5000|'(' * 3000|[None]|[[1]]
torch.zeros(1, 3, 8, 8, device='meta')|torch.ones(2).to_sparse()|nn.Parameter(torch.ones(2))
""".strip()
IMAGE, ROWS = "(1, 3, 8, 8)", "(4, 8)"
MODELS = {
    **dict.fromkeys(["'naive'", "'reduced(c5r=24)'", "'naive/branch5x5'", "'reduced'"], ""),
    **dict.fromkeys(["'reduced(c5r='", "'navie'", "'naive/nosuch'", "'mine.py:Net'", "Sized"], ""),
    **dict.fromkeys(["nn.Conv2d(3, 4, 3)", "Sized()", "Sized(4).conv", "Sized().encode"], IMAGE),
    **dict.fromkeys(["lambda: Sized()", "lambda width=3: Sized(width)", "Raises()"], IMAGE),
    **dict.fromkeys(["nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())", "Asks()"], IMAGE),
    **dict.fromkeys(["partial(Sized, 3)", "torch.jit.script(nn.ReLU())", "nn.Identity()"], IMAGE),
    **dict.fromkeys(["nn.Sequential()", "nn.ModuleList([nn.ReLU()])", "nn.Module()"], IMAGE),
    **dict.fromkeys(["nn.Linear(8, 4)", "nn.LSTM(8, 4)", "nn.Embedding(10, 4)", "nn.ReLU"], ROWS),
    **dict.fromkeys(["nn.LazyLinear(3)", "nn.MultiheadAttention(8, 2)"], ROWS),
    **dict.fromkeys(
        [
            *("costlab.analyze('naive/branch5x5')", "costlab.analyze('naive/branch5x5').graph"),
            *("costlab.build('naive/branch5x5')", "costlab.parameters(Sized())"),
            "costlab.analyze(nn.Conv2d(3, 4, 3), (1, 3, 8, 8))",
        ],
        "",
    ),
}
"""Models, and what goes into them where they do not say it themselves."""
FITTING: dict[str, str] = {
    "model": "|".join(MODELS),
    "input_size": "(1, 3, 8, 8)|[1, 3, 8, 8]|(2, 3, 16, 16)|(4, 8)|{'x': (1, 3, 8, 8)}",
    "inputs": "torch.zeros(1, 3, 8, 8)|(torch.zeros(1, 3, 8, 8),)|[torch.zeros(1, 3, 8, 8)]|(4, 8)",
    "kwargs": "{'x': torch.zeros(1, 3, 8, 8)}|{'mask': torch.ones(1)}|{'nosuch': 3}",
    "input_type": "'int64'|torch.int64|'float32'|torch.float16|'qint8'",
    "method": "'forward'|'encode'|'nosuch'|'__init__'|'conv'|'training'|'named_modules'",
    "width": "3|64|'x'|-1",
    "device": "'h100-sxm'|'a100'|'h100'|'this'",
    "dtype": "'float16'|torch.float16|'bfloat16'|'int4'|torch.float64",
    "optimizer": "'adamw'|'sgd'|'adam'",
    "counters": "'torch'|['torch', 'fvcore']|'fvcore'|'module'|[]|'torch,fvcore'",
    "against": "'torch'|'fvcore'",
    "timeout": "1|0|1e-9|5.0|-1",
    "depth": "0|1|2|99",
    "path": "'branch5x5'|'nosuch'|'conv'|'/'",
    "names": "['a', 'b']|('a',)",
    "symbols": "'N'|'H'|['H', 'W']|'C,H'|'c5r'|'N,H,W'",
    "at": "{'H': 28}|{'C': 3}|{'H': 28.5}|{'c5r': 4}|{'H': -1}|{'H': 0}",
    "near": "{'N': 2}|{'H': 3}|{'c5r': 24}|{'N': 0}",
    "quantities": "'macs'|['macs', 'params']|'time'|()",
    "vary": "{'c5r': '4:64:4'}|{'c5r': range(4, 64, 4)}|{'H': [14, 28]}|{'width': [8, 16]}"
    "|{'H=W': '8:16:8'}|{'c5r': 24}|{'c5r': ''}|{'c5r': []}|{'c5r': [None]}|{'nosuch': [1]}"
    "|{'c5r': [4, 'x']}|{'c5r': [4.5]}|{'c5r': iter([4, 8])}|{'c5r': np.arange(4, 8)}",
    "where": "'macs < 120e6'|'macs < params'|'macs'|'macs <'|'1 < 2'",
    "minimize": "'macs'|'params'|'macs + params'|'macs / 0'",
    "maximize": "'macs'|'activations'",
    "pareto": "'macs,params'|['macs', '-params']|'macs'",
    "top": "1|3|0|10**30",
    "limit": "'macs < 1'|'macs <= 1 G'|'params <= 7 M'|'macs'|'base.macs <= macs'|'macs[conv] > 3'",
    "baseline": "'naive'|'naive/branch5x5'|Sized()",
    "sources": "'introduction'|'nosuch'|['introduction']|'googlenet/table1-conv1-params'",
    "fits": "'24G'|10**9|'1'|0|-1|'24'|'24 GB'|'x'",
    "round_to": "1|512|0|-1",
    "threads": "0|1",
    "narrow": "0.5|1",
    "on": "'cpu'|'cuda'|'tpu'",
}
"""Arguments of a name that fit some model, or nearly."""
FLAGS = {"training", "real", "training_cost", "factored", "trace", "everything", "by_layer"}
FUNCTIONS = {
    **dict.fromkeys(["analyze"], 6),
    **dict.fromkeys(["bounds", "build", "check", "compare", "crosscheck", "formula", "memory"], 2),
    **dict.fromkeys(["ledger", "parameters", "reconcile", "sweep", "time"], 1),
}
"""The functions, and how often each is drawn."""
METHODS = """
to_text()|to_text(40)|to_text(width={})|to_csv()|to_json()|to_markdown()|to_latex()|to_html()|to_frame()
to_depth({}).to_text()|at({})|value({}, {})|laid_out(sort={}).to_text()|laid_out(top={}).to_csv()
laid_out(columns={}).to_text()|laid_out(min_share={}).to_text()|laid_out(units={}).to_text()
laid_out(by={}).to_csv()|equation({})|at(H={}).to_text()|graph.part({})|compared({})
records()|data()|headline()|page()|_repr_html_()|to_comment()|to_svg()|to_parquet()
""".strip()
"""What is done with results; what a result does not have is left out."""


def _one_of(draw: random.Random, text: str) -> str:
    return draw.choice(text.replace("\n", "|").split("|"))


def library_calls(number: int, seed: int = 0) -> list[tuple[str, str]]:
    """So many calls, and what is done with what they give; the same for the same seed."""
    draw = random.Random(seed)
    return [_call(draw) for _ in range(number)]


def _call(draw: random.Random) -> tuple[str, str]:
    name = draw.choice([name for name, often in FUNCTIONS.items() for _ in range(often)])
    oddness = draw.choice([0, 0, 0, 0.1, 0.4])
    model = draw.choice(list(MODELS))
    places: list[str] = []
    keywords: dict[str, str] = {}
    for parameter in inspect.signature(getattr(costlab, name)).parameters.values():
        kind, of = parameter.kind, parameter.name
        often = 0.9 if parameter.default is parameter.empty else 0.08
        of = of.removesuffix("s") if kind is parameter.VAR_POSITIONAL else of
        value = _value(draw, of, oddness)
        if of == "model":
            often, value = 0.98, value if draw.random() < oddness else model
        elif of == "input_size" and MODELS[model]:
            often, value = 0.9, value if draw.random() < oddness else MODELS[model]
        elif (name, of) == ("reconcile", "counters"):
            often = 1  # all of them take seconds
        if kind is parameter.VAR_KEYWORD:
            of = draw.choice(["width", "depth", "c5r", "real", "inputs", "nosuch"])
            often, value = 0.15, _value(draw, of, oddness)
        if draw.random() > often:
            continue
        if kind is parameter.VAR_POSITIONAL:
            places += [value, *(_value(draw, of, 0) for _ in range(draw.choice([0, 1])))]
        elif kind is parameter.POSITIONAL_OR_KEYWORD and not keywords and draw.random() < 0.8:
            places.append(value)
        elif kind is not parameter.POSITIONAL_ONLY:
            keywords[of] = value
    if name == "time":
        keywords |= {"limit": "0.001", "narrow": "1"}
    done = _one_of(draw, METHODS)
    while "{}" in done:
        done = done.replace("{}", _one_of(draw, ODD), 1)
    given = ", ".join([*places, *(f"{key}={value}" for key, value in keywords.items())])
    return f"costlab.{name}({given})", done


def _value(draw: random.Random, name: str, oddness: float) -> str:
    if name in FLAGS and draw.random() > oddness:
        return draw.choice(["True", "False"])
    if draw.random() < oddness or name not in FITTING:
        return _one_of(draw, ODD)
    return _one_of(draw, FITTING[name])


def raw_errors(number: int, seed: int) -> list[str]:
    """What of so many calls, and of what they give, is no error of costlab's."""
    faults = []
    for call, done in library_calls(number, seed):
        try:
            result = eval(call, dict(NAMES))
            if type(result).__module__.startswith("costlab.") and hasattr(
                result, done.partition("(")[0].partition(".")[0]
            ):
                eval(f"result.{done}", {**NAMES, "result": result})
        except costlab.CostlabError as error:
            if "\n" in str(error):
                faults.append(f"{call}.{done}: {str(error)!r} has lines")
        except Exception as error:
            faults.append(f"{call}.{done}: {type(error).__name__}: {str(error)[:200]}")
    return faults
