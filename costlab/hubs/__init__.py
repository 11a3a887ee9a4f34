"""Libraries that have models by names: what they have, how it is built, and what goes in."""
