"""Sizes that carry an expression, and what is known and asked of them."""
