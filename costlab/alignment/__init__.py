"""Which layers and scopes of two networks are the same, as a diff says it of two files."""

from costlab.alignment.layers import Alignment, Pair, Verdict, align

__all__ = ["Alignment", "Pair", "Verdict", "align"]
