"""Command lines and calls of the library that are wrong, drawn at random from what may be wrong.

Words are replaced by odd ones: of another kind, empty, enormous, with control characters, or naming
a file that is broken or code that misbehaves.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

ESCAPE = "\x1b[2J\x1b[31m\x9b5n\u202ered"
"""What would clear a terminal, colour it, have it answer, and turn the text around."""

CODE = r"""
import sys
import click
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3)
    def forward(self, x):
        print("forward")
        return self.conv(x)

class Odd(BaseException): pass
class Mute(ValueError):
    def __str__(self): raise RuntimeError("no words")
class Hidden:
    @property
    def __class__(self): raise RuntimeError("no class")

hidden, number, built = Hidden(), 3, Net()
ERRORS = dict(
    value=lambda: ValueError("one\ntwo\x1b[2J"), exit=lambda: SystemExit(7),
    exit0=lambda: SystemExit(0), exit_text=lambda: SystemExit("bye\x1b[31m"),
    odd=lambda: Odd("odd"),
    mute=Mute, memory=MemoryError, system=lambda: OSError(28, "No space left on device"),
    pipe=lambda: BrokenPipeError(32, "Broken pipe"), generator=GeneratorExit, stop=StopIteration,
    long=lambda: ValueError("x" * 100_000), lines=lambda: ValueError("\n" * 1000 + "end"),
    abort=click.exceptions.Abort, usage=lambda: click.UsageError("mine"),
    interrupt=KeyboardInterrupt, key=lambda: KeyError("k\x07"), recursion=RecursionError,
)
def raises(kind="value"): raise ERRORS[kind]()
def gives_number(): return 3
def gives_hidden(): return hidden
def closes():
    sys.stdout.close()
    return Net()
class Raises(nn.Module):
    def __init__(self, kind="value"):
        super().__init__()
        self.kind = kind
    def forward(self, x): raises(self.kind)
class Endless(nn.Module):
    def forward(self, x): return self.forward(x)
class Nothing(nn.Module):
    def forward(self, x): return None
class NoForward(nn.Module): pass
class NoInit(nn.Module):
    def __init__(self): pass
    def forward(self, x): return x
class Values(nn.Module):
    def forward(self, x): return x if x.sum() > 0 else -x
