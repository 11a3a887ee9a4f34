"""Pictures for papers: SVG and PDF whose text is text, and dots."""

from __future__ import annotations

from typing import BinaryIO

from costlab.render.document import Showable
from costlab.render.format import Format, Screen


def _picture(kind: str, purpose: str, binary: bool) -> Format:
    def write(result: Showable, file: BinaryIO, screen: Screen) -> None:
        from costlab.render.pictures import write_picture  # where a picture is written

        write_picture(result, file, kind, screen.graph)

    return Format(kind, (kind,), purpose, "page", write, binary, "matplotlib", "pictures")


FORMATS = (
    _picture("pdf", "a picture in a paper", binary=True),
    _picture("png", "a picture of dots", binary=True),
    _picture("svg", "a picture", binary=False),
)
