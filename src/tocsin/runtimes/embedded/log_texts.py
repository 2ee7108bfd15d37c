"""The texts of open windows, by device and component; in memory up to a bound, then on the disk."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tocsin.processing.log_windows import DeviceKey


class LogTexts:
    """For one thread."""

    def __init__(self, folder: Path, memory_bytes_max: int) -> None:
        self._folder: Final = folder
        self._bytes_max: Final = memory_bytes_max
        self._held: dict[DeviceKey, dict[str, bytearray]] = {}
        self._written: set[tuple[DeviceKey, str]] = set()

    def as_written(self, key: DeviceKey, component: str, *, has_stamp: bool, levelled: bool) -> bool:
        """Whether a line stays as it is, which one without a time does behind one that has a time."""
        if levelled:
            return False
        if has_stamp:
            self._written.add((key, component))
        return has_stamp or (key, component) in self._written

    def add(self, key: DeviceKey, component: str, text: bytes) -> None:
        """Put a line behind the others of its component."""
        self._held.setdefault(key, {}).setdefault(component, bytearray()).extend(text)

    def taken(self, key: DeviceKey) -> dict[str, bytes]:
        """All lines of a device by component, which are forgotten."""
        found = {name: bytes(text) for name, text in self._held.pop(key).items()}
        self._written.difference_update((key, name) for name in found)
        return found

    def close(self) -> None:
        """Forget all; idempotent."""
        self._held.clear()
