"""The whole embedded system in one process, under a clock, a scheduler and a disk that a seed decides."""
