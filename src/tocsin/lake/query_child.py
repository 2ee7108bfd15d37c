"""A process that runs one query after another for the server, in a locked room and within limits.

`python -m tocsin.lake.query_child FD`: FD is a socket to the server. It ends when the server has gone.
"""

from __future__ import annotations

import socket
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, Final

import msgspec
import pyarrow as pa

from tocsin.confinement import allow_cpu, confine
from tocsin.errors import TocsinError, TooLargeError
from tocsin.lake.json_rows import json_rows
from tocsin.lake.query_wire import READY, Failure, Form, Question, receive_question, send
from tocsin.lake.room import QueryLimits, Room, answer, empty_room
from tocsin.lifeline import end_with

_CPU_SPARE_S: Final = 2.0
_ROWS: Final = b"R"
_FAILURE: Final = b"F"


def main() -> None:
    """Serve until the other end of the socket is closed."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    end_with(channel)
    with channel.makefile("rb") as questions, channel.makefile("wb") as answers:
        send(answers, _prepared(memory_bytes=int(sys.argv[2])))
        while True:
            try:
                question, room = receive_question(questions)
            except EOFError:
                return
            allow_cpu(question.limits.timeout_s * question.limits.threads + _CPU_SPARE_S)
            _reply(answers, question, room)


def _prepared(memory_bytes: int) -> bytes:
    """READY, or what went wrong: nobody else would hear of it."""
    try:
        # loads what is loaded at first use, before files and memory become scarce
        json_rows(answer(empty_room(), "SELECT * FROM hours, events", QueryLimits()))
        confine(memory_bytes)
    except Exception:  # noqa: BLE001 - told to the server, as below
        return traceback.format_exc().encode()
    return READY


def _reply(answers: BinaryIO, question: Question, room: Room) -> None:
    try:
        with _threads_as_memory():
            payload = _ROWS + _rows(question, room)
    except TocsinError as error:
        failure = Failure(code=error.code, detail=error.detail, field=error.field)
        payload = _FAILURE + msgspec.json.encode(failure)
    except (MemoryError, pa.ArrowMemoryError):
        detail = "the query needs more memory than it may use: ask for fewer rows"
        payload = _FAILURE + msgspec.json.encode(Failure(code=TooLargeError.code, detail=detail))
    except Exception:  # noqa: BLE001 - told to the server, which logs it as what it is: a bug
        payload = _FAILURE + msgspec.json.encode(Failure(code="", detail=traceback.format_exc()))
    send(answers, payload)


@contextmanager
def _threads_as_memory() -> Iterator[None]:
    """A thread that can't be started finds no room for its stack: Python calls that a RuntimeError."""
    try:
        yield
    except RuntimeError as error:
        if "can't start new thread" in str(error):
            raise MemoryError from error
        raise


def _rows(question: Question, room: Room) -> bytes:
    table = answer(room, question.sql, question.limits)
    if question.form is Form.JSON:
        return json_rows(table)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return bytes(sink.getvalue())


if __name__ == "__main__":
    main()
