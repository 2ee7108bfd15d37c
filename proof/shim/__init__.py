"""A library put before the C library: records what a process does to its files, ends it, lets calls fail."""
