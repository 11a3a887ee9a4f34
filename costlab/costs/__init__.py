"""The numbers of a graph: a row for each layer, totals, and a table of both."""
