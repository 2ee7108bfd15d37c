"""Which dumps a server has, in a file that grows by a line for each."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Final

from tocsin.errors import ConflictError

_HEAD: Final = {"tocsin": "dumps"}

Sent = tuple[str, str, int, str, int]
"""Server, device, sequence, SHA-256 and epoch."""


class DumpJournal:
    """Remembers what was answered for good, so that a later run sends the rest alone. Thread-safe.

    It may lack the last lines after a power cut: those dumps are sent again and found repeated.
    ConflictError if the file is about something else.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._sent = self._load() if path.exists() else set()
        self._file = path.open("a", encoding="utf-8")
        if self._file.tell() == 0:
            self._write(_HEAD)

    def has(self, sent: Sent) -> bool:
        """Whether the server has answered for exactly this."""
        with self._lock:
            return sent in self._sent

    def add(self, sent: Sent) -> None:
        """The server has answered; written at once."""
        with self._lock:
            self._sent.add(sent)
            self._write(list(sent))

    def close(self) -> None:
        """Close the file; idempotent."""
        self._file.close()

    def _write(self, value: object) -> None:
        self._file.write(json.dumps(value) + "\n")
        self._file.flush()

    def _load(self) -> set[Sent]:
        text = self._path.read_text(encoding="utf-8", errors="replace")
        whole, _, torn = text.rpartition("\n")
        if torn:  # a line that was being written when the power went
            self._path.write_text(whole + "\n" if whole else "", encoding="utf-8")
        try:
            head, *rows = (json.loads(line) for line in whole.splitlines()) if whole else (_HEAD,)
            sent = {(str(row[0]), str(row[1]), int(row[2]), str(row[3]), _epoch_of(row)) for row in rows}
        except (ValueError, TypeError, IndexError, KeyError) as error:
            raise ConflictError(f"{self._path} is no resume file; name another one") from error
        if head != _HEAD:
            raise ConflictError(f"{self._path} is no resume file of dumps; name another one")
        return sent


def _epoch_of(row: list[object]) -> int:
    """Lines that are older than epochs have none."""
    return int(str(row[4])) if len(row) > 4 else 0
