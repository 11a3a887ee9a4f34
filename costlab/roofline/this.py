"""The machine at hand as a device, its CPU or its GPU: rates are measured, and kept in a file.

The rate of a type is that of the fastest of some matrix products and convolutions, the bandwidth
that of the fastest of copies, sums, matrix-vector products and changes in place, for working sets
from 16 KiB to 256 MiB. What fits into a cache may stay there from run to run, and is moved faster:
so of the bytes of a layer the first 16 KiB are held against the fastest rate of all, and those
beyond a working set against the fastest of that one and larger ones.

A rate that was seen once is possible, and others only make a run slower: so each is the best of
many short runs, whatever is measured anew takes the place of less only, and it is taken a tenth
higher. A bound may be loose, and must not be too tight.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from costlab import formatting
from costlab.atomic_files import write_whole
from costlab.devices.device import BANDWIDTH, Device, DeviceFigure
from costlab.devices.files import called_by_torch
from costlab.errors import ChoiceError
from costlab.user_files import text_of

_MARGIN = Fraction(11, 10)
_SHORTEST = 1e-3
"""How long a run takes at least, in seconds: a clock and a call are nothing beside it."""
_RUNS = 15
_EMULATED = 100
"""So many times slower than float32 is a type that the machine has no instructions for."""

_BYTES = tuple(2**power for power in (14, 16, *range(18, 29)))
"""The sizes of what is moved: from what a core keeps for itself to what no cache holds."""


class _Work(NamedTuple):
    """What is measured: types, sides of matrices; images, channels and kernels of convolutions.

    The first type is one that every machine computes in.
    """

    types: tuple[str, ...]
    sides: tuple[int, ...]
    images: tuple[tuple[int, int, int], ...]


_CPU_WORK = _Work(
    ("float32", "float64", "bfloat16", "float16"),
    (256, 512, 1024),
    ((1, 64, 3), (1, 128, 3), (1, 256, 1)),
)
_GPU_WORK = _Work(
    ("float32", "float64", "bfloat16", "float16"),
    (1024, 2048, 4096, 8192),
    ((32, 64, 3), (64, 256, 3), (64, 512, 3), (64, 512, 1)),
)
"""More, and larger: what is small leaves most of a GPU idle."""

THIS = "this"
"""The name of the machine at hand: of its GPU if it has one, else of its CPU."""
PLACES = ("cpu", "cuda")
"""What of it can be named: ``this:cpu``."""


def place(on: str = "") -> str:
    """``cpu`` or ``cuda``: what is asked for if it is there, by default CUDA if that is.

    Raises ``ChoiceError`` where it is not there.
    """
    import torch

    there = PLACES if torch.cuda.is_available() else PLACES[:1]
    if on and on not in there:
        built = torch.version.cuda or torch.version.hip
        without = (
            "" if built or on != "cuda" else f", which torch {torch.__version__} is built without"
        )
        raise ChoiceError(f"there is no {on} to run on{without}: give {' or '.join(there)}")
    return on or there[-1]


def known_device(threads: int, on: str) -> tuple[Device, str]:
    """What runs there can be held against, and what there is to say of it.

    That is this machine as it was measured. A GPU that was not has the rates of its entry in the
    ledger, if torch's name of it means one; else it is measured now.
    """
    if on == "cpu" or _key(threads, on) in _cached():
        return this_device(threads, on), ""
    name = processor(on)
    called = called_by_torch(name)
    if len(called) == 1:
        return called[0], ""
    several = " or ".join(device.id for device in called)
    unsure = f"{name} is {several}: its rates were measured; --device takes those of one."
    return this_device(threads, on), unsure if called else ""


def this_device(threads: int = 0, on: str = "", *, again: bool = False) -> Device:
    """The machine at hand with so many threads (0: as torch has it), as it was measured.

    ``on`` is ``"cpu"`` or ``"cuda"``, by default CUDA if there is one. With ``again`` it is
    measured once more, and the larger rates are kept.
    """
    on = place(on)
    key = _key(threads, on)
    known = _cached()
    if again or key not in known:
        known = {**known, key: _larger(known.get(key), _measured(threads, on))}
        cache_file().parent.mkdir(parents=True, exist_ok=True)
        write_whole(cache_file(), json.dumps(known, indent=1))
    return _as_device(key, known[key])


def _key(threads: int, on: str) -> str:
    """What rates are kept as: of a processor, a version of torch, and a number of threads."""
    import torch

    threads = threads or torch.get_num_threads()
    used = formatting.plural(threads, "thread") if on == "cpu" else "all of it"
    return f"{processor(on)}, torch {torch.__version__}, {used}"


def _as_device(key: str, rates: dict[str, Any]) -> Device:
    """What was measured, a tenth higher."""
    by_size = sorted((int(size), rate * _MARGIN) for size, rate in rates["bytes"].items())
    best = [max(rate for _, rate in by_size[number:]) for number in range(len(by_size))]
    begins = [0, *(size for size, _ in by_size[1:])]
    figures = [
        DeviceFigure(
            of,
            derived=str(int(rate * _MARGIN)),
            note=rates["how"][of],
        )
        for of, rate in rates["types"].items()
    ]
    cached = f"{formatting.scaled(int(best[0]))}B/s"
    note = f"main memory; what fits into a cache, up to {cached}"
    figures.append(DeviceFigure(BANDWIDTH, derived=str(int(best[-1])), note=note))
    steps = tuple(zip(begins, best, strict=True))
    return Device(THIS, key, "this machine", "", tuple(figures), steps=steps)


def _larger(old: dict[str, Any] | None, new: dict[str, Any]) -> dict[str, Any]:
    """The larger of two measured rates each."""
    if old is None:
        return new
    types = {of: max(rate, old["types"].get(of, 0)) for of, rate in new["types"].items()}
    how = {of: (new if rate == new["types"][of] else old)["how"][of] for of, rate in types.items()}
    sizes = {size: max(rate, old["bytes"].get(size, 0)) for size, rate in new["bytes"].items()}
    return {"types": types, "how": how, "bytes": sizes}


def cache_file() -> Path:
    """Where the rates of this machine are kept: in the folder that ``COSTLAB_CACHE`` names."""
    if folder := os.environ.get("COSTLAB_CACHE"):
        return Path(folder) / "this.json"
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "costlab" / "this.json"


def forget() -> bool:
    """Let go of what was measured; gives whether there was something."""
    there = cache_file().exists()
    cache_file().unlink(missing_ok=True)
    return there


def _cached() -> dict[str, Any]:
    try:
        known = json.loads(text_of(cache_file()))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def processor(on: str) -> str:
    """What the processor calls itself, or torch's name of the GPU."""
    if on != "cpu":
        import torch

        return str(torch.cuda.get_device_name())
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{models[0] if models else platform.processor() or platform.machine()}"


