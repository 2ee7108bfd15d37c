"""Abnormal readings in SQLite, one file."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import apsw
import msgspec

from tocsin.scores.abstract import AbnormalReading, AbnormalReadings, Findings, StoredScores
from tocsin.storage.database import Tuning
from tocsin.storage.hashing import check_row
from tocsin.storage.readers import Readers
from tocsin.storage.scripts import load_scripts
from tocsin.storage.verify import RowReads, verify_rows
from tocsin.storage.writer import Writer

_MINUTE_MS: Final = 60_000
_MINUTES_KEPT: Final = 400 * 24 * 60
_SCRIPTS: Final = load_scripts("tocsin.scores", "abnormal")
_QUERIES: Final = _SCRIPTS.queries


class EmbeddedAbnormalReadings(AbnormalReadings):
    """Keeps at most about `readings_max` readings per tenant, and minutes for 400 days before the newest."""

    def __init__(self, path: Path, *, readings_max: int = 200_000, vfs: str | None = None) -> None:
        tuning = Tuning(vfs=vfs)
        self._name = path.name
        self._readings_max = readings_max
        self._writer = Writer(path, _SCRIPTS, tuning)
        self._readers = Readers(path, tuning)
        self._added: dict[str, int] = {}  # used inside transactions alone, which come one after another

    def append(self, findings: Sequence[Findings]) -> None:
        with self._writer.transaction() as writer:
            for found in findings:
                self._append(writer, found)

    def positions(self) -> Mapping[int, int]:
        with self._readers.lend() as reader:
            rows: list[Any] = reader.execute(_QUERIES["positions"]).fetchall()
        return dict(rows)

    def latest(
        self, tenant: str, *, devices: Collection[str] | None = None, limit: int = 10
    ) -> list[AbnormalReading]:
        query = _QUERIES["latest" if devices is None else "latest_of_devices"]
        wanted = _whose(tenant, devices) | {"limit": limit}
        with self._readers.lend() as reader:
            rows: list[Any] = reader.execute(query, wanted).fetchall()
        names = AbnormalReading.__struct_fields__
        intact = [check_row(row, f"{self._name}: a reading of {row[2]}") for row in rows]
        return [AbnormalReading(**dict(zip(names, row, strict=True))) for row in intact]

    def count(
        self, tenant: str, *, after_ms: int, through_ms: int, devices: Collection[str] | None = None
    ) -> int:
        if through_ms <= after_ms:
            return 0
        total = 0
        # one transaction, so that counters and readings are of the same moment
        with self._readers.lend() as reader, reader:
            total += _Counting(reader, _whose(tenant, devices)).count(after_ms, through_ms)
        return total

    def verify(self) -> list[str]:
        """What is wrong with the stored bytes, in words; reads all of them."""
        reads: RowReads = {
            "all_readings": lambda row, place: check_row(row, f"{place}: reading of {row[2]} at {row[4]}"),
            "all_minutes": lambda row, place: check_row(row, f"{place}: count of {row[2]} in {row[1]}"),
            "all_kept": lambda row, place: check_row(row, f"{place}: oldest reading of {row[0]}"),
            "all_scored": _stored_scores,
            "all_positions": lambda row, place: check_row(row, f"{place}: position of {row[0]}"),
        }
        return verify_rows(self._readers, self._name, reads, _QUERIES)

    def scored(self, after: int, *, bytes_max: int) -> list[StoredScores]:
        found: list[StoredScores] = []
        size_bytes = 0
        with self._readers.lend() as reader:
            for row in reader.execute(_QUERIES["scored"], {"after": after}):
                found.append(_stored_scores(row, self._name))
                size_bytes += len(found[-1].payload)
                if size_bytes >= bytes_max:
                    break
        return found

    def forget_scored(self, through: int) -> None:
        with self._writer.transaction() as writer:
            writer.execute(_QUERIES["reserve_scored"], {"through": through})
            writer.execute(_QUERIES["forget_scored"], {"through": through})

    def close(self) -> None:
        self._readers.close()
        self._writer.close()

    def _append(self, writer: apsw.Connection, found: Findings) -> None:
        stored = writer.execute(_QUERIES["position"], {"partition": found.partition}).fetchone()
        if stored is not None and found.position <= stored[0]:
            return
        for tenant, device in found.corrected:
            whose = {"tenant": tenant, "device": device}
            writer.execute(_QUERIES["forget_readings"], whose)
            writer.execute(_QUERIES["forget_minutes"], whose)
        writer.executemany(_QUERIES["add"], (msgspec.structs.astuple(row) for row in found.readings))
        for scored in found.scored:
            whose_rows = {"tenant": scored.tenant, "payload": scored.payload}
            writer.execute(_QUERIES["add_scored"], whose_rows)
        advanced = {"partition": found.partition, "position": found.position}
        writer.execute(_QUERIES["advance"], advanced)
        for reading in found.readings:
            self._added[reading.tenant] = self._added.get(reading.tenant, 0) + 1
        self._drop_old(writer)

    def _drop_old(self, writer: apsw.Connection) -> None:
        """Make room in the tenants that have grown by a tenth; looking more often would cost more."""
        for tenant, added in list(self._added.items()):
            if added * 10 < self._readings_max:
                continue
            self._added[tenant] = 0
            whose: dict[str, Any] = {"tenant": tenant}
            edge = writer.execute(_QUERIES["oldest_to_keep"], whose | {"rows": self._readings_max}).fetchone()
            if edge is not None:
                writer.execute(_QUERIES["drop_readings"], whose | {"ts": edge[0]})
                writer.execute(_QUERIES["set_kept"], whose | {"from_ms": edge[0] + 1})
            newest = _number(writer, "newest", whose)
            oldest_minute = newest // _MINUTE_MS - _MINUTES_KEPT
            writer.execute(_QUERIES["drop_minutes"], whose | {"minute": oldest_minute})


def _stored_scores(row: tuple[Any, ...], place: str) -> StoredScores:
    return StoredScores(row[0], *check_row(row[1:], f"{place}: scores {row[0]}"))


class _Counting:
    """Whole minutes from the counters, the pieces at both ends from the readings."""

    def __init__(self, reader: apsw.Connection, whose: dict[str, Any]) -> None:
        self._reader = reader
        self._whose = whose
        self._of = "_of_devices" if "devices" in whose else ""

    def count(self, after_ms: int, through_ms: int) -> int:
        """Readings with after_ms < ts ≤ through_ms."""
        kept = self._reader.execute(_QUERIES["kept"], {"tenant": self._whose["tenant"]}).fetchone()
        kept_from_ms = kept[0] if kept else -(1 << 62)
        start_ms, end_ms = after_ms + 1, through_ms + 1
        first = -(-start_ms // _MINUTE_MS)
        end = end_ms // _MINUTE_MS
        if start_ms < kept_from_ms:
            # the readings of the first minute are gone, so that minute counts whole
            first = start_ms // _MINUTE_MS
        if first >= end:
            return self._readings(start_ms, end_ms)
        total = self._minutes(first, end)
        if start_ms < first * _MINUTE_MS:
            total += self._readings(start_ms, first * _MINUTE_MS)
        return total + self._readings(end * _MINUTE_MS, end_ms)

    def _readings(self, start_ms: int, end_ms: int) -> int:
        span = {"after_ms": start_ms - 1, "through_ms": end_ms - 1}
        return _number(self._reader, f"count_readings{self._of}", self._whose | span)

    def _minutes(self, first: int, end: int) -> int:
        span = {"first": first, "end": end}
        return _number(self._reader, f"count_minutes{self._of}", self._whose | span)


def _whose(tenant: str, devices: Collection[str] | None) -> dict[str, Any]:
    if devices is None:
        return {"tenant": tenant}
    return {"tenant": tenant, "devices": msgspec.json.encode(list(devices)).decode()}


def _number(connection: apsw.Connection, query: str, wanted: dict[str, Any]) -> int:
    row: Any = connection.execute(_QUERIES[query], wanted).fetchone()
    return int(row[0])
