"""Damaged files of programs: a line that says so, or a table; no traceback, and nobody waits.

Bytes are lost or changed, and what a file says (fields, values, names) is left out or moved.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any
from zipfile import ZipFile

import pytest
import torch
from bounded import at_most
from command_line import Run
from sampled import sampled
from torch import Tensor, nn

onnx = pytest.importorskip("onnx", reason="onnx is not installed")


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
        self.head = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Any:
        x = torch.cat(self.norm(self.conv(x)).relu().split([2, 2], 1), 1)
        return self.head(x.mean((2, 3))).view(x.shape[0], -1)


@pytest.fixture(scope="module")
def wholes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The files before the damage."""
    folder = tmp_path_factory.mktemp("programs")
    inputs = (torch.zeros(2, 3, 8, 8),)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dims = {"x": {0: torch.export.Dim("batch", max=32)}}
        program = torch.export.export(Net().eval(), inputs, dynamic_shapes=dims)
        torch.export.save(program, folder / "net.pt2")
        names: dict[str, Any] = {"input_names": ["x"], "dynamic_axes": {"x": {0: "N"}}}
        torch.onnx.export(Net().eval(), inputs, folder / "net.onnx", dynamo=False, **names)
    return {kind: folder / f"net.{kind}" for kind in ("onnx", "pt2")}


def cut(content: bytes, random: Random) -> bytes:
    """Without its end, or without something in between."""
    first, last = sorted(random.randrange(len(content)) for _ in range(2))
    return content[:first] + (content[last:] if random.random() < 0.5 else b"")


def flipped(content: bytes, random: Random) -> bytes:
    """With some other bytes."""
    damaged = bytearray(content)
    for _ in range(random.randint(1, 3)):
        damaged[random.randrange(len(damaged))] = random.randrange(256)
    return bytes(damaged)


VALUES: list[Any] = [
    *(None, -1, 0, 2**31, 2**62, 2**70, 1e400, "", "x", "a..b", ".".join("a" * 999), [], {}, [[]]),
    *(True, {"as_int": -1}, {"as_name": "nobody"}, {"as_tensor": {"name": "relu"}}),
]


def places(data: Any) -> list[tuple[Any, Any]]:
    """Where JSON has values: the holder and the key or index."""
    found: list[tuple[Any, Any]] = []
    waiting = [data]
    while waiting:
        holder = waiting.pop()
        for key, value in holder.items() if isinstance(holder, dict) else enumerate(holder):
            found.append((holder, key))
            if isinstance(value, (dict, list)):
                waiting.append(value)
    return found


def said_otherwise(content: bytes, random: Random) -> bytes:
    """The description of a program with another value, or two of its values swapped."""
    data = json.loads(content)
    (holder, key), (other, place) = random.choices(places(data), k=2)
    before = json.dumps([holder[key], other[place]])
    one, another = json.loads(before)
    if random.random() < 0.5:
        holder[key], other[place] = another, one
    else:
        holder[key] = random.choice(VALUES)
    return json.dumps(data).encode()


def in_description(whole: Path, change: Callable[[bytes, Random], bytes], random: Random) -> bytes:
    """The file of an exported program with a change in its description."""
    file = whole.with_name("changed.pt2")
    with ZipFile(whole) as source, ZipFile(file, "w") as target:
        for entry in source.infolist():
            own = source.read(entry)
            is_meant = "/models/" in entry.filename
            target.writestr(entry.filename, change(own, random) if is_meant else own)
    return file.read_bytes()


def messages(message: Any) -> Iterator[Any]:
    """A message of protobuf and those inside of it."""
    yield message
    for field, value in message.ListFields():
        if field.message_type is not None:
            for own in value if hasattr(value, "__len__") else [value]:
                yield from messages(own)


def field_changed(whole: Path, random: Random) -> bytes:
    """A model of ONNX without a field, or with another value, order or number in it."""
    model = onnx.load(whole, load_external_data=False)
    changed = random.choice([one for one in messages(model) if one.ListFields()])
    field, value = random.choice(changed.ListFields())
    several = hasattr(value, "__len__") and not isinstance(value, (str, bytes))
    if several and random.random() < 0.7:
        own = list(value)
        random.shuffle(own)
        del value[:]
        value.extend(own + own[:1] if random.random() < 0.5 else own[1:])
    elif isinstance(value, (int, float)) and random.random() < 0.8:
        is_kind = field.enum_type is not None
        setattr(changed, field.name, 1 if is_kind else random.choice([0, 1, 2, 7, 2**30]))
    elif isinstance(value, (str, bytes)) and random.random() < 0.8:
        names = [name for node in model.graph.node for name in (*node.output, node.op_type)]
        name = random.choice([*names, "", "x", "a..b"])
        setattr(changed, field.name, name.encode() if isinstance(value, bytes) else name)
    else:
        changed.ClearField(field.name)
    return bytes(model.SerializeToString())


DAMAGES: dict[str, tuple[str, Callable[[Path, Random], bytes]]] = {
    "onnx, cut": ("onnx", lambda whole, random: cut(whole.read_bytes(), random)),
    "onnx, bytes": ("onnx", lambda whole, random: flipped(whole.read_bytes(), random)),
    "onnx, fields": ("onnx", field_changed),
    "pt2, cut": ("pt2", lambda whole, random: cut(whole.read_bytes(), random)),
    "pt2, bytes": ("pt2", lambda whole, random: flipped(whole.read_bytes(), random)),
    "pt2, description cut": ("pt2", lambda whole, random: in_description(whole, cut, random)),
    "pt2, description's bytes": (
        "pt2",
        lambda whole, random: in_description(whole, flipped, random),
    ),
    "pt2, values": ("pt2", lambda whole, random: in_description(whole, said_otherwise, random)),
}
SEEDS = sampled(range(40), 0)


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_damaged_file_is_a_line_or_a_table(
    costlab: Run, wholes: dict[str, Path], tmp_path: Path, damage: str, seed: int
) -> None:
    kind, change = DAMAGES[damage]
    random, name = Random(f"{damage} {seed}"), f"net.{kind}"
    for number in range(20):
        (tmp_path / name).write_bytes(change(wholes[kind], random))
        with at_most(20, mebibytes=2048):
            run = costlab("show", name, cwd=tmp_path)
        assert run.returncode in (0, 2), (number, run.stderr)
        if run.returncode:
            before, _, said = run.stderr.rpartition("costlab: ")
            assert not before or before.startswith("the layers before the error:"), number
            assert said.count("\n") == 1, (number, run.stderr)
            assert 10 < len(said) < 1000, (number, run.stderr)
        assert "out of memory" not in run.stderr
        assert "Traceback" not in run.stdout + run.stderr


def test_some_damage_is_seen_and_some_does_no_harm(
    costlab: Run, wholes: dict[str, Path], tmp_path: Path
) -> None:
    """So that the test above tries both."""
    for damage, (kind, change) in DAMAGES.items():
        random, codes = Random(damage), set()
        for _ in range(40):
            (tmp_path / f"net.{kind}").write_bytes(change(wholes[kind], random))
            codes.add(costlab("show", f"net.{kind}", cwd=tmp_path).returncode)
        assert 2 in codes, damage
        if "cut" not in damage:
            assert 0 in codes, damage
