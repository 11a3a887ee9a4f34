"""A graph as a torch module."""
