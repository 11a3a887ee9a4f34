"""Many variants of a model at once: the rules on numpy arrays, over a grid of choices.

``axes`` says what varies, ``expression`` reads conditions and goals, ``interval`` bounds what
numbers may become, ``search`` counts blocks of the grid, ``keep`` chooses what is wanted of them,
``engine`` spreads the blocks over processes or a cluster, and ``files`` holds and writes what was
found. Only a sweep loads these.
"""
