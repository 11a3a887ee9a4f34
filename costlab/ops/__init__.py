"""The operations: one class each, with everything that costlab knows of it.

A class is a frozen dataclass of the operation's attributes, with its output shape, params, count,
derivation and torch module (`costlab.op.Op` is the contract). Import a class from its file.
"""
