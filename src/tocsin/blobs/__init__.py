"""Blobs: large bytes, kept whole under the hash of what they are."""
