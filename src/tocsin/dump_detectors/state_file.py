"""What a detector knows of devices, kept in a file between runs over folders."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from tocsin.errors import ConflictError, InvalidInputError, StorageUnavailableError

_MAGIC: Final = b"tocsin detector state 1\n"
_HASH_BYTES: Final = 32


class DeviceState(msgspec.Struct, kw_only=True):
    """How far a device has come, and the bytes from which its detector goes on."""

    epoch: int = 0
    sequence: int = 0
    state: bytes | None = None
    state_version: str = ""


class KeptStates(msgspec.Struct, kw_only=True):
    """All devices of one detector. `out_bytes`: the length of the file of findings that belongs to them."""

    detector: str
    out_bytes: int = 0
    devices: dict[str, DeviceState] = {}


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Keep other runs from the file meanwhile; StorageUnavailableError if one has it.

    What is locked is a file beside it, since the file itself is another one after each round.
    """
    lock = path.with_name(path.name + ".lock")
    try:
        stream = lock.open("a")
    except OSError as error:
        raise InvalidInputError(f"{path}: {error.strerror}", field="state") from error
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StorageUnavailableError(
                f"{path} is in use by another run: wait until it has ended, or name another file",
                field="state",
            ) from error
        yield


def load_states(path: Path, detector: str) -> KeptStates:
    """What the file holds, nothing if it is not there; another detector's file is a ConflictError."""
    if not path.exists():
        return KeptStates(detector=detector)
    raw = path.read_bytes()
    head, body = raw[: len(_MAGIC)], raw[len(_MAGIC) + _HASH_BYTES :]
    whole = raw[len(_MAGIC) : len(_MAGIC) + _HASH_BYTES] == hashlib.sha256(body).digest()
    if head != _MAGIC or not whole:
        raise InvalidInputError(
            f"{path} is no file of states, or is damaged: name another one", field="state"
        )
    kept = msgspec.msgpack.decode(body, type=KeptStates)
    if kept.detector != detector:
        raise ConflictError(f"{path} holds the states of {kept.detector!r}, not of {detector!r}")
    return kept


def save_states(path: Path, kept: KeptStates) -> None:
    """Put it in the place of the file; after a kill or a power cut the file is the old or the new one.

    InvalidInputError where it can't be written.
    """
    body = msgspec.msgpack.encode(kept)
    draft = path.with_name(path.name + ".draft")
    try:
        _write(draft, _MAGIC + hashlib.sha256(body).digest() + body)
        draft.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise InvalidInputError(f"{path}: {error.strerror}", field="state") from error


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
