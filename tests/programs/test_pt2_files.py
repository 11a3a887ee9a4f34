"""Files of exported programs that are damaged, foreign or hostile: one line, and nothing is run."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import pytest
import torch
from torch import Tensor, nn

import costlab
from costlab.errors import CostlabError, ProgramError
from costlab.programs import pt2
from costlab.programs.operators import is_known, operator_named


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.head = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Any:
        x = torch.cat(self.conv(x).relu().split([2, 2], 1), 1)
        return self.head(x.mean((2, 3))).view(x.shape[0], -1)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("programs") / "net.pt2"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dynamic = {"x": {0: torch.export.Dim("batch", max=32)}}
        program = torch.export.export(
            Net().eval(), (torch.zeros(2, 3, 8, 8),), dynamic_shapes=dynamic
        )
        torch.export.save(program, path)
    return path


def changed(whole: Path, file: Path, change: Callable[[Any], Any], **how: Any) -> str:
    """A copy of a file whose description is changed."""
    with ZipFile(whole) as source, ZipFile(file, "w", **how) as target:
        for entry in source.infolist():
            content = source.read(entry)
            if "/models/" in entry.filename:
                content = json.dumps(change(json.loads(content))).encode()
            target.writestr(entry.filename, content)
    return str(file)


def test_the_file_itself_is_read(whole: Path, tmp_path: Path) -> None:
    copy = changed(whole, tmp_path / "copy.pt2", lambda data: data)
    assert costlab.analyze(copy).total == costlab.analyze(str(whole)).total
    assert costlab.analyze(copy).total.macs == 2 * (36 * 4 * 27 + 8)


class Moved(Net):
    """Another type, and the device of another tensor."""

    def forward(self, x: Tensor) -> Any:
        scale = self.head.bias.to("cpu", torch.float64).to(x)
        return super().forward(x) * scale + torch.arange(2, device="cpu").to(x.device)


def test_a_device_in_a_program_is_no_value(tmp_path: Path) -> None:
    program = torch.export.export(Moved().eval(), (torch.zeros(2, 3, 8, 8),))
    torch.export.save(program, tmp_path / "net.pt2")
    table = costlab.analyze(str(tmp_path / "net.pt2"))
    assert table.total == costlab.analyze(program).total
    assert table.total.macs == 2 * (36 * 4 * 27 + 8)


def test_a_truncated_file(whole: Path, tmp_path: Path) -> None:
    content = whole.read_bytes()
    for length in (0, 10, len(content) // 2, len(content) - 30):  # it has whole files in it
        file = tmp_path / "cut.pt2"
        file.write_bytes(content[:length])
        with pytest.raises(ProgramError, match=r"no(t a)? whole .*: save it again"):
            costlab.analyze(str(file))


def test_files_of_something_else(whole: Path, tmp_path: Path) -> None:
    file = tmp_path / "other.pt2"
    with pytest.raises(ProgramError, match=r"there is no file .*missing.pt2"):
        costlab.analyze(str(tmp_path / "missing.pt2"))
    (tmp_path / "folder.pt2").mkdir()
    with pytest.raises(ProgramError, match="cannot read"):
        costlab.analyze(str(tmp_path / "folder.pt2"))
    torch.save({"weight": torch.zeros(2)}, file)
    with pytest.raises(ProgramError, match="holds no whole program"):
        costlab.analyze(str(file))
    with ZipFile(file, "w") as archive:
        archive.writestr("net/data/aotinductor/model/net.so", b"")
    with pytest.raises(ProgramError, match="holds compiled code alone"):
        costlab.analyze(str(file))
    with ZipFile(file, "w") as archive:
        archive.writestr("net/models/a.json", b"{}")
        archive.writestr("net/models/b.json", b"{}")
    with pytest.raises(ProgramError, match="holds 2 programs"):
        costlab.analyze(str(file))
    with ZipFile(file, "w") as archive:
        archive.writestr("net/models/model.json", b"{")
    with pytest.raises(ProgramError, match=r"is damaged in net/models/model.json"):
        costlab.analyze(str(file))


def test_a_later_format_is_said(whole: Path, tmp_path: Path) -> None:
    def later(data: Any) -> Any:
        return data | {"schema_version": {"major": 9, "minor": 0}}

    with pytest.raises(ProgramError, match="has version 9 of torch's format, this costlab reads 8"):
        costlab.analyze(changed(whole, tmp_path / "later.pt2", later))


def test_a_description_that_unpacks_to_too_much_is_not_read(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pt2, "LARGEST", 100_000)
    file = changed(
        *(whole, tmp_path / "bomb.pt2", lambda data: data | {"more": " " * 10**7}),
        compression=ZIP_DEFLATED,
    )
    assert Path(file).stat().st_size < 100_000
    with pytest.raises(ProgramError, match=r"describes its program in 10,0.* bytes: 100,000 are"):
        costlab.analyze(file)


def test_names_of_functions_and_formulas_of_sizes_are_data(whole: Path, tmp_path: Path) -> None:
    """As torch's own loader reads them, they would run."""
    mark = tmp_path / "mark"
    code = f"__import__('pathlib').Path({str(mark)!r}).touch()"

    def hostile(data: Any) -> Any:
        graph = data["graph_module"]["graph"]
        for size in sizes(graph):
            size["expr_str"] = code
        for node in graph["nodes"]:
            node["metadata"]["nn_module_stack"] = f"L__self__,,{code};k,conv,{code}"
        return data

    table = costlab.analyze(changed(whole, tmp_path / "hostile.pt2", hostile))
    assert table.total.macs == 2 * (36 * 4 * 27 + 8)
    assert not mark.exists()


