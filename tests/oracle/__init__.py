"""Operations by definition: loops that compute, and count what they do. No code of costlab is used.

Every function takes numpy arrays, batch first, and gives the result. Each scalar operation that it
executes is counted in a `Tally`. Weights come in as arrays, so their sizes are what the definition
needs.
"""

from oracle.tally import Array, Axes, Tally, grid, index

__all__ = ["Array", "Axes", "Tally", "grid", "index"]
