"""What one tenant's directory has said so far, in SQLite: kept through restarts, as long as it counts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import apsw
import msgspec
import xxhash

from tocsin.directory.abstract import Entry
from tocsin.storage.at_once import read_at_once
from tocsin.storage.database import Tuning
from tocsin.storage.hashing import check_row, row_hash
from tocsin.storage.readers import Readers
from tocsin.storage.scripts import load_scripts
from tocsin.storage.verify import RowReads, verify_rows
from tocsin.storage.writer import Writer

_SCRIPTS: Final = load_scripts("tocsin.directory", "directory")
_QUERIES: Final = _SCRIPTS.queries
_SEEN_AT_ONCE: Final = 5_000
_HASH_AT: Final = 8
"""Where in a row of a device its hash stands, before what is not hashed."""
_MISSING_MAX: Final = 10_000


class Due(msgspec.Struct, frozen=True):
    """A question that may go out: about a technician's list, or about a device."""

    id: str
    due_ms: int
    failures: int
    list: bool


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """A device as it is kept; `as_of_ms` is when what is said of it was asked for last, None if never."""

    id: str
    technician: str | None
    location: str | None
    listed: bool
    seen: bool
    as_of_ms: int | None


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """How much is kept; `oldest_ms` is when the oldest list was asked for, None before the first."""

    technicians: int
    devices: int
    seen: int
    oldest_ms: int | None


