"""Many variants of a model at once: the rules on numpy arrays, over a grid of choices.

``axes`` says what varies, ``plan`` what a sweep is, ``interval`` bounds what numbers may become,
``costs`` sums over layers, ``search`` counts blocks of the grid, ``keep`` chooses what is wanted of
them, ``engine`` spreads the blocks over processes or a cluster, ``files`` holds what was found, and
``sweep`` is the result. Only a sweep loads these.
"""
