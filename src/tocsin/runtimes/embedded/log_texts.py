"""The texts of open windows, by device and component; in memory up to a bound, then on the disk."""

from __future__ import annotations

import errno
import shutil
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tocsin.errors import StorageFullError, StorageUnavailableError
from tocsin.processing.log_windows import DeviceKey

_HEAD: Final = struct.Struct("<II")  # bytes of the component's name, bytes of text


@dataclass(slots=True)
class _Spilt:
    """A device's file, and how much of it is whole."""

    path: Path
    size_bytes: int = 0


class LogTexts:
    """For one thread. What lies in the folder is nobody's record: it is made again from the log."""

    def __init__(self, folder: Path, memory_bytes_max: int) -> None:
        self._folder: Final = folder
        self._bytes_max: Final = memory_bytes_max
        self._bytes = 0
        self._held: dict[DeviceKey, dict[str, bytearray]] = {}
        self._spilt: dict[DeviceKey, _Spilt] = {}
        self._written: dict[DeviceKey, set[str]] = {}
        self._files = 0
        shutil.rmtree(folder, ignore_errors=True)

    def written(self, key: DeviceKey) -> set[str]:
        """The components of which a line with a time of its own came in this window; to be added to."""
        return self._written.setdefault(key, set())

    def add(self, key: DeviceKey, component: str, text: bytes) -> None:
        """Put a line behind the others of its component."""
        self._held.setdefault(key, {}).setdefault(component, bytearray()).extend(text)
        self._bytes += len(text)

    def keep_within(self) -> None:
        """Put what is too much for the memory on the disk, largest devices first.

        StorageFullError or StorageUnavailableError leave all as it is; ask again.
        """
        if self._bytes <= self._bytes_max:
            return
        sizes = {key: sum(map(len, texts.values())) for key, texts in self._held.items()}
        for key in sorted(sizes, key=lambda each: -sizes[each]):
            if self._bytes <= self._bytes_max // 2:
                return
            self._spill(key, self._held[key])
            del self._held[key]
            self._bytes -= sizes[key]

    def taken(self, key: DeviceKey) -> dict[str, bytes]:
        """All lines of a device by component, which are forgotten; all of them are in memory then."""
        self._written.pop(key, None)
        held = self._held.pop(key, {})
        self._bytes -= sum(map(len, held.values()))
        spilt = self._spilt.pop(key, None)
        texts = {} if spilt is None else _read(spilt)
        for component, text in held.items():
            texts.setdefault(component, bytearray()).extend(text)
        return {component: bytes(text) for component, text in texts.items()}

    def close(self) -> None:
        """Forget all; idempotent."""
        self._held.clear()
        self._spilt.clear()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _spill(self, key: DeviceKey, texts: Mapping[str, bytearray]) -> None:
        spilt = self._spilt.get(key) or _Spilt(self._folder / f"{self._files}.lines")
        frames = bytearray()
        for component, text in texts.items():
            name = component.encode()
            frames += _HEAD.pack(len(name), len(text)) + name + text
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with spilt.path.open("r+b" if spilt.size_bytes else "wb") as file:
                file.seek(spilt.size_bytes)
                file.write(frames)
                file.truncate()
        except OSError as error:
            raise _answer(error, self._folder) from error
        self._files += key not in self._spilt
        spilt.size_bytes += len(frames)
        self._spilt[key] = spilt


def _read(spilt: _Spilt) -> dict[str, bytearray]:
    """What lies in a file, which goes."""
    texts: dict[str, bytearray] = {}
    data = memoryview(spilt.path.read_bytes())
    at = 0
    while at < spilt.size_bytes:
        name_bytes, text_bytes = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        name = bytes(data[at : at + name_bytes]).decode()
        at += name_bytes
        texts.setdefault(name, bytearray()).extend(data[at : at + text_bytes])
        at += text_bytes
    spilt.path.unlink()
    return texts


def _answer(error: OSError, folder: Path) -> StorageFullError | StorageUnavailableError:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return StorageFullError(f"the disk is full at {folder}: free space", retry_after_s=10)
    return StorageUnavailableError(f"{folder} can't be used: {error}", retry_after_s=10)
