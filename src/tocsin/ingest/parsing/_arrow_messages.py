"""A look at the messages of an Arrow IPC stream before Arrow unpacks them."""

from __future__ import annotations

import struct
from typing import Final

import pyarrow as pa

from tocsin.errors import InvalidInputError

# Numbers of fields in the format's tables Message, DictionaryBatch and RecordBatch.
_HEADER: Final = 2
_DATA: Final = 1
_COMPRESSION: Final = 3


def refuse_compression(body: bytes) -> None:
    """Raise InvalidInputError if a buffer is compressed: it could unfold to any size.

    Arrow knows no limit there; the body's own encoding has one.
    """
    for message in pa.ipc.MessageReader.open_stream(body):
        if message.type != "schema" and _is_compressed(message.metadata.to_pybytes(), message.type):
            raise InvalidInputError(
                "The Arrow stream has compressed buffers; write it without, and compress the body instead."
            )


def _is_compressed(metadata: bytes, kind: str) -> bool:
    """Whether a record batch or dictionary says how its buffers are compressed (FlatBuffers by hand)."""
    try:
        batch = _child(metadata, _follow(metadata, 0), _HEADER)
        if kind == "dictionary":
            batch = _child(metadata, batch, _DATA)
        return _field(metadata, batch, _COMPRESSION) is not None
    except struct.error as error:
        raise InvalidInputError("The Arrow stream has a damaged message.") from error


def _child(data: bytes, table: int, number: int) -> int:
    place = _field(data, table, number)
    if place is None:
        raise InvalidInputError("The Arrow stream has a message without content.")
    return _follow(data, place)


def _follow(data: bytes, place: int) -> int:
    (distance,) = struct.unpack_from("<I", data, place)
    return place + int(distance)


def _field(data: bytes, table: int, number: int) -> int | None:
    """Where a table's field lies, None if it is absent."""
    (back,) = struct.unpack_from("<i", data, table)
    (size,) = struct.unpack_from("<H", data, table - back)
    entry = 4 + 2 * number
    if entry >= size:
        return None
    (distance,) = struct.unpack_from("<H", data, table - back + entry)
    return table + int(distance) if distance else None
