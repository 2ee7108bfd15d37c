"""Rules about events that need memory: a field keeps its type, and nothing grows without end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from tocsin import threads
from tocsin.events import I32
from tocsin.ingest.catalogue_entries import Entries
from tocsin.ingest.catalogue_store import CatalogueStore
from tocsin.ingest.parsing.parsed_body import ParsedBody
from tocsin.ingest.series_table import SeriesLimits
from tocsin.ingest.tenant_catalogue import TenantCatalogue

_STORED_MAX: Final = 1000  # rows that are read at the start; more are folded into one a tenant


@dataclass(frozen=True, slots=True)
class Admitted(ParsedBody):
    """What is left of a body, and the partition of each of its events."""

    partition: I32


class Catalogue:
    """Devices and fields per tenant, on disk before anything that is new is admitted. Thread-safe.

    An event with a field of another type than before (20 and 20.1 are one type), of a device too many or
    with a field too many is refused whole; known devices and fields go on. Events that say nothing new
    cost about 30 ns a reading and never wait for the disk.
    """

    def __init__(self, store: CatalogueStore, limits: SeriesLimits | None = None) -> None:
        self._store = store
        self._limits = limits or SeriesLimits()
        self._lock = threads.lock()
        self._tenants: dict[str, _Guarded] = {}
        rows = 0
        for entries in store.read():
            self._tenant(entries.tenant).known.add(entries)
            rows += 1
        if rows > _STORED_MAX:
            store.replace(self.export())

    @property
    def series(self) -> int:
        """How many fields all devices of all tenants have together."""
        with self._lock:
            tenants = list(self._tenants.values())
        return sum(guarded.known.series for guarded in tenants)

    def admit(self, tenant: str, parsed: ParsedBody, partitions: int = 1) -> Admitted:
        """The body without events that break a rule; each has become an error of its line.

        Raises StorageFullError or StorageUnavailableError when what is new cannot be kept; then nothing
        of this body may be acknowledged.
        """
        guarded = self._tenant(tenant)
        with guarded.lock:
            rows, device = guarded.known.doubtful(parsed.batch)
            if len(rows):
                parsed, entries = guarded.known.learn(parsed, rows)
                device = guarded.known.devices.find(parsed.batch.device)
                if entries.words or entries.devices:
                    guarded.unsaved.append(entries)
            if guarded.unsaved:
                # What could not be saved before is known in memory, so it must be saved now.
                self._store.add(guarded.unsaved)
                guarded.unsaved.clear()
            partition = guarded.known.devices.partition(device, partitions)
        return Admitted(parsed.batch, parsed.line, parsed.errors, parsed.received, partition)

    def export(self) -> list[Entries]:
        """All that is known, one item a tenant, by name."""
        with self._lock:
            tenants = sorted(self._tenants.items())
        found = []
        for _, guarded in tenants:
            with guarded.lock:
                found.append(guarded.known.entries())
        return found

    def close(self) -> None:
        """Close the store; idempotent."""
        self._store.close()

    def _tenant(self, name: str) -> _Guarded:
        with self._lock:
            if name not in self._tenants:
                self._tenants[name] = _Guarded(TenantCatalogue(name, self._limits))
            return self._tenants[name]


@dataclass(slots=True)
class _Guarded:
    """A tenant's catalogue, its lock, and what is known but not yet on disk."""

    known: TenantCatalogue
    lock: threads.Lock = field(default_factory=threads.lock)
    unsaved: list[Entries] = field(default_factory=list)
