"""What other counters say of a model, and why it is something else."""
