"""The dumps of one device, each with what became of it."""

from __future__ import annotations

from typing import Final, Protocol

from tocsin.access.permissions import Permission, require
from tocsin.access.principal import Principal
from tocsin.errors import NotFoundError
from tocsin.processing.dump_places import PlacedDump, PlacedDumps
from tocsin.services.sight import Sight

NO_DUMP: Final = "This device has not sent a dump yet."
DumpKey = tuple[int, int, str]
"""Epoch, sequence and SHA-256."""


class DumpFleet(Protocol):
    """Knows the order of dumps; the runtime offers it."""

    def dumps(self, tenant: str, device: str) -> PlacedDumps | None:
        """All dumps of the device, None if it never sent one; reads the lake."""
        ...


class DeviceDumps:
    """For the principal's tenant; thread-safe."""

    def __init__(self, fleet: DumpFleet, sight: Sight) -> None:
        self._fleet = fleet
        self._sight = sight

    def all(self, principal: Principal, device: str) -> PlacedDumps:
        """Every dump and what is missing; NotFoundError if the device never sent a dump."""
        require(principal, Permission.READ)
        self._sight.require(principal, device, NO_DUMP)
        found = self._fleet.dumps(principal.tenant, device)
        if found is None:
            raise NotFoundError(NO_DUMP)
        return found

    def page(
        self, principal: Principal, device: str, after: DumpKey | None, limit: int
    ) -> tuple[list[PlacedDump], PlacedDumps, DumpKey | None]:
        """The dumps behind `after`, all there are, and the key to go on after, None at the end."""
        found = self.all(principal, device)
        rest = [item for item in found.dumps if after is None or item.key > after]
        return rest[:limit], found, rest[limit - 1].key if len(rest) > limit else None
