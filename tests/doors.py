"""The same network by each door: followed, and from the files that torch's exporters write of it.

What each file says of each network, some minutes: python tests/doors.py [NAME ...]
"""

from __future__ import annotations

import csv
import logging
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from math import prod
from pathlib import Path
from typing import Any

import collection
import torch
import transformer_models
from torch import Tensor, nn

import costlab
from costlab.costs.table import CostTable

DATA = Path(__file__).parent / "data" / "doors.csv"
"""What it said with the versions of constraints.txt: network, file, and what differs."""

FILES = {
    "pt2": "net.pt2 of torch.export.save",
    "onnx": "net.onnx of torch.onnx.export(dynamo=True, optimize=False)",
    "optimised": "the same, optimised, as it is by default",
    "older": "net.onnx of torch.onnx.export(dynamo=False)",
}
"""The doors beside that of the module itself."""


@dataclass(frozen=True)
class Network:
    """A module and what it is called with."""

    module: nn.Module
    inputs: dict[str, Tensor] | tuple[Tensor, ...]

    @property
    def args(self) -> tuple[Tensor, ...]:
        return self.inputs if isinstance(self.inputs, tuple) else ()

    @property
    def kwargs(self) -> dict[str, Tensor]:
        return self.inputs if isinstance(self.inputs, dict) else {}

    def followed(self) -> CostTable:
        """Its table."""
        if isinstance(self.inputs, dict):
            return costlab.analyze(self.module, kwargs=self.inputs)
        return costlab.analyze(self.module, inputs=self.inputs)


def network(name: str) -> Network:
    """A network by its name."""
    if name in collection.catalog():
        module = costlab.build(name)
        inputs: Any = tuple(map(torch.zeros, costlab.analyze(name).graph.inputs))
    elif name in transformer_models.TRANSFORMERS:
        module = transformer_models.model(name, use_cache=False)  # it then returns tensors
        inputs = transformer_models.TRANSFORMERS[name][-1]
    else:
        module = collection.filled(name.removeprefix("pytorchcv:"))
        inputs = (torch.zeros(collection.size(module)),)
    return Network(with_values(module), inputs)


def with_values(module: nn.Module) -> nn.Module:
    """The module with values that differ: exporters make one of tensors that are alike."""
    torch.manual_seed(0)
    with torch.no_grad():
        for tensor in (*module.parameters(), *module.buffers()):
            if tensor.is_floating_point():
                tensor.uniform_(0.5, 1.5)
    return module.eval()


def names() -> list[str]:
    """All of them: the catalog with its variants, pytorchcv's twenty, transformers'."""
    return [
        *collection.catalog(),
        *(f"pytorchcv:{name}" for name in collection.REPRESENTATIVE),
        *transformer_models.TRANSFORMERS,
    ]


def written(made: Network, folder: Path) -> dict[str, Path | str]:
    """The files that torch writes of the network, by their kinds; or why it does not."""
    files: dict[str, Path | str] = {}
    program: Any = None
    exported: Any = None

    def followed() -> None:
        nonlocal program
        program = torch.export.export(made.module, made.args, made.kwargs)
        torch.export.save(program, folder / "pt2.pt2")

    def plain() -> None:
        nonlocal exported
        how: dict[str, Any] = {"kwargs": made.kwargs, "optimize": False, "verbose": False}
        exported = torch.onnx.export(program, made.args, dynamo=True, **how)
        exported.save(folder / "onnx.onnx", external_data=False)

    def optimised() -> None:
        if exported is None:
            raise RuntimeError("there is nothing to optimise")
        exported.optimize()
        exported.save(folder / "optimised.onnx", external_data=False)

    def older() -> None:
        file = folder / "older.onnx"
        torch.onnx.export(made.module, made.args, file, kwargs=made.kwargs, dynamo=False)

    for kind, write in zip(FILES, (followed, plain, optimised, older), strict=True):
        with quiet():
            try:
                write()
            except Exception as error:
                files[kind] = type(error).__name__
            else:
                [files[kind]] = folder.glob(f"{kind}.*")
    return files


@contextmanager
def quiet() -> Iterator[None]:
    """What exporters print and warn of is not shown."""
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)


def folded(table: CostTable, kinds: tuple[str, ...]) -> int:
    """Params that are gone once each batch norm is inside of the layer whose result it alone takes.

    Of layers of these kinds; one without a bias gets one.
    """
    graph = table.graph
    makers = {
        number: row.layer
        for row in table.rows
        if row.layer.op.kind in kinds
        for number in row.layer.results
    }
    takers = Counter(number for layer in graph.layers for number in layer.all_operands)
    takers.update(graph.returns)
    gone = 0
    for norm in graph.layers:
        taken = norm.operands[0] if norm.operands else -1
        if norm.op.kind == "batch_norm" and taken in makers and takers[taken] == 1:
            own = [graph.values[number] for number in norm.weights]
            gone += sum(value.elements for value in own if value.kind == "parameter")
            given = [graph.values[number].shape for number in makers[taken].weights]
            gone -= 0 if any(len(shape) == 1 for shape in given) else norm.output[1]
    return gone


def whole(table: CostTable) -> int:
    """Its params, also those that nothing takes."""
    return table.total.params + sum(count for _, count in table.graph.unused)


def tensors(table: CostTable) -> list[tuple[int, ...]]:
    """The shapes of what a network gives."""
    return sorted(table.graph.outputs, key=lambda shape: (prod(shape), shape))


def differences(followed: CostTable, table: CostTable) -> str:
    """How the table of a file is not that of the module."""
    parts = []
    if table.total.macs != followed.total.macs:
        parts.append(f"MACs {table.total.macs - followed.total.macs:+,}")
    fewer = whole(followed) - whole(table)
    foldings = [folded(followed, kinds) for kinds in (("conv",), ("conv", "linear"))]
    if fewer and fewer in foldings:
        parts.append(f"batch norms folded: {-fewer:+,} params")
    elif fewer:
        parts.append(f"params {-fewer:+,}")
    if tensors(table) != tensors(followed):
        parts.append(f"outputs {tensors(table)}, not {tensors(followed)}")
    if not table.complete:
        parts.append(f"uncounted {sorted({row.label for row in table.uncounted})}")
    return ", ".join(parts) or "same"


def recorded(name: str) -> list[tuple[str, str]]:
    """What each file of a network is known to say."""
    with DATA.open(encoding="utf-8", newline="") as file:
        return [(kind, verdict) for network, kind, verdict in csv.reader(file) if network == name]


def compared(name: str) -> Iterator[tuple[str, str]]:
    """What each file of a network says beside the network itself."""
    made = network(name)
    followed = made.followed()
    with tempfile.TemporaryDirectory() as folder:
        for kind, file in written(made, Path(folder)).items():
            if isinstance(file, str):
                yield kind, f"no file: {file}"
                continue
            try:
                yield kind, differences(followed, costlab.analyze(str(file)))
            except costlab.CostlabError as error:
                yield kind, f"not read: {error}"
            file.unlink()


def main(chosen: list[str]) -> int:
    """Print what each file of each network says, and how often each says the same."""
    verdicts = Counter[tuple[str, str]]()
    rows = csv.writer(sys.stdout, lineterminator="\n")
    for name in chosen or names():
        for kind, verdict in compared(name):
            rows.writerow((name, kind, verdict))
            sys.stdout.flush()
            verdicts[kind, verdict.partition(":")[0]] += 1
    for (kind, verdict), count in sorted(verdicts.items()):
        print(f"{count} {kind}: {verdict}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
