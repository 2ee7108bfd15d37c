"""What the server and a process that runs queries say to each other over a pair of sockets."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import BinaryIO, Final

import msgspec
import pyarrow as pa

from tocsin.errors import (
    BackpressureError,
    CorruptError,
    InvalidInputError,
    StorageUnavailableError,
    TocsinError,
    TooLargeError,
)
from tocsin.lake.room import QueryLimits, Room

_LENGTH: Final = struct.Struct(">Q")
_ANSWERS: Final[dict[str, type[TocsinError]]] = {
    kind.code: kind
    for kind in (BackpressureError, CorruptError, InvalidInputError, StorageUnavailableError, TooLargeError)
}
READY: Final = b"ready"


class Form(StrEnum):
    """How rows come back."""

    JSON = "json"
    ARROW = "arrow"


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """One SELECT and what it may see and use; the tables named in `tail` follow as Arrow streams."""

    sql: str
    tenant: str
    files: Mapping[str, Sequence[str]]
    tail: Sequence[str]
    form: Form
    limits: QueryLimits


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """Why there are no rows. `code` is empty for a bug, whose place the detail tells."""

    code: str
    detail: str
    field: str | None = None

    def error(self) -> Exception:
        """The same as an error of this process."""
        kind = _ANSWERS.get(self.code)
        return RuntimeError(self.detail) if kind is None else kind(self.detail, field=self.field)


def send(stream: BinaryIO, payload: bytes | memoryview) -> None:
    """Its length, then the bytes."""
    stream.write(_LENGTH.pack(len(payload)))
    stream.write(payload)
    stream.flush()


def receive(stream: BinaryIO, bytes_max: int) -> bytes:
    """What `send` sent; EOFError when the other side has gone, TooLargeError beyond `bytes_max`."""
    (length,) = _LENGTH.unpack(_exactly(stream, _LENGTH.size))
    if length > bytes_max:
        raise TooLargeError(f"the result has more than {bytes_max} bytes: ask for fewer rows or columns")
    return _exactly(stream, length)


def send_question(stream: BinaryIO, room: Room, sql: str, limits: QueryLimits, form: Form) -> None:
    """The question with its tables; they go out in pieces, so that no second copy is made of them."""
    question = Question(
        sql=sql, tenant=room.tenant, files=room.files, tail=list(room.tail), form=form, limits=limits
    )
    send(stream, msgspec.msgpack.encode(question))
    for rows in room.tail.values():
        with pa.ipc.new_stream(stream, rows.schema) as sink:
            sink.write_table(rows)
    stream.flush()


def receive_question(stream: BinaryIO) -> tuple[Question, Room]:
    """What `send_question` sent."""
    question = msgspec.msgpack.decode(receive(stream, 1 << 30), type=Question)
    tail = {}
    for name in question.tail:
        with pa.ipc.open_stream(stream) as source:
            tail[name] = source.read_all()
    return question, Room(question.tenant, question.files, tail)


def _exactly(stream: BinaryIO, length: int) -> bytes:
    found = stream.read(length)
    if len(found) != length:
        raise EOFError("the other process has ended")
    return found
