"""Machines that do not exist: their components write logs, which they send as dumps, with labelled faults."""
