"""Fleets that do not exist: sensors with seasons, noise and labelled faults, reproducible by seed."""
