"""The system under proof: `tocsin serve` as a process, and a client that keeps what it was told."""
