"""Results made of several tables: comparisons, lists, reports."""
