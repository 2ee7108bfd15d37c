"""Bodies out of their content encoding, never beyond the limit."""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from tocsin.errors import InvalidInputError, TooLargeError, UnsupportedMediaError

ENCODINGS: Final = ("identity", "gzip", "zstd")


def decoded(body: bytes, content_encoding: str, bytes_max: int) -> bytes:
    """The plain body; at most one byte more than allowed is ever unpacked, whatever was packed.

    Raises TooLargeError, UnsupportedMediaError, or InvalidInputError for a damaged or cut stream.
    """
    encoding = content_encoding.strip().lower() or "identity"
    if encoding == "x-gzip":
        encoding = "gzip"
    if encoding not in ENCODINGS:
        raise UnsupportedMediaError(
            f"The content encoding {content_encoding[:60]!r} is not read; use one of {', '.join(ENCODINGS)}.",
            field="Content-Encoding",
        )
    plain = body if encoding == "identity" else _unpacked(body, encoding, bytes_max)
    if len(plain) > bytes_max:
        raise TooLargeError(f"The body has more than {bytes_max} bytes; send it in parts.")
    return plain


def _unpacked(body: bytes, encoding: str, bytes_max: int) -> bytes:
    try:
        with pa.CompressedInputStream(pa.BufferReader(body), encoding) as stream:
            # `read` would lose its buffer of `bytes_max` whenever it fails: a leak for each bad body.
            plain: bytes = stream.read_buffer(bytes_max + 1).to_pybytes()
    except OSError as error:
        raise InvalidInputError(
            f"The body is no whole {encoding} stream ({error}); send it again.", field="Content-Encoding"
        ) from error
    if not plain and not body:
        raise InvalidInputError(
            f"The body is empty, which is no {encoding} stream.", field="Content-Encoding"
        )
    return plain
