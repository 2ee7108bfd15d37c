"""Dumps: what is in the archives that devices send, read without trusting a byte of them."""
