"""Detectors of other teams: classes that read a device's dumps in order, in worker processes."""
