"""Who is responsible for what, and where it stands, as the tenant's directory last said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from tocsin.access.permissions import Permission, require
from tocsin.access.principal import Principal
from tocsin.directory.abstract import DeviceList, Directory, Location, Ownership
from tocsin.errors import NotFoundError
from tocsin.services.devices import NO_DEVICE
from tocsin.services.own_devices import DEVICES_MAX, OwnDevices
from tocsin.services.own_places import own_devices_at, own_locations

PAGE_MAX: Final = 200
_NO_TECHNICIAN: Final = "The directory knows no such technician."


class NoDirectoryError(NotFoundError):
    """No directory is connected for this tenant, so nobody knows its technicians and locations."""

    code = "no_directory"


class DeviceMapping:
    """Answers at once, from what is kept; asks nobody. Directories by tenant."""

    def __init__(self, directories: Mapping[str, Directory], sight: OwnDevices) -> None:
        self._directories = directories
        self._sight = sight

    def connected(self, principal: Principal) -> bool:
        """Whether the tenant has a directory."""
        return principal.tenant in self._directories

    def device(self, principal: Principal, device: str) -> Ownership | None:
        """Who is responsible for a device and where it stands; None where no directory is connected.

        NotFoundError for one that is not seen.
        """
        require(principal, Permission.READ)
        self._sight.require(principal, device, NO_DEVICE)
        directory = self._directories.get(principal.tenant)
        return None if directory is None else directory.ownership(device)

    def devices_of(self, principal: Principal, technician: str, *, after: str, limit: int) -> DeviceList:
        """The technician's devices by name.

        NotFoundError where the directory has said that there is no such technician. Who could not be asked
        about has no devices yet, and the list says that it is unknown.
        """
        return self._of_technician(principal, technician, after=after, limit=min(limit, PAGE_MAX))

    def all_devices_of(self, principal: Principal, technician: str) -> DeviceList:
        """The same in one list of at most 10,000; `more` beyond."""
        return self._of_technician(principal, technician, after="", limit=DEVICES_MAX)

    def devices_at(self, principal: Principal, location: str, *, after: str, limit: int) -> DeviceList:
        """The location's devices by name; none, and unknown, where nothing was ever said of it."""
        require(principal, Permission.READ)
        directory, limit = self._directory(principal), min(limit, PAGE_MAX)
        if self._sight.limited(principal):
            return own_devices_at(self._sight.mapped(principal), location, after=after, limit=limit)
        return directory.devices_at(location, after=after, limit=limit)

    def locations(
        self, principal: Principal, *, after: str, limit: int
    ) -> tuple[Sequence[Location], str | None]:
        """Locations by name, and the name to go on after, None at the end; none without a directory."""
        require(principal, Permission.READ)
        directory = self._directories.get(principal.tenant)
        if directory is None:
            return [], None
        limit = min(limit, PAGE_MAX)
        if self._sight.limited(principal):
            found = own_locations(self._sight.mapped(principal), after=after, limit=limit + 1)
        else:
            found = directory.locations(after=after, limit=limit + 1)
        return (found, None) if len(found) <= limit else (found[:limit], found[limit - 1].name)

    def _of_technician(self, principal: Principal, technician: str, *, after: str, limit: int) -> DeviceList:
        require(principal, Permission.READ)
        directory = self._directory(principal)
        if not self._sight.is_own(principal, technician):
            raise NotFoundError(_NO_TECHNICIAN)
        found = directory.devices_of(technician, after=after, limit=limit)
        if found.missing:
            raise NotFoundError(_NO_TECHNICIAN)
        return found

    def _directory(self, principal: Principal) -> Directory:
        directory = self._directories.get(principal.tenant)
        if directory is None:
            raise NoDirectoryError(
                "No directory is connected for this tenant: see `directories` in the configuration."
            )
        return directory
