"""Corruption: bits that flip while nobody looks, in every file that Tocsin keeps."""
