"""What a MODEL may be, and how each kind becomes a graph."""
