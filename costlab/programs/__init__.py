"""Programs that were written by an exporter, as modules that can be followed like any other."""
