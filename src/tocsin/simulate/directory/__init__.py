"""A directory of technicians that never was: two endpoints, a mapping that changes, and faults by seed."""