def _measured(threads: int, on: str) -> dict[str, Any]:
    """Operations a second by type, and how; and bytes a second by the size of what is moved."""
    import torch

    threads = threads or torch.get_num_threads()
    types: dict[str, int] = {}
    how: dict[str, str] = {}
    with torch.no_grad():
        work = _CPU_WORK if on == "cpu" else _GPU_WORK
        for of in work.types:
            for product in _products(getattr(torch, of), on):
                try:
                    name, operations, run = product()
                    rate = int(operations / _best(run, threads))
                except RuntimeError:  # no kernel of that type, or too little memory
                    continue
                if rate > types.get(of, 0):
                    types[of], how[of] = rate, name
                if _EMULATED * rate < types.get(work.types[0], 0):
                    break  # what is larger would take minutes
        sizes = {str(size): _moved(size, threads, on) for size in _BYTES}
    return {"types": types, "how": how, "bytes": sizes}


def _products(dtype: Any, on: str) -> Iterator[Callable[[], tuple[str, int, Callable[[], Any]]]]:
    """Matrix products and convolutions: when called, what each is, its operations, how it runs."""
    work = _CPU_WORK if on == "cpu" else _GPU_WORK
    for side in work.sides:
        yield partial(_matrix_product, side, dtype, on)
    for image in work.images:
        yield partial(_convolution, *image, dtype, on)


def _matrix_product(side: int, dtype: Any, on: str) -> tuple[str, int, Callable[[], Any]]:
    import torch

    a = torch.rand(side, side, dtype=dtype, device=on)
    run = partial(torch.mm, a, a, out=torch.empty_like(a))
    return f"a product of {side}×{side} matrices", 2 * side**3, run


def _convolution(
    images: int, channels: int, kernel: int, dtype: Any, on: str
) -> tuple[str, int, Callable[[], Any]]:
    import torch

    image = torch.rand(images, channels, 28, 28, dtype=dtype, device=on)
    weight = torch.rand(channels, channels, kernel, kernel, dtype=dtype, device=on)
    operations = 2 * images * (28 - kernel + 1) ** 2 * channels**2 * kernel**2
    run = partial(torch.nn.functional.conv2d, image, weight)
    return f"a convolution {kernel}×{kernel} of {channels} channels", operations, run


def _moved(size: int, threads: int, on: str) -> int:
    """Bytes a second of work on so many bytes: the fastest of five ways."""
    import torch

    whole = torch.rand(size // 4, device=on)
    a, b = whole.chunk(2)
    rows = whole[: 128 * (size // 512)].view(128, -1)
    vector = torch.rand(rows.shape[1], device=on)
    runs: list[Callable[[], Any]] = [
        partial(b.copy_, a),
        partial(torch.add, a, a, out=b),
        partial(torch.relu_, a),  # reads and writes the same half
        partial(torch.sum, whole),
        partial(torch.mv, rows, vector),
    ]
    return int(size / min([_best(run, threads) for run in runs]))


def _best(run: Callable[[], Any], threads: int) -> float:
    """The seconds of the fastest of some runs."""
    from torch.utils.benchmark import Timer

    timer = Timer("run()", globals={"run": run}, num_threads=threads)
    number = 1
    while (taken := timer.timeit(number).mean * number) < _SHORTEST:
        number = max(2 * number, min(int(_SHORTEST / max(taken, 1e-7) * number), 10 * number))
    return min(timer.timeit(number).mean for _ in range(_RUNS if taken < 0.02 else 4))
