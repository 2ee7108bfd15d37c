"""The page on what was proved: rows of faults and bad input with their tests, and figures of campaigns."""
