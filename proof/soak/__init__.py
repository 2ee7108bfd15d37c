"""Long runs: load with faults for as long as asked, and what it does to memory, files, disk, latency."""
