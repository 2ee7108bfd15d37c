"""Crash points: a process killed at every call that changes its disk, and disks that fail."""
