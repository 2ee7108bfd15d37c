"""What must hold of log lines when the faults are over: each is in the one dump that the model puts it in."""

from __future__ import annotations

import io
import zipfile
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest

from proof.model.streams import Cut, Line, Minute, Windows, cuts
from proof.simulation.lives import Lives
from proof.simulation.plan import TENANT
from tocsin.bootstrap import Application
from tocsin.control import DumpReceived, Tick, decode_control
from tocsin.log.abstract import Record, RecordKind
from tocsin.log_lines import decode_line
from tocsin.model import Flag
from tocsin.payloads import decode_events
from tocsin.sharding import partition_of, shard_of


class StreamChecks:
    """Looks at a system that has nothing left to do."""

    def __init__(self, lives: Lives) -> None:
        self._findings = lives.findings
        self._plan = lives.plan
        self._arrivals = lives.arrivals

    def check(self, application: Application, records: Sequence[Record]) -> Mapping[str, Cut]:
        """Compare each device's dumps with those of the model; the latter by device and number."""
        rules = Windows(
            length_ms=1000 * self._plan.window_s,
            bytes_max=application.config.logs.window_bytes_max,
            quiet_ms=1000 * self._plan.quiet_s,
        )
        told: dict[str, Cut] = {}
        stories = _stories(records, self._arrivals)
        for device in self._plan.log_devices:
            partition = partition_of(shard_of(TENANT, device), application.log.partitions)
            lines = stories.get((partition, device), [])
            story = sorted([*lines, *stories.get((partition, ""), [])], key=lambda item: item.offset)
            found = [each for each in _cut_dumps(records) if each.device == device]
            for dump, cut in zip_longest(found, cuts(story, rules)):
                self._same(application, device, dump, cut)
                if dump is not None and cut is not None:
                    told[f"{device} {dump.sequence}"] = cut
        return told

    def _same(
        self, application: Application, device: str, dump: DumpReceived | None, cut: Cut | None
    ) -> None:
        if dump is None or dump.lines is None or cut is None:
            self._findings.add("cut differs", f"{device}: {dump}, expected {cut}")
            return
        spans = (dump.lines.first, dump.lines.below, dump.collected_from_ms, dump.collected_to_ms)
        found = (*spans, dump.application, dump.version)
        expected = (cut.first, cut.below, cut.from_ms, cut.to_ms, cut.application, cut.version)
        if found != expected:
            self._findings.add("cut differs", f"{device}: {found}, expected {expected}")
        files = _files(application, dump.sha256)
        if files != cut.files:
            self._findings.add("lines differ", f"{device}, {dump.sequence}: {files}, expected {cut.files}")


def _stories(
    records: Sequence[Record], arrivals: Mapping[tuple[int, int], int]
) -> dict[tuple[int, str], list[Line | Minute]]:
    """Lines by partition and device, and ticks, which are nobody's."""
    found: dict[tuple[int, str], list[Line | Minute]] = {}
    came = _Arrivals(arrivals)
    for record in records:
        if record.kind is RecordKind.CONTROL:
            control = decode_control(record.payload)
            if isinstance(control, Tick):
                found.setdefault((record.partition, ""), []).append(Minute(record.offset, control.now_ms))
        elif record.tenant == TENANT:
            for device, line in _lines(record, came):
                found.setdefault((record.partition, device), []).append(line)
    return found


class _Arrivals:
    """When what stands at an offset came. The lake joins records, which may have come at different times."""

    def __init__(self, arrivals: Mapping[tuple[int, int], int]) -> None:
        self._times_ms = arrivals
        self._places = sorted(arrivals)

    def of(self, partition: int, offset: int) -> int:
        """That of the record of the log that holds the offset."""
        return self._times_ms[self._places[bisect_right(self._places, (partition, offset)) - 1]]


def _lines(record: Record, came: _Arrivals) -> Iterator[tuple[str, Line]]:
    batch = decode_events(record.payload)
    for row, flags in enumerate(batch.flags.tolist()):
        if flags & int(Flag.LOG_LINE):
            said = decode_line(batch.text[row].encode())
            application, version = batch.streams[int(batch.stream[row])]
            yield (
                batch.device[row],
                Line(
                    offset=record.offset + row,
                    ts=int(batch.ts[row]),
                    clock_wrong=bool(flags & int(Flag.CLOCK_WRONG)),
                    arrival_ms=came.of(record.partition, record.offset + row),
                    application=application,
                    version=version,
                    component=said.component,
                    level=said.level,
                    text=said.text,
                ),
            )


def _cut_dumps(records: Sequence[Record]) -> Iterator[DumpReceived]:
    for record in records:
        control = decode_control(record.payload) if record.kind is RecordKind.CONTROL else None
        if isinstance(control, DumpReceived) and control.lines is not None:
            yield control


def _files(application: Application, sha256: str) -> dict[str, str]:
    """The texts of an archive by component."""
    with application.blobs.open(sha256) as blob:
        data = blob.read(0, blob.size)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name.partition("/")[0]: archive.read(name).decode() for name in archive.namelist()}
