"""Which tool a package is, and its version: what was imported, whatever else is installed."""

from __future__ import annotations

from importlib import import_module, metadata
from pathlib import Path


def version_of(package: str, distribution: str = "") -> str:
    """The version of what is imported by that name, which is usually the tool of that name.

    Or of ``distribution``, if that is how the tool is installed.

    Another tool may have the same name for an import, such as ultralytics-thop: ``2.2.3
    (ultralytics-thop)``. A version that the module says itself decides which of them it is.
    """
    module = import_module(package)
    own = str(getattr(module, "__version__", ""))
    if _is_it(distribution or package, own, module.__file__):
        return metadata.version(distribution or package)
    others = metadata.packages_distributions().get(package, [])
    tool = next((other for other in others if _is_it(other, own, module.__file__)), "")
    number = metadata.version(tool) if tool else own or "unknown version"
    return f"{number} ({tool or 'of no installed package'})"


def _is_it(distribution: str, version: str, file: str | None) -> bool:
    """Whether a distribution has that version, and its files are where the module's are."""
    try:
        tool = metadata.distribution(distribution)
    except metadata.PackageNotFoundError:
        return False
    folder = Path(str(tool.locate_file(""))).resolve()
    return (
        tool.version.startswith(version)
        and file is not None
        and (folder in Path(file).resolve().parents)
    )
