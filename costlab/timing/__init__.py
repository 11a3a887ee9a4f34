"""How long networks take, measured in turns, beside what they take at least.

``samples`` measures functions in turns, ``subjects`` makes them of MODELs, ``measure`` puts both
together, ``timed`` is what comes of a model, ``result`` shows it.
"""
