"""Data flows one way, and so do imports; and the light path stays light."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import costlab

PACKAGE = Path(costlab.__file__).parent

# Each may import what stands on a line above it, and its neighbours in a room of its own.
LAYERS = [
    {"errors", "gc_pause", "interruptions", "user_files", "version"},
    {"atomic_files", "calls", "formatting", "printed", "torch_private"},
    {"isolation"},
    {"counters", "graph", "render"},
    {"ops", "symbols", "devices"},
    {"catalog", "trace"},
    {"hubs", "programs"},
    {"models"},
    {"costs", "modules"},
    {"alignment", "expressions", "footprint", "roofline"},
    {"checks", "figures", "formulas", "sweeps"},
    {"gates", "timing"},
    {"views"},
    {"cli", "pytest_plugin", "__init__"},
    {"__main__"},
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
TORCH = {"hubs", "modules", "programs", "trace", "isolation", "torch_private"}
HEAVY = {*TORCH, "footprint", "formulas", "sweeps", "timing"}
FOREIGN = {"torch", "pandas", "numpy", "sympy", "fvcore"}


def files() -> dict[str, str]:
    return {
        str(path.relative_to(PACKAGE)): path.read_text(encoding="utf-8")
        for path in PACKAGE.rglob("*.py")
    }


def imports(source: str) -> list[tuple[str, bool]]:
    """Imported modules, and whether when the file itself is imported; not those for types only."""
    found: list[tuple[str, bool]] = []

    def visit(node: ast.AST, at_import: bool) -> None:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            return
        if isinstance(node, ast.Import):
            found.extend((alias.name, at_import) for alias in node.names)
        if isinstance(node, ast.ImportFrom) and node.module:
            if node.module == "costlab":
                found.extend((f"costlab.{alias.name}", at_import) for alias in node.names)
            else:
                found.append((node.module, at_import))
        inside = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        for child in ast.iter_child_nodes(node):
            visit(child, at_import and not inside)

    visit(ast.parse(source), True)
    return found


def room(path: str) -> str:
    """The part of the house that a file belongs to: its folder, or its own name."""
    parts = Path(path).with_suffix("").parts
    return parts[0]


def violations(sources: dict[str, str]) -> list[str]:
    wrong = []
    for path, source in sources.items():
        here = room(path)
        for name, at_import in imports(source):
            top, *rest = name.split(".")
            if top == "costlab" and rest:
                there = rest[0]
                if there not in LEVEL:
                    wrong.append(f"{path}: {there} has no layer")
                elif there != here and LEVEL[there] >= LEVEL[here]:
                    wrong.append(f"{path}: {here} imports {there}")
            if top in FOREIGN and at_import and here not in HEAVY and path != "ops/apply.py":
                wrong.append(f"{path}: imports {top} when it is imported")
            if (
                here == "counters"
                and top == "costlab"
                and rest[:1] not in (["counters"], ["errors"])
            ):
                wrong.append(f"{path}: a counter knows {name}")
    return wrong


def test_every_file_has_a_place() -> None:
    assert {room(path) for path in files()} == set(LEVEL)


def test_imports_run_one_way() -> None:
    assert violations(files()) == []


def private_names(source: str) -> list[str]:
    """Names of torch that begin with an underscore, by whatever home they are reached."""
    names = [name for name, _ in imports(source)]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute):
            names.append(ast.unparse(node))
        if isinstance(node, ast.ImportFrom) and node.module:
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    private = [name for name in names if re.match(r"(torch|nn|functional)\b.*\._[a-zA-Z]", name)]
    # The only home of TorchDispatchMode, which torch documents.
    return [name for name in private if not name.startswith("torch.utils._python_dispatch")]


def test_private_names_of_torch_are_in_one_file() -> None:
    """A release of torch may take them away: then one file says what is missing."""
    assert private_names("import torch\ntorch._C._set_grad_enabled(True)")
    assert private_names("from torch.nn.modules.module import _global_forward_hooks")
    sources = files()
    del sources["torch_private.py"]
    assert {path: found for path, text in sources.items() if (found := private_names(text))} == {}


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("formatting.py", "from costlab.graph import Net"),
        ("graph.py", "from costlab.costs.table import analyze"),
        ("ops/conv.py", "def late():\n    import costlab.catalog"),
        ("ops/conv.py", "import torch"),
        ("costs/table.py", "import pandas as pd"),
        ("counters/fvcore.py", "from costlab.ops.conv import Conv"),
        ("counters/torch.py", "import torch"),
        ("errors.py", "from costlab import nowhere"),
    ],
)
def test_the_test_of_import_layers_can_fail(path: str, source: str) -> None:
    assert len(violations({path: source})) >= 1


def imported(*args: str, code: int = 0) -> set[str]:
    """The modules that a command line has imported by its end, with that exit code."""
    script = (
        "import sys\n"
        "from costlab.cli import main\n"
        f"try: main({list(args)!r})\n"
        f"finally: print('LOADED', *sys.modules, file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    return set(done.stderr.split("LOADED")[1].split())


def loaded(*args: str, code: int = 0) -> set[str]:
    """Those of them that are slow to import."""
    return FOREIGN & imported(*args, code=code)


@pytest.mark.parametrize(
    "args",
    [
        ("compare", "naive", "reduced", "--no-trace"),
        ("reconcile", "--help"),
        ("show", "googlenet", "--format", "json"),
        ("list", "--format", "csv"),
        ("figures", "--format", "markdown"),
        ("check", "googlenet", "--require", "macs <= 1.6 G and macs / params < 1 K"),
        ("check", "reduced", "--require", "macs <= base.macs", "--baseline", "naive"),
    ],
)
def test_the_light_path_is_light(args: tuple[str, ...]) -> None:
    assert loaded(*args) == set()


def test_saved_reports_are_checked_without_torch(tmp_path: Path) -> None:
    """Also where the limit fails, and the layers that are the cause are looked for."""
    saved = tmp_path / "saved.json"
    saved.write_text(costlab.analyze("naive").to_json(), encoding="utf-8")
    limits = ("--require", "macs < base.macs", "--baseline", str(saved), "--format", "comment")
    assert loaded("check", str(saved), *limits, code=1) == set()


def test_the_light_path_test_can_fail() -> None:
    assert "sympy" in loaded("formula", "naive/branch5x5")


def test_a_comparison_imports_what_it_needs() -> None:
    """No counters and checks without a check, and of the catalog only what is compared."""
    names = imported("compare", "naive", "reduced", "--no-trace")
    ours = [name.split(".")[1:] for name in names if name.startswith("costlab.")]
    packages = {PACKAGE.joinpath(path[0]).is_dir() and path[0] for path in ours} - {False}
    needed = {"alignment", "catalog", "cli", "costs", "graph", "models", "ops", "render", "views"}
    assert packages == needed
    catalog = {path[1] for path in ours if path[0] == "catalog" and path[1:]}
    assert catalog == {"blocks", "inception_module", "registry"}


def test_models_of_the_catalog_are_checked_without_the_tracer() -> None:
    """What they are built with imports none of it: nobody waits for what is not run."""
    sources, waiting, needed = files(), ["modules/block.py"], set[str]()
    while waiting:
        path = waiting.pop()
        needed.add(path)
        for name, at_import in imports(sources[path]):
            file = "/".join(name.split(".")[1:])
            known = next((f for f in (f"{file}.py", f"{file}/__init__.py") if f in sources), None)
            if at_import and known and known not in needed:
                waiting.append(known)
    assert "graph/network.py" in needed
    assert {room(path) for path in needed}.isdisjoint({"trace", "costs"})


def test_the_packages_public_names_are_those_it_exports() -> None:
    public = {name for name in dir(costlab) if not name.startswith("_")}
    modules = {name for name in public if isinstance(getattr(costlab, name), type(sys))}
    assert public - modules - {"annotations"} == set(costlab.__all__) - {"__version__"}


def test_functions_are_not_shadowed_by_their_modules() -> None:
    """``costlab.build`` is a function, also after somebody has imported ``costlab.build``."""
    import costlab.modules.block
    import costlab.modules.build
    import costlab.views.compare

    for name in ("analyze", "build", "compare", "crosscheck"):
        assert callable(getattr(costlab, name))