def sizes(data: Any) -> Iterator[Any]:
    if isinstance(data, dict):
        if "expr_str" in data:
            yield data
        for value in data.values():
            yield from sizes(value)
    elif isinstance(data, list):
        for value in data:
            yield from sizes(value)


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "torch.load",
        "torch.ops.load_library",
        "torch.ops.aten.from_file.default",
        "_operator.methodcaller",
        "builtins.exec",
        "torch.ops.__init__.x.y",
        "torch.ops.nobodys.operator.default",
    ],
)
def test_no_function_is_called_that_could_do_harm(whole: Path, tmp_path: Path, target: str) -> None:
    """It is an operator that nobody knows, with the result that the file says it has."""
    assert not is_known(operator_named(target))

    def hostile(data: Any) -> Any:
        node = next(n for n in data["graph_module"]["graph"]["nodes"] if "relu" in n["target"])
        return data if node.update(target=target) is None else None

    table = costlab.analyze(changed(whole, tmp_path / "hostile.pt2", hostile))
    assert sum(row.uncounted for row in table.rows) == 1


def test_the_test_of_harmless_functions_can_fail() -> None:
    for target in ("torch.ops.aten.relu.default", "_operator.add", "torch.sym_max"):
        assert is_known(operator_named(target))


@pytest.mark.parametrize(
    ("target", "args"),
    [
        ("_operator.pow", [{"as_int": 10}, {"as_int": 10**9}]),
        ("_operator.lshift", [{"as_int": 1}, {"as_int": 10**12}]),
        ("_operator.mul", [{"as_int": 10**30}, {"as_int": 2}]),
    ],
)
def test_arithmetic_on_sizes_is_bounded(
    whole: Path, tmp_path: Path, target: str, args: list[Any]
) -> None:
    def hostile(data: Any) -> Any:
        inputs = [{"name": "x", "arg": arg, "kind": 1} for arg in args]
        node = {"target": target, "inputs": inputs, "outputs": [{"as_sym_int": {"as_name": "n"}}]}
        data["graph_module"]["graph"]["nodes"].insert(0, node | {"metadata": {}})
        return data

    with pytest.raises(CostlabError, match="computes with sizes that no tensor has"):
        costlab.analyze(changed(whole, tmp_path / "hostile.pt2", hostile))


def test_pieces_without_number_are_refused(whole: Path, tmp_path: Path) -> None:
    def hostile(data: Any) -> Any:
        graph = data["graph_module"]["graph"]
        for size in graph["tensor_values"]["x"]["sizes"][1:2]:
            size["as_int"] = 10**12
        argument = {"name": "self", "arg": {"as_tensor": {"name": "x"}}, "kind": 1}
        dim = {"name": "dim", "arg": {"as_int": 1}, "kind": 1}
        node = {"target": "torch.ops.aten.unbind.int", "inputs": [argument, dim], "metadata": {}}
        graph["nodes"].insert(0, node | {"outputs": [{"as_tensors": [{"name": "x0"}]}]})
        return data

    with pytest.raises(CostlabError, match="unbind would give more than 100,000 tensors"):
        costlab.analyze(changed(whole, tmp_path / "hostile.pt2", hostile))
