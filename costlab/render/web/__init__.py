"""Pages for a browser: our own template, style and script, in one file that asks for nothing."""
