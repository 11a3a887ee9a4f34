"""Which layers and scopes of two networks are the same, as a diff says it of two files."""

from costlab.alignment.layers import Alignment, Pair, Verdict, align
from costlab.alignment.scopes import AlignedPart, align_parts

__all__ = ["AlignedPart", "Alignment", "Pair", "Verdict", "align", "align_parts"]
