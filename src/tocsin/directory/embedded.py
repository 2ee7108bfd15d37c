"""The directory of one tenant: answers from the cache; whoever calls `round` keeps the cache young."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tocsin.clock import Clock
from tocsin.directory.abstract import DeviceList, Directory, Freshness, Location, Ownership
from tocsin.directory.answers import technician_of
from tocsin.directory.asking import Asking
from tocsin.directory.cache import Counts, DirectoryCache, Told
from tocsin.directory.limits import DirectoryLimits


class CachedDirectory(Directory):
    """Owns the cache and the asking."""

    def __init__(self, cache: DirectoryCache, asking: Asking, clock: Clock, limits: DirectoryLimits) -> None:
        self._cache = cache
        self._asking = asking
        self._clock = clock
        self._limits = limits

    def ownership(self, device: str) -> Ownership:
        told = self._cache.device(device)
        if told is None:
            return Ownership(device=device)
        found = self._ages().ownership(told)
        if found.freshness is not Freshness.FRESH:
            self._asking.want_device(device)
        return found

    def devices_of(self, technician: str, *, after: str = "", limit: int = 100) -> DeviceList:
        guid = technician_of(technician)
        if guid is None:
            return DeviceList(
                devices=(), as_of_ms=None, freshness=Freshness.UNKNOWN, more=False, missing=True
            )
        ages = self._ages()
        _, fetched_ms = self._cache.technician(guid)
        missing_ms = self._cache.missing_ms(guid) if fetched_ms is None else None
        missing = ages.freshness(missing_ms)
        if Freshness.FRESH not in {ages.freshness(fetched_ms), missing}:
            self._asking.want_list(guid)
        told = self._cache.devices_of(guid, after, ages.counts_from_ms, limit + 1)
        if told or missing is Freshness.UNKNOWN:
            return _list(told, limit, fetched_ms, ages)
        return DeviceList(devices=(), as_of_ms=missing_ms, freshness=missing, more=False, missing=True)

    def devices_at(self, location: str, *, after: str = "", limit: int = 100) -> DeviceList:
        ages = self._ages()
        told = self._cache.devices_at(location, after, ages.counts_from_ms, limit + 1)
        oldest_ms = min((each.as_of_ms for each in told if each.as_of_ms is not None), default=None)
        return _list(told, limit, oldest_ms, ages)

    def locations(self, *, after: str = "", limit: int = 100) -> Sequence[Location]:
        ages = self._ages()
        return [
            Location(name=name, devices=devices, as_of_ms=as_of_ms, freshness=ages.freshness(as_of_ms))
            for name, devices, as_of_ms in self._cache.locations(after, ages.counts_from_ms, limit)
        ]

    def round(self) -> None:
        """Ask the third party what is due; see Asking.round."""
        self._asking.round()

    @property
    def failing(self) -> bool:
        """Whether the third party is left alone for a while, since it fails."""
        return self._asking.failing

    def counts(self) -> Counts:
        """How much is kept, and how old it is."""
        return self._cache.counts()

    def waiting(self) -> int:
        """Questions that are due and were not asked yet; counts up to a thousand."""
        return len(self._cache.due(self._clock.now_ms(), 1000))

    def verify(self) -> list[str]:
        """What is wrong with the stored bytes, in words; reads all of them."""
        return self._cache.verify()

    def end(self) -> None:
        """Send no further question; see Asking.end."""
        self._asking.end()

    def close(self) -> None:
        self._asking.close()
        self._cache.close()

    def _ages(self) -> _Ages:
        now_ms = self._clock.now_ms()
        return _Ages(now_ms - round(self._limits.hard_s * 1000), now_ms - self._limits.soft_s * 1000)


@dataclass(frozen=True, slots=True)
class _Ages:
    """From when on something said counts, and is fresh, at the time of one question."""

    counts_from_ms: int
    fresh_from_ms: float

    def freshness(self, as_of_ms: int | None) -> Freshness:
        """Of what was said then; None: never."""
        if as_of_ms is None or as_of_ms < self.counts_from_ms:
            return Freshness.UNKNOWN
        return Freshness.FRESH if as_of_ms >= self.fresh_from_ms else Freshness.STALE

    def ownership(self, told: Told) -> Ownership:
        """What is said of a device, which is nothing where it no longer counts."""
        freshness = self.freshness(told.as_of_ms)
        if freshness is Freshness.UNKNOWN:
            return Ownership(device=told.id, as_of_ms=told.as_of_ms)
        return Ownership(
            device=told.id,
            technician=told.technician,
            location=told.location,
            as_of_ms=told.as_of_ms,
            freshness=freshness,
        )


def _list(told: Sequence[Told], limit: int, as_of_ms: int | None, ages: _Ages) -> DeviceList:
    return DeviceList(
        devices=tuple(ages.ownership(each) for each in told[:limit]),
        as_of_ms=as_of_ms,
        freshness=ages.freshness(as_of_ms),
        more=len(told) > limit,
    )
