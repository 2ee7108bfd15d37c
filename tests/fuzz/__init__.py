"""Fuzzers that run on beside the tests: `python -m tests.fuzz.parser --seconds 60`."""
