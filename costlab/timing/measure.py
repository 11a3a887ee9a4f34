"""Measures models in turns, and holds their times against their bounds."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from costlab import formatting
from costlab.costs.rows import Row
from costlab.devices.device import Device
from costlab.errors import ChoiceError, FigureError, blaming
from costlab.graph.sizes import InputSize
from costlab.models.reference import Model, Run
from costlab.roofline.bounds import BoundedRows, InTf32, Roofline, roofline
from costlab.roofline.this import PLACES, THIS, known_device, place, processor, this_device
from costlab.timing.layers import layers
from costlab.timing.others import Others
from costlab.timing.result import Timing
from costlab.timing.samples import BUSY, Interval, busy, in_turns
from costlab.timing.saved import saved_timing, since
from costlab.timing.subjects import Subject, ready, subject
from costlab.timing.timed import LayerTime, Timed

_LAYER_NARROW = 0.05
"""How narrow the interval of a layer alone is to be, as ``narrow`` of the whole."""
_LAYER_LIMIT = 0.3
"""The seconds that a layer alone is measured, at most."""
_GPU_WARM = 0.2
"""The seconds that a GPU works before it is measured: an idle one is clocked lower."""


def time(
    *models: Model,
    input_size: InputSize | None = None,
    depth: int | None = None,
    by_layer: bool = False,
    threads: int = 0,
    on: str = "",
    narrow: float = 0.02,
    limit: float = 30.0,
    device: str | Device = "",
    against: str | Path = "",
    inputs: Any = None,
    kwargs: dict[str, Any] | None = None,
    input_type: str | torch.dtype = "",
    real: bool = False,
) -> Timing:
    """How long models take, measured in turns, beside what they take at least on this machine.

    Each runs in evaluation mode without gradients: once a round, until half of the 95 % interval of
    each median is ``narrow`` of it, or ``limit`` seconds are over, but 10 times at least.
    Modules and inputs are what they were afterwards.
    ``by_layer`` times each layer alone too, in scopes to ``depth``. ``threads`` are those of torch;
    ``on`` is ``"cpu"`` or ``"cuda"``, by default where modules are that are given, or CUDA if there
    is one. ``device`` is what bounds are of, as in ``bounds``; without it the machine is measured
    once (``costlab devices this``), or a GPU looked up in the ledger by its name; and measured
    again where something was faster than its bound. ``against`` is a file with a timing that was
    saved (``timing.to_json()``), which it is compared with.
    ``input_size``, ``inputs``, ``kwargs``, ``input_type`` and ``real`` (for code that asks for
    values) are as in ``analyze``, for all models.

    Raises what ``analyze`` raises, and ``ChoiceError`` for what cannot be run.
    """
    if not models:
        raise ChoiceError("give the models that are to be timed")
    on = place(on or _where(models))
    if threads < 0:
        raise ChoiceError(f"threads is a whole number from 1, or 0 for torch's own, not {threads}")
    threads = threads or torch.get_num_threads()
    saved = saved_timing(Path(against)) if against else None
    run = Run(inputs, kwargs, input_type=input_type, real=real)
    subjects = []
    for model in models:
        with blaming(model if isinstance(model, str) and len(models) > 1 else ""):
            subjects.append(subject(model, input_size, run, on))
    with ready(subjects):
        known, unsure = _rates(subjects, device, threads, on)
        warm = 0.0 if on == "cpu" else _GPU_WARM
        samples = in_turns([subject.run for subject in subjects], threads, narrow, limit, warm)
        peaks = [_peak_memory(subject, on) for subject in subjects]
        alone = [
            _by_layer(subject, threads) if by_layer else _Layers({}, {}, []) for subject in subjects
        ]
    weak = [note for layers_ in alone for note in layers_.notes]
    notes = (*samples.notes, *weak, *([unsure] if unsure else []))

    def beside_bounds(known: Device) -> Timing:
        timed = []
        for number, (measured, peak, parts) in enumerate(zip(subjects, peaks, alone, strict=True)):
            bounded = BoundedRows(measured.table, Roofline(known, in_tf32=_in_tf32(on)))
            layer_times = tuple(
                LayerTime(path, time, bounded.as_one(parts.rows[path]))
                for path, time in parts.times.items()
            )
            timed.append(
                Timed(
                    measured.name,
                    measured.table.total.macs,
                    samples.of(number),
                    samples.ratio(number),
                    len(samples.seconds[number]),
                    bounded.fused,
                    peak,
                    layer_times,
                    measured.table.graph.inputs,
                )
            )
        return Timing(
            tuple(timed), on, threads, processor(on), known.id, _versions(on), notes, depth
        )

    result = beside_bounds(known)
    if result.below_bound and not device:  # its rates may have been measured at a busy moment
        result = beside_bounds(this_device(threads, on, again=True))
    return replace(result, against=tuple(since(saved, result))) if saved else result


def _where(models: Iterable[Model]) -> str:
    """Where modules are that somebody holds, if that is one place and one to run on; or nothing."""
    held = [model for model in models if isinstance(model, nn.Module)]
    there = {tensor.device.type for m in held for tensor in chain(m.parameters(), m.buffers())}
    return there.pop() if len(there) == 1 and there <= {*PLACES} else ""


def _in_tf32(on: str) -> InTf32:
    """What of float32 torch may multiply as tf32 there: by default what cuDNN computes."""
    if on != "cuda":
        return ""
    try:
        return "all" if torch.backends.cuda.matmul.allow_tf32 else "cudnn"
    except RuntimeError:  # set in both of torch's ways, an old and a new one
        return "all"


def _rates(
    subjects: list[Subject], device: str | Device, threads: int, on: str
) -> tuple[Device, str]:
    """The device that bounds are of, and what there is to say of it.

    What has no rate of what is multiplied is measured. Raises ``ChoiceError`` where that has none
    either, or what was asked for has none.
    """
    known, unsure = (roofline(device).device, "") if device else known_device(threads, on)
    missing = _missing(subjects, known)
    if missing and not device:  # of a GPU of the ledger, or of what an older costlab measured
        known = this_device(threads, on, again=known.id == THIS)
        missing = _missing(subjects, known)
    if missing:
        other = "leave --device out" if device else "give --device, one that has it"
        raise ChoiceError(f"{missing}: {other} (costlab devices)")
    return known, unsure


def _missing(subjects: list[Subject], device: Device) -> str:
    """Which rate of floating-point numbers that are multiplied a device does not have."""
    try:
        for subject in subjects:
            _ = BoundedRows(subject.table, Roofline(device)).of_rows
    except FigureError as error:
        return str(error).partition(":")[0]
    return ""


def _versions(on: str) -> dict[str, str]:
    """What times depend on, of what is installed."""
    versions = {"torch": torch.__version__, "python": sys.version.split()[0]}
    if on == "cuda":
        versions["cuda"] = str(torch.version.cuda or torch.version.hip)
        versions["cudnn"] = str(torch.backends.cudnn.version())  # type: ignore[no-untyped-call]
    return versions


class _Layers(NamedTuple):
    """The times of layers alone and their rows, by paths, and what makes them weaker."""

    times: dict[str, Interval]
    rows: dict[str, list[Row]]
    notes: list[str]


def _by_layer(subject: Subject, threads: int) -> _Layers:
    """Each layer alone: until its interval is narrow, or ``_LAYER_LIMIT`` is over."""
    others, alone = Others(threads), layers(subject)
    samples_by_path = {
        path: in_turns([layer.run], threads, _LAYER_NARROW, _LAYER_LIMIT)
        for path, layer in alone.items()
    }
    notes = []
    if (share := others.share()) > BUSY:
        notes.append(busy(share, f" while layers of {subject.name} ran alone"))
    if few := sum(not samples.enough for samples in samples_by_path.values()):
        notes.append(
            f"Too few runs of {few} of {formatting.plural(len(alone), 'layer')} of {subject.name} "
            f"alone: their intervals are wider than ±{100 * _LAYER_NARROW:g} %."
        )
    times = {path: samples.of(0) for path, samples in samples_by_path.items()}
    return _Layers(times, {path: layer.rows for path, layer in alone.items()}, notes)


def _peak_memory(subject: Subject, on: str) -> int | None:
    """The most bytes in a run: of the device, or resident in this process; None if not known."""
    if on == "cuda":
        torch.cuda.reset_peak_memory_stats()
        subject.run()
        return int(torch.cuda.max_memory_allocated())
    status = Path("/proc/self/status")
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # begin a new peak
        subject.run()
        lines = status.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    peak = next((line for line in lines if line.startswith("VmHWM")), "")
    return int(peak.split()[1]) * 1024 if peak else None
