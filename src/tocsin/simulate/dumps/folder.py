"""Writes the dumps of a fleet into a folder from which `tocsin upload` sends them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import msgspec

from tocsin.errors import InvalidInputError
from tocsin.simulate.dumps.delivery import Disorder, plan_delivery
from tocsin.simulate.dumps.faults import DumpFault, dump_labels
from tocsin.simulate.dumps.fleet import DumpFleet
from tocsin.simulate.dumps.machine import Machine, MadeDump
from tocsin.simulate.dumps.recorded import RecordedLines

LABELS: Final = "labels.ndjson"
DUMPS: Final = "dumps.ndjson"
DELIVERY: Final = "delivery.ndjson"
MANIFEST: Final = "manifest.json"
SOFTWARE: Final = {"application": "cells", "version": "4.2.1"}


class DumpRow(msgspec.Struct, frozen=True, kw_only=True):
    """A dump in the list of a folder: a line of `dumps.ndjson`, in the order in which they are sent."""

    device: str
    sequence: int
    path: str
    sent_ms: int
    collected_from_ms: int
    collected_to_ms: int
    lines: int
    size_bytes: int
    sha256: str


def write_dumps(
    folder: Path,
    fleet: DumpFleet,
    faults: Sequence[DumpFault],
    from_ms: int,
    to_ms: int,
    *,
    recorded: RecordedLines | None = None,
    disorder: Disorder | None = None,
    on_written: Callable[[int], None] = lambda _: None,
) -> list[DumpRow]:
    """All dumps, `dumps.ndjson`, `labels.ndjson` and at last `manifest.json`, without which it is not whole.

    With `disorder`, `delivery.ndjson` says in what order they are sent. The folder must be empty or absent.
    Holds one dump in memory.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise InvalidInputError(f"{folder} is not empty", field="out")
    rows = []
    for number in range(fleet.devices):
        for dump in Machine(fleet, number, faults, recorded).dumps(from_ms, to_ms):
            rows.append(write_dump(folder, dump))
            on_written(1)
    rows.sort(key=lambda row: (row.sent_ms, row.device))
    write_rows(folder / DUMPS, rows)
    write_rows(folder / LABELS, dump_labels(fleet, faults))
    manifest = _manifest(fleet, rows, from_ms, to_ms)
    if disorder is not None and disorder.any:
        plan, lost = plan_delivery(fleet, [(row.device, row.sequence) for row in rows], disorder)
        write_rows(folder / DELIVERY, plan)
        manifest |= {"disorder": msgspec.to_builtins(disorder), "lost": lost}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    return rows


def write_dump(folder: Path, dump: MadeDump) -> DumpRow:
    """The archive as `DEVICE/SEQUENCE.zip`, and beside it what the device says of it."""
    path = folder / quote(dump.device, safe="") / f"{dump.sequence:06d}.zip"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(dump.archive)
    facts = {"collected_from": _rfc3339(dump.from_ms), "collected_to": _rfc3339(dump.to_ms)}
    path.with_suffix(".json").write_text(json.dumps(facts | SOFTWARE) + "\n", encoding="utf-8")
    return DumpRow(
        device=dump.device,
        sequence=dump.sequence,
        path=path.relative_to(folder).as_posix(),
        sent_ms=dump.to_ms,
        collected_from_ms=dump.from_ms,
        collected_to_ms=dump.to_ms,
        lines=dump.lines,
        size_bytes=len(dump.archive),
        sha256=hashlib.sha256(dump.archive).hexdigest(),
    )


def _rfc3339(ms: int) -> str:
    moment = datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")
    return moment.replace("+00:00", "Z")


def write_rows(path: Path, rows: Sequence[msgspec.Struct]) -> None:
    """A line of JSON each."""
    path.write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))


def _manifest(fleet: DumpFleet, rows: Sequence[DumpRow], from_ms: int, to_ms: int) -> dict[str, Any]:
    """What the folder was made of, and where each machine stands."""
    places = [(number, fleet.location(number)) for number in range(fleet.devices)]
    return {
        "fleet": msgspec.to_builtins(fleet),
        "from_ms": from_ms,
        "to_ms": to_ms,
        "dumps": len(rows),
        "lines": sum(row.lines for row in rows),
        "bytes": sum(row.size_bytes for row in rows),
        "devices": [
            {"device": fleet.device(number), "location": place, "timezone": fleet.zone(place)}
            for number, place in places
        ],
    }
