"""MODEL as a file of ONNX, ``net.onnx``, or an ``onnx.ModelProto``: nothing of it is run."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

from costlab.errors import ChoiceError
from costlab.models.arguments import read_as
from costlab.models.exported_program import Exported

if TYPE_CHECKING:
    from torch import nn

_FILE = re.compile(r"(?P<where>.*\.onnx)(/(?P<part>[^()/]*(/[^()]*)?))?", re.DOTALL)


class Onnx(Exported):
    """A model of ONNX: ``exported`` is one that is there, or None for that of ``where``."""

    def module(self, choices: dict[str, Any]) -> nn.Module:
        """The model as a module; its tensors are on ``meta``."""
        from costlab.programs.onnx_file import read

        if choices:
            raise ChoiceError("a model of ONNX takes no choices: give them where it is made")
        return read(self.exported, self.where)


class _Models:
    priority = 4
    about = "a model of ONNX, of which nothing is run"
    grammar = ("net.onnx", "net.onnx/part")

    def read(self, model: object) -> Onnx | None:
        if isinstance(model, str):
            match = read_as(_FILE, model)
            return match and Onnx(match.string, match["where"], match["part"] or "")
        onnx = sys.modules.get("onnx")  # who has a model has imported it
        if onnx is not None and isinstance(model, onnx.ModelProto):
            name = str(model.graph.name or "the model")
            return Onnx(name, name, "", model)
        return None


FRONTEND = _Models()