class DirectoryCache:
    """One thread writes, any number reads. Every method that writes is one transaction, synced on return."""

    def __init__(self, path: Path, *, rows_max: int, vfs: str | None = None) -> None:
        tuning = Tuning(vfs=vfs)
        self._name = path.name
        self._rows_max = rows_max
        self._writer = Writer(path, _SCRIPTS, tuning)
        self._readers = Readers(path, tuning, idle_max=4)

    def device(self, device: str) -> Told | None:
        """What is kept of a device."""
        rows = self._rows("device", {"id": device})
        return self._told(rows[0]) if rows else None

    def devices_of(self, technician: str, after: str, from_ms: int, limit: int) -> list[Told]:
        """The technician's devices by name, of which something was said at `from_ms` or later."""
        wanted = {"technician": technician, "after": after, "from_ms": from_ms, "limit": limit}
        at_once, row_by_row = _QUERIES["devices_of_at_once"], _QUERIES["devices_of"]
        with self._readers.lend() as reader:
            return read_at_once(reader, at_once, row_by_row, wanted, hash_at=_HASH_AT, of_row=self._told)

    def devices_at(self, location: str, after: str, from_ms: int, limit: int) -> list[Told]:
        """The location's devices, as above."""
        wanted = {"location": location, "after": after, "from_ms": from_ms, "limit": limit}
        return [self._told(row) for row in self._rows("devices_at", wanted)]

    def locations(self, after: str, from_ms: int, limit: int) -> list[tuple[str, int, int]]:
        """Name, devices, and when the oldest that counts of them was asked for."""
        return self._rows("locations", {"after": after, "from_ms": from_ms, "limit": limit})

    def technician(self, technician: str) -> tuple[bool, int | None]:
        """Whether the technician's list is asked for at all, and when the last whole answer was."""
        rows = self._rows("technician", {"id": technician})
        if not rows:
            return False, None
        return True, check_row(rows[0], f"{self._name}: technician {technician}")[1]

    def missing_ms(self, technician: str) -> int | None:
        """When it was asked that there is no such technician; None unless that was said last."""
        rows = self._rows("missing_technician", {"id": technician})
        return check_row(rows[0], f"{self._name}: missing technician {technician}")[1] if rows else None

    def fetched_ms(self, technician: str) -> int | None:
        """The same time for whoever is about to replace what is kept: a damaged row has none, is mended."""
        rows = self._rows("technician", {"id": technician})
        return _fetched_ms(rows[0]) if rows else None

    def counts(self) -> Counts:
        """How much is kept."""
        with self._readers.lend() as reader:
            technicians, devices, seen, oldest_ms = (
                _value(reader, name) for name in ("technicians", "devices", "devices_seen", "oldest_fetch")
            )
        return Counts(technicians=technicians, devices=devices, seen=seen, oldest_ms=oldest_ms)

    def due(self, now_ms: int, limit: int) -> list[Due]:
        """Questions that may go out now: lists first, since each may answer for many devices."""
        wanted = {"now_ms": now_ms, "limit": limit}
        found = [Due(row[0], row[1], row[2], True) for row in self._rows("due_technicians", wanted)]
        if len(found) < limit:
            wanted = {"now_ms": now_ms, "limit": limit - len(found)}
            found += [Due(row[0], row[1], row[2], False) for row in self._rows("due_devices", wanted)]
        return found

    def see(self, devices: Iterable[str], now_ms: int) -> None:
        """Devices that have sent something; the new ones are due, in an order that is not that of names.

        Neighbours often have one technician, and the first answer for one of them leads to the list of all.
        Beyond `rows_max` rows none is added.
        """
        names = list(devices)
        for start in range(0, len(names), _SEEN_AT_ONCE):
            piece = names[start : start + _SEEN_AT_ONCE]
            with self._writer.transaction() as writer:
                room = max(0, self._rows_max - _value(writer, "devices"))
                new = [name for name in piece if not _is_known(writer, name)]
                writer.executemany(
                    _QUERIES["see"], ({"id": name, "due_ms": now_ms - _lot_ms(name)} for name in new[:room])
                )
                writer.executemany(_QUERIES["mark_seen"], ({"id": name} for name in piece))

    def want(
        self, technicians: Sequence[str], devices: Sequence[str], now_ms: int, *, wanted_max: int
    ) -> None:
        """Bring forward what people asked for; technicians without devices are added up to `wanted_max`."""
        with self._writer.transaction() as writer:
            room = wanted_max - _value(writer, "technicians_wanted")
            for number, technician in enumerate(technicians):
                if number < room:
                    self._add_technician(writer, technician, now_ms, wanted=True)
                writer.execute(_QUERIES["hasten_technician"], {"id": technician, "due_ms": now_ms})
            for device in devices:
                writer.execute(_QUERIES["hasten_device"], {"id": device, "due_ms": now_ms})

    def keep_list(
        self, technician: str, entries: Sequence[Entry], asked_ms: int, due_ms: int, again_ms: int
    ) -> None:
        """A whole list. Who was on the last one and is not on this one keeps what is said until asked about.

        `due_ms` is when to ask for the list again, `again_ms` when to ask about a device that it lacks.
        """
        with self._writer.transaction() as writer:
            kept = {row[0]: row for row in writer.execute(_QUERIES["all_of"], {"technician": technician})}
            before: Any = writer.execute(_QUERIES["technician"], {"id": technician}).fetchone()
            room = self._rows_max - _value(writer, "devices")
            for entry in entries:
                row = kept.pop(entry.device, None)
                if row is not None and row[3] and row[2] == entry.location:
                    continue
                if row is None and not _is_known(writer, entry.device):
                    room -= 1
                    if room < 0:
                        continue
                _put(writer, entry, listed=True, told_ms=asked_ms, due_ms=None)
            for name, row in kept.items():
                if row[3]:
                    told_ms = max(row[5], _fetched_ms(before) or 0) if before else row[5]
                    gone = Entry(name, technician, row[2])
                    _put(writer, gone, listed=False, told_ms=told_ms, due_ms=asked_ms)
                elif row[6] is None:
                    _put(writer, Entry(name, *row[1:3]), listed=False, told_ms=row[5], due_ms=again_ms)
            self._add_technician(writer, technician, due_ms, wanted=False)
            told = {"id": technician, "fetched_ms": asked_ms, "due_ms": due_ms, "empty": not entries}
            writer.execute(_QUERIES["fetched"], told)
            writer.execute(_QUERIES["found_technician"], {"id": technician})

    def forget_technician(self, technician: str, asked_ms: int, now_ms: int) -> None:
        """There is no such technician: her devices keep what is said of them until each was asked about.

        The newest 10,000 such answers are kept.
        """
        with self._writer.transaction() as writer:
            before: Any = writer.execute(_QUERIES["technician"], {"id": technician}).fetchone()
            fetched_ms = _fetched_ms(before) or 0 if before else 0
            for row in list(writer.execute(_QUERIES["all_of"], {"technician": technician})):
                told_ms = max(row[5] or 0, fetched_ms) if row[3] else row[5]
                due_ms = now_ms if row[3] or row[6] is None else row[6]
                _put(writer, Entry(*row[:3]), listed=False, told_ms=told_ms, due_ms=due_ms)
            writer.execute(_QUERIES["forget_technician"], {"id": technician})
            writer.execute(_QUERIES["put_missing_technician"], {"id": technician, "told_ms": asked_ms})
            writer.execute(_QUERIES["trim_missing_technicians"], {"kept_max": _MISSING_MAX})

    def keep_device(self, entry: Entry, asked_ms: int, due_ms: int) -> None:
        """What the device endpoint said; a technician who is new is due for her list."""
        with self._writer.transaction() as writer:
            _put(writer, entry, listed=False, told_ms=asked_ms, due_ms=due_ms)
            if entry.technician is not None:
                self._add_technician(writer, entry.technician, asked_ms, wanted=False)

    def forget_device(self, device: str, asked_ms: int, due_ms: int) -> None:
        """There is no such device in the directory; one that has sent something is asked about again."""
        with self._writer.transaction() as writer:
            row: Any = writer.execute(_QUERIES["device"], {"id": device}).fetchone()
            if row is not None and not row[4]:
                writer.execute(_QUERIES["forget_device"], {"id": device})
            else:
                _put(writer, Entry(device, None, None), listed=False, told_ms=asked_ms, due_ms=due_ms)

    def put_off(self, due: Due, due_ms: int) -> None:
        """A question had no answer: when to ask again."""
        name = "technician_failed" if due.list else "device_failed"
        with self._writer.transaction() as writer:
            writer.execute(_QUERIES[name], {"id": due.id, "due_ms": due_ms})

    def verify(self) -> list[str]:
        """What is wrong with the stored bytes, in words; reads all of them."""
        reads: RowReads = {
            "all_technicians": lambda row, place: check_row(row, f"{place}: technician {row[0]}"),
            "all_missing_technicians": lambda row, place: check_row(row, f"{place}: technician {row[0]}"),
            "all_devices": lambda row, place: check_row(row, f"{place}: device {row[0]}"),
        }
        return verify_rows(self._readers, self._name, reads, _QUERIES)

    def close(self) -> None:
        """Close; idempotent."""
        self._readers.close()
        self._writer.close()

    def _rows(self, query: str, wanted: dict[str, Any]) -> list[Any]:
        with self._readers.lend() as reader:
            rows: list[Any] = reader.execute(_QUERIES[query], wanted).fetchall()
        return rows

    def _told(self, row: tuple[Any, ...]) -> Told:
        name, technician, location, listed, seen, *_ = check_row(row[:-1], f"{self._name}: device {row[0]}")
        return Told(
            id=name,
            technician=technician,
            location=location,
            listed=bool(listed),
            seen=bool(seen),
            as_of_ms=row[-1],
        )

    def _add_technician(self, writer: apsw.Connection, technician: str, due_ms: int, *, wanted: bool) -> None:
        values = {"id": technician, "due_ms": due_ms, "wanted": int(wanted)}
        if _value(writer, "technicians") < self._rows_max:
            writer.execute(_QUERIES["add_technician"], values)


def _fetched_ms(row: tuple[Any, ...]) -> int | None:
    """Of a row of a technician; None where the disk has altered it."""
    *columns, stored = row
    return columns[1] if row_hash(tuple(columns)) == stored else None


def _is_known(writer: apsw.Connection, device: str) -> bool:
    return writer.execute(_QUERIES["device_known"], {"id": device}).fetchone() is not None


def _lot_ms(name: str) -> int:
    return xxhash.xxh3_64_intdigest(name.encode()) % 60_000


def _put(
    writer: apsw.Connection, entry: Entry, *, listed: bool, told_ms: int | None, due_ms: int | None
) -> None:
    values = {
        "id": entry.device,
        "technician": entry.technician,
        "location": entry.location,
        "listed": int(listed),
        "told_ms": told_ms,
        "due_ms": due_ms,
    }
    writer.execute(_QUERIES["put_device"], values)


def _value(connection: apsw.Connection, query: str) -> Any:
    row: Any = connection.execute(_QUERIES[query]).fetchone()
    return row[0]
