"""What a network holds in memory while it runs, to the byte."""
