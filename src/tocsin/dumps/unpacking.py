"""Packed bytes to plain ones, in pieces of bounded size, with checksum and length proved at the end."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Final, cast

import zstandard

from tocsin.dumps.entry import Entry, Method
from tocsin.dumps.faults import ZipLimitError, ZipMalformedError
from tocsin.dumps.limits import ArchiveLimits
from tocsin.dumps.source import Source, read_exactly
from tocsin.visible import visible

PIECE_BYTES: Final = 128 << 10
_RAW: Final = -zlib.MAX_WBITS
_GZIP: Final = 16 + zlib.MAX_WBITS


def unpack(source: Source, entry: Entry, start: int, limits: ArchiveLimits) -> Iterator[bytes]:
    """The member's bytes in pieces of at most PIECE_BYTES.

    They are proved by the last piece alone: whoever uses them before must be able to take that back.
    Raises ZipMalformedError or ZipLimitError.
    """
    pieces = _packed(source, start, entry.packed_bytes)
    match entry.method:
        case Method.STORED:
            plain: Iterator[bytes] = pieces
        case Method.DEFLATE:
            plain = _inflate(pieces, entry.name)
        case Method.ZSTD:
            plain = _unzstd(_Packed(source, start, entry.packed_bytes), entry.name, limits)
    return _proved(plain, entry)


def gunzip(
    pieces: Iterable[bytes], name: str, limits: ArchiveLimits, took: Callable[[int, int], object]
) -> Iterator[bytes]:
    """What a .gz holds, several streams in a row too; `took` hears how many bytes and streams so far.

    Raises ZipMalformedError when it is none or cut off, ZipLimitError when it is packed too well.
    """
    decoder: zlib._Decompress | None = None
    packed = total = streams = 0
    for piece in pieces:
        packed += len(piece)
        rest = piece
        while rest:
            if decoder is None or decoder.eof:
                if streams and not (rest := rest.lstrip(b"\0")):  # what tapes were filled up with
                    break
                decoder = zlib.decompressobj(_GZIP)
                streams += 1
                took(total, streams)  # a stream costs time though nothing is in it
            for plain in _drain(decoder, rest, name):
                total += len(plain)
                took(total, streams)
                if total > limits.ratio_from_bytes and total > limits.ratio_max * packed:
                    raise ZipLimitError(f"'{visible(name)}' is packed more than {limits.ratio_max} times.")
                yield plain
            rest = decoder.unused_data
    if decoder is not None and not decoder.eof:
        raise ZipMalformedError(f"'{visible(name)}' is cut off.")


def _packed(source: Source, start: int, length: int) -> Iterator[bytes]:
    for at in range(0, length, PIECE_BYTES):
        yield read_exactly(source, start + at, min(PIECE_BYTES, length - at))


def _inflate(pieces: Iterator[bytes], name: str) -> Iterator[bytes]:
    decoder = zlib.decompressobj(_RAW)
    for piece in pieces:
        if decoder.eof:
            break
        yield from _drain(decoder, piece, name)
        if decoder.unused_data:
            raise ZipMalformedError(f"Bytes of '{visible(name)}' follow its end.")
    if not decoder.eof or next(pieces, b""):
        raise ZipMalformedError(f"'{visible(name)}' ends too early or too late.")


def _drain(decoder: zlib._Decompress, piece: bytes, name: str) -> Iterator[bytes]:
    """All that the piece unpacks to. Output may be waiting though all input was taken."""
    rest = piece
    while not decoder.eof:
        try:
            plain = decoder.decompress(rest, PIECE_BYTES)
        except zlib.error as error:
            raise ZipMalformedError(f"'{visible(name)}' can't be unpacked: {error}.") from error
        rest = decoder.unconsumed_tail
        if plain:
            yield plain
        if not rest and len(plain) < PIECE_BYTES:
            return


class _Packed(io.RawIOBase):
    """A stretch of the source as a file, for a library that reads by itself."""

    def __init__(self, source: Source, start: int, length: int) -> None:
        super().__init__()
        self._source = source
        self._at = start
        self._end = start + length

    def read(self, length: int = PIECE_BYTES, /) -> bytes:
        piece = read_exactly(self._source, self._at, min(length, self._end - self._at))
        self._at += len(piece)
        return piece


def _unzstd(packed: _Packed, name: str, limits: ArchiveLimits) -> Iterator[bytes]:
    decoder = zstandard.ZstdDecompressor(max_window_size=limits.window_bytes_max)
    reader = decoder.stream_reader(cast("IO[bytes]", packed), read_size=PIECE_BYTES, read_across_frames=True)
    while True:
        try:
            plain = reader.read(PIECE_BYTES)
        except zstandard.ZstdError as error:
            if "memory" in str(error):
                detail = f"'{visible(name)}' needs more than {limits.window_bytes_max} bytes to be unpacked."
                raise ZipLimitError(detail) from error
            raise ZipMalformedError(f"'{visible(name)}' can't be unpacked: {error}.") from error
        if not plain:
            return
        yield plain


def _proved(pieces: Iterable[bytes], entry: Entry) -> Iterator[bytes]:
    """The pieces, as long as they are no more than was promised; at the end they must be what was."""
    total = crc = 0
    for piece in pieces:
        total += len(piece)
        if total > entry.unpacked_bytes:
            break
        crc = zlib.crc32(piece, crc)
        yield piece
    if total != entry.unpacked_bytes:
        raise ZipMalformedError(f"'{visible(entry.name)}' has not the length that the directory says.")
    if crc != entry.crc32:
        raise ZipMalformedError(f"'{visible(entry.name)}' does not match its checksum.")
