"""The detector `logs`: what a device usually writes, and what is new, missing, moved or out of order."""
