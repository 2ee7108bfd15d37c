"""Log lines to templates: what is the same in them, and what varies."""
