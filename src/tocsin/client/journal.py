"""How far a sending came, in a file, so that a later run goes on there."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Final
from uuid import uuid4

from tocsin.errors import ConflictError

_WRITE_EVERY_BODIES: Final = 20


class Journal:
    """Remembers in a file how far each connection came, so that a later run skips what was acknowledged.

    `fingerprint` names what is being sent (file, mapping, size of bodies); ConflictError if the file is
    about something else. It may lag behind by a few bodies: those are sent again and found repeated.
    """

    def __init__(self, path: Path, fingerprint: str, connections: int) -> None:
        self._path = path
        self._fingerprint = f"{fingerprint}|{connections}"
        self.producer = uuid4().hex
        self.acknowledged = [0] * connections
        self._since_write = 0
        self._lock = threading.Lock()
        if path.exists():
            self._load()
        self._write()

    def acknowledge(self, connection: int, sequence: int) -> None:
        """The server holds every body of this connection up to `sequence`."""
        with self._lock:
            self.acknowledged[connection] = sequence
            self._since_write += 1
            if self._since_write >= _WRITE_EVERY_BODIES:
                self._write()

    def close(self) -> None:
        """Write down the last acknowledgements."""
        with self._lock:
            self._write()

    def _load(self) -> None:
        try:
            stored = json.loads(self._path.read_text())
            same = stored["fingerprint"] == self._fingerprint
            self.producer, self.acknowledged = (
                str(stored["producer"]),
                [int(n) for n in stored["acknowledged"]],
            )
        except (ValueError, KeyError, TypeError) as error:
            raise ConflictError(f"{self._path} is no resume file; name another one") from error
        if not same:
            raise ConflictError(
                f"{self._path} belongs to another file, other options or another number of connections; "
                "use the same ones, or remove it to begin anew"
            )

    def _write(self) -> None:
        content = {
            "fingerprint": self._fingerprint,
            "producer": self.producer,
            "acknowledged": self.acknowledged,
        }
        draft = self._path.with_name(self._path.name + ".part")
        draft.write_text(json.dumps(content))
        draft.replace(self._path)
        self._since_write = 0