"""
KINDS = (
    *("value", "exit", "exit0", "exit_text", "odd", "mute", "memory", "system", "pipe"),
    *("generator", "stop", "long", "lines", "abort", "usage", "interrupt", "key", "recursion"),
)
FILES: dict[str, str | bytes] = {
    "good.py": CODE,
    f"na{ESCAPE}me.py": "raise ValueError",
    "syntax.py": "def f(:\n",
    "exits.py": "import sys; sys.exit(0)",
    "odd.py": "class E(BaseException): pass\nraise E('no')",
    "endless.py": "def f(): return f()\nf()",
    "nul.py": b"x = 1\x00\n",
    "latin.py": b'x = "\xe9\xff"\n',
    "deep.py": "x = " + "(" * 500 + "1" + ")" * 500,
    "guarded.py": "def __getattr__(name): raise RuntimeError('getattr ' + name)",
    "lazy.py": "def __dir__(): return ['a']\ndef __getattr__(name):\n"
    "    raise ImportError('no') if name == 'a' else AttributeError(name)",
    "empty.json": "",
    "list.json": "[]",
    "digits.json": "9" * 5000,
    "deep.json": "[" * 100_000 + "]" * 100_000,
    "binary.json": bytes(range(256)),
    "empty.toml": "",
    "deep.toml": "a=" + "[" * 10_000 + "]" * 10_000,
    "digits.toml": "a=" + "9" * 5000,
    "escape.toml": 'name="\\u001b[2J"\nurl="u"\n[[figure]]\nid="\\u001b[2J"\n',
}
FIGURE = (
    'name="n"\nurl="u"\n[[figure]]\nid="a"\nat="x"\nprinted={printed}\nunit="u"\n'
    'quantity={quantity}\nmodel={model}\nverdict="reproduced"\n{more}\n'
)
ODD_VALUES = [
    *("", " ", "-", "--", "x", "nosuch", "0", "-1", "1.5", "1e400", "nan", "inf", "True", "None"),
    *("9" * 13, "9" * 5000, "x" * 300, "x" * 5000, "é☃", "\ud800", ESCAPE, "a\nb", ",", "=", "/"),
    *("..", ".", "(", ")", "[", "*", "'", '"', "\\", "$(id)", "%s", "{}", "1,2,3", "1;2", "١٢"),
]
MODELS = [
    *("naive", "reduced(c5r=24)", "naive/branch5x5", "googlenet", "good.py:Net", "report.json"),
    *("reduced(c5r=...)", "reduced(c5r=1+1)", "reduced(c5r=10**30)", "reduced(c5r={})", "reduced("),
    *("reduced(**{})", "reduced(24)", "reduced(c5r=24)(c5=3)", "naive(c9=1)", "naive/nosuch"),
    *(f"reduced(c5r={'9' * 5000})", f"reduced(c5r={'-' * 5000}1)", f"reduced(c5r={'(' * 300}1)"),
    *("mobilenet-v1(width=nan)", "mobilenet-v1(width=1e300)", "mobilenet-v1(resolution=0)"),
    *("googlenet(stem=plain)", "googlenet/aux1", "os:system", "sys:exit(3)", "builtins:eval"),
    *("torch:nn", "torch.nn:Linear", "torch.nn:Linear(in_features=3)", "no.such:x", "..:x", ":"),
    *("good.py", "good.py:", "good.py:..", "good.py:number", "good.py:nosuch", "good.py:Net.x"),
    *("good.py:gives_number", "good.py:gives_hidden", "good.py:hidden", "good.py:closes"),
    *("good.py:Net(width=-3)", "good.py:Net(width='x')", "good.py:Net(w=1)", "good.py:built(w=1)"),
    *("good.py:Endless", "good.py:Nothing", "good.py:NoForward", "good.py:NoInit"),
    *("good.py:Values", f"na{ESCAPE}me.py:x", f"good.py:Net/{ESCAPE}", f"{ESCAPE}.json"),
    *(f"good.py:raises(kind='{kind}')" for kind in KINDS),
    *(f"good.py:Raises(kind='{kind}')" for kind in KINDS),
    *(f"{name}:x" for name in FILES if name.endswith(".py")),
    *(name for name in FILES if name.endswith(".json")),
    *(f"broken{i}.json" for i in range(60)),
    *(
        f"{name}:good.py:Net"
        for name in ("nosuch", "", "-x", "a b", "a..b", ESCAPE, "$(x)", "9" * 5000)
    ),
]
OPTIONS: dict[str, list[str]] = {
    "--input-size": [
        "1,3,8,8",
        "1,3",
        "0,3,8,8",
        "1,3,8,999999999999",
        "1,-3,8,8",
        "1,3,9999999999,9999999999",
        "x=1,3,8,8",
        "=1,3",
    ],
    "--input-type": ["int64", "qint8", "bits8", "complex32", "float8_e4m3fn", "nn", "torch.int64"],
    "--depth": ["1", "9" * 400],
    "--format": ["json", "csv", "table", "latex", "markdown", "sympy", "parquet", "comment"],
    "-o": [
        "x.json",
        "no/x.csv",
        "x.nosuch",
        "/dev/full",
        "x" * 300,
        "report.json/x",
        f"{ESCAPE}.md",
    ],
    "--counter": ["fvcore,nosuch", "module"],
    "--against": ["nosuch", "module"],
    "--timeout": ["1e-9", "1e15"],
    "--path": ["nosuch", "../"],
    "--symbol": ["H", "c5r,c5r", "__import__", "stem"],
    "--at": ["H=0", "H=28,H=29", "H=W=", "H=1e400", "nosuch=3"],
    "--vary": [
        *("c5r=4:64:4", "c5r", "c5r=64:4", "c5r=4:64:0", "c5r=1:" + "9" * 24, "c5r=4,,5", "H=0"),
        *("c5r=c5=", "c5r=c5r=3", "width=0.000000000001:1:0.000000000001", "c5r=1:999999999,5"),
    ],
    "--where": [
        *(
            "macs",
            "macs/0 < 1",
            "macs < 1e400",
            "macs.__class__",
            "lambda: 0",
            "macs[0]",
            '"a" < 1',
        ),
        *("(" * 5000 + "macs", "not " * 5000 + "macs", "+".join(["macs"] * 5000) + " < 1"),
    ],
    "--minimize": ["macs", "nosuch", "macs/0", "1", "macs < 1", "9" * 5000],
    "--pareto": ["macs,-params", "macs,,params", "-macs", '"a"'],
    "--require": [
        *("macs < 1", "macs", "macs / 0 < 1", "macs[conv] > 1 and nosuch < 1", "base.macs < macs"),
        *("macs[", "params <= " + "9" * 5000, "(" * 5000 + "macs", f"macs[{ESCAPE}] < 1"),
    ],
    "--baseline": [
        "naive",
        "report.json",
        "nosuch.json",
        "empty.json",
        "broken1.json",
        "good.py:Net",
    ],
    "--top": ["3", "0", "9" * 30],
    "--by": ["op", "kind", "path"],
    "--sort": ["params", "macs"],
    "--min-share": ["1%", "0.01", "100%", "2", "1e5%"],
    "--columns": ["macs,share", "layer,,macs", "params_share,derivation", "nosuch"],
    "--units": ["auto", "G", "exact"],
    "--batch": ["8", "0", "9" * 30],
    "--workers": ["0", "-1"],
    "--scheduler": [
        *("tcp://", "tcp://127.0.0.1:99999", "tls://127.0.0.1:1", "ucx://127.0.0.1:1", "foo://x:1"),
        *("inproc://x", ESCAPE),
    ],
}
FLAGS = [
    "--update",
    "--real",
    "--training",
    "--strict",
    "--no-trace",
    "--resume",
    "--factored",
    "--nosuch",
]
TAKES = {
    "show": (
        *("--input-size", "--input-type", "--batch", "--depth", "--top", "--by", "--sort"),
        *("--min-share", "--columns", "--units", "--format", "-o"),
    ),
    "compare": ("--input-size", "--input-type", "--depth", "--format", "-o"),
    "crosscheck": ("--input-size", "--counter", "--format", "-o"),
    "reconcile": ("--input-size", "--timeout", "--path", "--depth", "--format", "-o"),
    "formula": ("--symbol", "--at", "--format", "-o"),
    "sweep": ("--where", "--minimize", "--pareto", "--top", "--workers", "--scheduler", "-o"),
    "figures": ("--format", "-o"),
    "list": ("--format", "-o"),
    "check": ("--require", "--baseline", "--input-size", "--format", "-o"),
}


def write_files(folder: Path, report: str) -> None:
    """The files that the calls name, in that folder; ``report`` is a report that is right."""
    for name, text in FILES.items():
        written = text if isinstance(text, bytes) else text.encode()
        if name.endswith(".py"):  # a file without the word is not imported for it
            written += b"\n# x"
        (folder / name).write_bytes(written)
    (folder / "report.json").write_text(report, encoding="utf-8")
    draw = random.Random(0)
    for i in range(60):
        (folder / f"broken{i}.json").write_text(_broken(report, draw), encoding="utf-8")
        figure = {
            "printed": json.dumps(draw.choice(["1", "1e400", ">1M", "1/0", *ODD_VALUES])),
            "quantity": json.dumps(
                draw.choice(["params", "macs/0", "macs[", "shape", *ODD_VALUES])
            ),
            "model": json.dumps(draw.choice(["googlenet", "naive", *ODD_VALUES])),
            "more": draw.choice(['precision="0"', "kilo=0", 'input="x"', "because=3", "", "", ""]),
        }
        text = FIGURE.format(**figure).encode("utf-8", "replace")
        (folder / f"figures{i}.toml").write_bytes(text)


def _broken(report: str, draw: random.Random) -> str:
    """A report in which one value, at any depth, is another."""
    data = json.loads(report)
    home, key = data, draw.choice(list(data))
    while isinstance(home[key], (dict, list)) and home[key] and draw.random() < 0.8:
        home = home[key]
        key = draw.choice(list(home)) if isinstance(home, dict) else draw.randrange(len(home))
    values: list[object] = [
        None,
        -1,
        10**4000,
        1.5,
        float("inf"),
        float("nan"),
        True,
        "x",
        [],
        {},
        [[[1]]],
        "9",
    ]
    home[key] = draw.choice([*values, "a." * 1500 + "b", ESCAPE, "\ud800", "9" * 50])
    return json.dumps(data)


def wrong_calls(number: int, seed: int = 0) -> list[list[str]]:
    """So many command lines; the same for the same seed."""
    draw = random.Random(seed)
    return [_call(draw) for _ in range(number)]


def _call(draw: random.Random) -> list[str]:
    command = draw.choice([*TAKES, "show", "show", "show", "compare", "report", "shwo"])
    args = [command]
    if command == "report":
        return [*args, draw.choice(["", "/dev/null", "report.json/x", "/proc/x", "x" * 300])]
    if command == "figures":
        toml = [f"figures{i}.toml" for i in range(60)] + [n for n in FILES if n.endswith(".toml")]
        args.append(draw.choice(toml + ODD_VALUES + ["googlenet/[", "googlenet/" + "*" * 3000]))
    elif command == "sweep":
        args += [draw.choice(["reduced", "reduced", "mobilenet-v1", "good.py:Net"])]
        args += ["--vary", draw.choice(OPTIONS["--vary"] + ODD_VALUES)]
    else:
        # Mostly models that are answered at once: the rest of the call is what is tried.
        args.append(draw.choice(MODELS + ODD_VALUES))
    if command == "check":
        args += ["--require", draw.choice(OPTIONS["--require"] + ODD_VALUES)]
        args += draw.choice([[], [], ["--baseline", draw.choice(OPTIONS["--baseline"])]])
    if command == "compare":
        args += [draw.choice(["naive", *MODELS]), "--no-trace"]
    if ".py" in args[1] and draw.random() < 0.9:
        args += ["--input-size", "1,3,8,8"]
    for option in draw.sample(TAKES.get(command, ("--format", "-o")), draw.choice([0, 0, 1, 1, 2])):
        args += [option, draw.choice(OPTIONS[option] * 3 + ODD_VALUES)]
    if draw.random() < 0.2:
        args.append(draw.choice(FLAGS))
    return args
