"""What a pool and its workers say to each other over a pair of sockets: frames of MessagePack."""

from __future__ import annotations

import socket
import struct
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from tocsin.dump_detectors.limits import StepLimits
from tocsin.dump_detectors.patience import Patience
from tocsin.dump_detectors.steps import StepDone, StepFailed, Task

_LENGTH: Final = struct.Struct(">I")
_PIECE_BYTES: Final = 1 << 18
FRAME_BYTES_MAX: Final = 1 << 30


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """A worker waits for tasks. `offline`: whether it can reach no network; `why` it can't start, if so."""

    offline: bool
    why: str = ""


class Done(msgspec.Struct, frozen=True, tag="done"):
    """The step's result."""

    result: StepDone


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """Why there is none."""

    result: StepFailed


Reply = Ready | Done | Failed


def _path_text(value: object) -> str:
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} can't be sent to a worker")


_ENCODER: Final = msgspec.msgpack.Encoder(enc_hook=_path_text)
_TASKS: Final = msgspec.msgpack.Decoder(Task, dec_hook=lambda kind, text: kind(text))
_REPLIES: Final = msgspec.msgpack.Decoder(Reply)


def encode(message: Task | Reply) -> bytes:
    """A frame's payload; a TypeError for a configuration that is no JSON."""
    return _ENCODER.encode(message)


def decode_task(payload: bytes) -> Task:
    """The task in a frame."""
    task: Task = _TASKS.decode(payload)
    return task


def decode_reply(payload: bytes) -> Reply:
    """The reply in a frame; a msgspec.MsgspecError if it is none."""
    reply: Reply = _REPLIES.decode(payload)
    return reply


def reply_bytes_max(limits: StepLimits) -> int:
    """No honest reply is longer: MessagePack of findings is about as long as their JSON."""
    return limits.state_bytes_max + 2 * limits.findings_bytes_max + (1 << 16)


def send(channel: socket.socket, payload: bytes, patience: Patience | None = None) -> None:
    """Its length, then the bytes; TimeoutError once the patience has ended."""
    left = memoryview(_LENGTH.pack(len(payload)) + payload)
    while left:
        _bound(channel, patience)
        with suppress(TimeoutError):
            left = left[channel.send(left) :]


def receive(channel: socket.socket, bytes_max: int, patience: Patience | None = None) -> bytes:
    """What `send` sent; EOFError when the other side has gone, ValueError beyond `bytes_max`."""
    (length,) = _LENGTH.unpack(_exactly(channel, _LENGTH.size, patience))
    if length > bytes_max:
        raise ValueError(f"a frame of {length} bytes, more than {bytes_max}")
    return _exactly(channel, length, patience)


def _exactly(channel: socket.socket, count: int, patience: Patience | None) -> bytes:
    taken = bytearray()
    while len(taken) < count:
        _bound(channel, patience)
        try:
            piece = channel.recv(min(count - len(taken), _PIECE_BYTES))
        except TimeoutError:  # it may have waited for a processor meanwhile
            continue
        if not piece:
            raise EOFError
        taken += piece
    return bytes(taken)


def _bound(channel: socket.socket, patience: Patience | None) -> None:
    if patience is None:
        channel.settimeout(None)
        return
    left_s = patience.left_s()
    if left_s <= 0:
        raise TimeoutError
    channel.settimeout(left_s)
