"""Bugs planted on purpose: whoever claims that faults are found shows it on faults that are there."""
