"""Bodies out of gzip and zstd: what is not about HTTP."""

from __future__ import annotations

import gzip
import tracemalloc

import pytest
import zstandard

from tocsin.errors import InvalidInputError
from tocsin.ingest.parsing.encoding import decoded

BYTES_MAX = 1 << 20


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", b"\x01"),
        ("gzip", gzip.compress(b"cut")[:-3]),
        ("zstd", b"\x01"),
        ("zstd", zstandard.compress(b"cut")[:-1]),
    ],
    ids=["no gzip", "cut gzip", "no zstd", "cut zstd"],
)
def test_a_body_that_cannot_be_unpacked_leaves_no_memory_behind(encoding: str, body: bytes) -> None:
    """Else a sender of bad bodies could take all there is."""

    def refuse() -> None:
        with pytest.raises(InvalidInputError):
            decoded(body, encoding, BYTES_MAX)

    refuse()
    tracemalloc.start()
    try:
        for _ in range(20):
            refuse()
        held_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held_bytes < BYTES_MAX
