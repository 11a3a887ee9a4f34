"""One small language of quantities and conditions, for figures, sweeps and budgets.

``macs <= 1.6 G and params < 7 M``, ``macs / params``, ``macs[conv] + add[conv]``,
``stem == 'plain' and not aux``, ``macs <= 1.02 * base.macs``. docs/expressions.md has all of it.

``tokens`` cuts a text into words and signs, ``parser`` makes the tree of ``nodes`` and finds what
is no number, truth or word where one is needed. An ``Expression`` is evaluated on values that its
user supplies: ints, fractions, numpy arrays, or bounds. ``layers`` says which layers ``[...]``
means, ``tables`` has the quantities of a cost table as values. A text is never run as Python.
"""
