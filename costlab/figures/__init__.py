"""Published figures, one TOML file for each source, and how each of them is judged.

``source`` reads the files of ``sources/``, ``quantity`` says what a figure counts, ``printed`` what
its digits claim, ``verdict`` compares the two. ``ledger`` has all verdicts together.
"""
