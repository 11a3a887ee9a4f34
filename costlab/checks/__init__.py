"""What other counters report of a model, and why it differs."""
