"""What the standard of ONNX says of its operators: what they take and give, and their attributes.

A file that says otherwise is run by nobody; what is counted of it would be a guess.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from costlab.errors import ProgramError

OLDEST, NEWEST = 11, 28
"""The opsets whose operators are known here; a later one may have changed some."""


class Standard:
    """The operators of an opset, as the installed library has them.

    Raises ``ProgramError`` for an opset that is not known; ``name`` is that of the file.
    """

    def __init__(self, onnx: Any, opset: int, name: str) -> None:
        self._onnx, self._opset, self._name = onnx, opset, name
        self._has = onnx.defs.onnx_opset_version()
        if opset < OLDEST:
            raise ProgramError(
                f"{name} is of opset {opset}, and operators are known from {OLDEST} on: "
                "onnx.version_converter may convert it"
            )
        if opset > max(self._has, NEWEST):
            raise ProgramError(
                f"{name} is of opset {opset}, and the installed onnx knows {self._has}: "
                "pip install -U onnx"
            )

    def is_known(self, operator: str) -> bool:
        """Whether an operator means what it did in the newest opset that is known here."""
        if self._opset <= NEWEST:
            return True
        schema = _schema(self._onnx, operator, self._opset)
        return schema is not None and schema.since_version <= NEWEST

    def require(self, node: Any) -> None:
        """Raises ``ProgramError`` for an operator that the standard does not have in this form."""
        schema = _schema(self._onnx, node.op_type, min(self._opset, self._has))
        if schema is None or schema.deprecated or self._opset > self._has:
            return
        wrong = ""
        types = self._onnx.AttributeProto.AttributeType
        for count, (least, most), what in (
            (len(node.input), (schema.min_input, schema.max_input), "inputs"),
            (len(node.output), (schema.min_output, schema.max_output), "outputs"),
        ):
            if not least <= count <= most:
                wrong = f"{count} {what}"
        for attribute in node.attribute:
            known = _attributes(self._onnx, node.op_type, self._opset).get(attribute.name)
            if known is None:
                wrong = f"an attribute {attribute.name[:40]!r}"
            elif known != types.Name(attribute.type):
                wrong = f"{attribute.name} of the type {types.Name(attribute.type)}, not {known}"
        given = {attribute.name for attribute in node.attribute}
        for own in schema.attributes.values():
            if own.required and own.name not in given:
                wrong = f"no {own.name}"
        if wrong:
            where = " ".join((node.name or "".join(node.output[:1])).split())[:100]
            raise ProgramError(
                f"{self._name} is no whole model of ONNX: {node.op_type} at {where!r} has {wrong}: "
                f"opset {self._opset} has no such operator"
            )


@lru_cache(maxsize=1024)
def _schema(onnx: Any, operator: str, opset: int) -> Any:
    """What the library says of an operator; None where it has none of that name."""
    try:
        return onnx.defs.get_schema(operator, opset, "")
    except onnx.defs.SchemaError:
        return None


@lru_cache(maxsize=1024)
def _attributes(onnx: Any, operator: str, opset: int) -> dict[str, str]:
    """The types of the attributes of an operator, by their names."""
    own = _schema(onnx, operator, opset).attributes
    return {name: attribute.type.name for name, attribute in own.items()}
