"""What a result shows, and the formats it can be written in."""
