"""The directory port: who is responsible for which device, and where it stands, as a third party says.

`DirectoryApi` is what the third party offers, `Directory` what Tocsin asks. Every implementation of either
passes tests/contract/test_directory.py.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from enum import StrEnum

import msgspec


class Entry(msgspec.Struct, frozen=True):
    """What the third party says of a device; None where it names nobody, or no place."""

    device: str
    technician: str | None
    location: str | None


class Failure(StrEnum):
    """Why a question has no answer."""

    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    UNAVAILABLE = "unavailable"
    LIMITED = "limited"
    REFUSED = "refused"
    BROKEN = "broken"
    TOO_LARGE = "too_large"


class DirectoryError(Exception):
    """The third party gave no answer that can be used; that says nothing of what was asked about.

    No answer of Tocsin's: whoever asks Tocsin gets what is kept.
    """

    def __init__(self, failure: Failure, detail: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(detail)
        self.failure = failure
        self.detail = detail
        self.retry_after_s = retry_after_s


class DirectoryApi(ABC):
    """The two endpoints that there are. Blocks for as long as a question may take. Thread-safe."""

    @abstractmethod
    def devices_of(self, technician: str) -> Sequence[Entry] | None:
        """All devices of a technician, or none of them: a list that is not whole is a DirectoryError.

        None if there is no such technician.
        """

    @abstractmethod
    def device(self, device: str) -> Entry | None:
        """One device; None if there is none. DirectoryError if there is no answer."""

    @abstractmethod
    def close(self) -> None:
        """Let go of connections; idempotent."""


class Freshness(StrEnum):
    """How far an answer can be relied on: younger than the soft limit, older, or older than the hard one."""

    FRESH = "fresh"
    STALE = "stale"
    UNKNOWN = "unknown"


class Ownership(msgspec.Struct, frozen=True, kw_only=True):
    """What the directory last said of a device, and when it was asked (ms since 1970).

    Nothing is said where it is unknown: never heard of, or so long ago that it no longer counts.
    """

    device: str
    technician: str | None = None
    location: str | None = None
    as_of_ms: int | None = None
    freshness: Freshness = Freshness.UNKNOWN


class DeviceList(msgspec.Struct, frozen=True, kw_only=True):
    """A page of devices by name, and how old what is said of them may be; `more` if others follow.

    `missing`: the directory has said that there is no such technician, and no device is known to be hers.
    """

    devices: tuple[Ownership, ...]
    as_of_ms: int | None
    freshness: Freshness
    more: bool
    missing: bool = False


class Location(msgspec.Struct, frozen=True, kw_only=True):
    """A place where devices stand; `as_of_ms` is the age of the oldest that is said of one of them."""

    name: str
    devices: int
    as_of_ms: int
    freshness: Freshness


class Directory(ABC):
    """The directory of one tenant. Answers at once from what is kept, never asks anybody. Thread-safe."""

    @abstractmethod
    def ownership(self, device: str) -> Ownership:
        """Who is responsible for a device now."""

    @abstractmethod
    def devices_of(self, technician: str, *, after: str = "", limit: int = 100) -> DeviceList:
        """The technician's devices with names above `after`; one that was never heard of is asked about."""

    @abstractmethod
    def devices_at(self, location: str, *, after: str = "", limit: int = 100) -> DeviceList:
        """The devices of a location with names above `after`."""

    @abstractmethod
    def locations(self, *, after: str = "", limit: int = 100) -> Sequence[Location]:
        """Locations with names above `after`, by name."""

    @abstractmethod
    def close(self) -> None:
        """Close; idempotent."""
