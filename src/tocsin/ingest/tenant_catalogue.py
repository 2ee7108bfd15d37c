"""What is known of one tenant: its devices, their fields, and of which kind each is."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from tocsin.events import I32, I64, EventBatch, Strings
from tocsin.ingest.catalogue_entries import Entries
from tocsin.ingest.known_devices import KnownDevices
from tocsin.ingest.parsing.event_line import event_line
from tocsin.ingest.parsing.line_code import LineCode
from tocsin.ingest.parsing.line_error import LineError, LineFault
from tocsin.ingest.parsing.merging import concat_strings, renumber
from tocsin.ingest.parsing.parsed_body import ParsedBody
from tocsin.ingest.series_table import (
    ADMITTED,
    DEVICE_LIMIT,
    MISMATCH,
    NUMBER,
    SERIES_LIMIT,
    TEXT,
    Learnt,
    SeriesLimits,
    SeriesTable,
    Sightings,
)
from tocsin.ingest.text_fields import positions, spelled, text_fields, unspelled
from tocsin.interning import Interner

_KINDS: Final = ("a number", "text")


class TenantCatalogue:
    """Not thread-safe. Its size is bounded by `limits`."""

    def __init__(self, tenant: str, limits: SeriesLimits) -> None:
        self._tenant = tenant
        self._limits = limits
        self.devices = KnownDevices(tenant)
        self._fields = Interner()
        self._series = SeriesTable()

    @property
    def series(self) -> int:
        """How many fields all devices have together."""
        return len(self._series)

    def doubtful(self, batch: EventBatch) -> tuple[I64, I32]:
        """The events that say something new or wrong, all others are admitted; and each event's device."""
        device = self.devices.find(batch.device)
        rows = self._series.doubtful(
            device,
            batch.reading_offsets,
            batch.parameter,
            self._fields.find(spelled(batch.names)),
            batch.text_count,
            self._fields.find(text_fields(batch.text, batch.text_count)),
        )
        return rows, device

    def learn(self, parsed: ParsedBody, rows: I64) -> tuple[ParsedBody, Entries]:
        """Judge these events one after another: the body without those refused, and what is new.

        An event that is refused leaves no trace.
        """
        batch = parsed.batch.take(rows)
        seen, fields = self._sightings(batch)
        learnt = self._series.learn(seen, len(self.devices), len(self._fields), self._limits)
        entries = Entries(
            tenant=self._tenant,
            devices=tuple(_first_with(batch.device, seen.provisional_device, learnt.devices)),
            fields=tuple(_first_with(fields, seen.provisional_field, learnt.fields)),
            words=learnt.words.astype("<u8").tobytes(),
        )
        self.devices.add(Strings.of(list(entries.devices)))
        self._fields.intern(Strings.of(list(entries.fields)))
        refused = np.flatnonzero(learnt.fault != ADMITTED)
        errors = [
            self._error(batch, int(i), learnt, seen, fields, int(parsed.line[rows[i]])) for i in refused
        ]
        return _without(parsed, rows[refused], errors), entries

    def add(self, entries: Entries) -> None:
        """Take over what was learnt earlier, in its order."""
        self.devices.add(Strings.of(list(entries.devices)))
        self._fields.intern(Strings.of(list(entries.fields)))
        self._series.add(entries.table(), len(self.devices))

    def entries(self) -> Entries:
        """All that is known."""
        return Entries(
            tenant=self._tenant,
            devices=tuple(self.devices.names().tolist()),
            fields=tuple(self._fields.names().tolist()),
            words=np.sort(self._series.words()).astype("<u8").tobytes(),
        )

    def _sightings(self, batch: EventBatch) -> tuple[Sightings, Strings]:
        """The events' devices and fields by number, and the spelling of each field's name."""
        readings = spelled(batch.names).take(batch.parameter.astype(np.int64))
        fields = concat_strings(readings, text_fields(batch.text, batch.text_count))
        counts = np.diff(batch.reading_offsets)
        event = np.concatenate([np.repeat(np.arange(len(batch)), n) for n in (counts, batch.text_count)])
        order: I64 = np.argsort(event, kind="stable")
        fields = fields.take(order)
        kind = np.repeat(np.array([NUMBER, TEXT], np.uint8), [batch.readings, len(order) - batch.readings])
        seen = Sightings(
            device=self.devices.find(batch.device),
            provisional_device=Interner().intern(batch.device),
            offsets=positions(counts + batch.text_count),
            field=self._fields.find(fields),
            provisional_field=Interner().intern(fields),
            kind=kind[order],
        )
        return seen, fields

    def _error(
        self, batch: EventBatch, row: int, learnt: Learnt, seen: Sightings, fields: Strings, line: int
    ) -> LineError:
        place = int(learnt.place[row])
        name = unspelled(fields[place]) if place >= 0 else "device"
        kind = int(seen.kind[place]) if place >= 0 else NUMBER
        message = self._message(int(learnt.fault[row]), batch.device[row], name, kind)
        mismatch = learnt.fault[row] == MISMATCH
        code = LineCode.SCHEMA_MISMATCH if mismatch else LineCode.CARDINALITY_LIMIT
        return LineFault(code, message, name).at(line, event_line(batch, row))

    def _message(self, fault: int, device: str, field: str, kind: int) -> str:
        if fault == MISMATCH:
            return f"{field!r} of device {device!r} is {_KINDS[kind]}, but was {_KINDS[1 - kind]} at first"
        if fault == DEVICE_LIMIT:
            return f"Device {device!r} is new, and the tenant has {self._limits.devices} devices already"
        if fault == SERIES_LIMIT:
            return f"{field!r} of {device!r} is new, and the tenant has {self._limits.series} series already"
        return f"{field!r} is new, and device {device!r} may have {self._limits.fields} fields"


def _first_with(names: Strings, provisional: I32, wanted: I32) -> list[str]:
    """The name that has each of the wanted provisional numbers."""
    if len(wanted) == 0:
        return []
    numbers, first = np.unique(provisional, return_index=True)
    return names.take(first[np.searchsorted(numbers, wanted)].astype(np.int64)).tolist()


def _without(parsed: ParsedBody, rows: I64, errors: list[LineError]) -> ParsedBody:
    """The body without these events, and with their errors."""
    if len(rows) == 0:
        return parsed
    kept: I64 = np.delete(np.arange(len(parsed.batch)), rows)
    return replace(
        parsed,
        batch=renumber(parsed.batch.take(kept)),
        line=parsed.line[kept],
        errors=sorted(parsed.errors + errors, key=lambda error: error.line),
    )
