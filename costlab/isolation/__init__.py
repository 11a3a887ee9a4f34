"""Foreign code leaves no trace: modules, torch's settings and random numbers are put back."""
