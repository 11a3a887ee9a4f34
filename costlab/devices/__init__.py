"""How fast devices are, as their makers print it and as it follows from their units and clocks.

``device`` reads the files of ``makers/``, one a maker, ``derivation`` computes what units, lanes
and clocks make, ``verdict`` compares the two, ``ledger`` has all of them together. ``tables/`` are
others' tables of devices, judged by ours.
"""
